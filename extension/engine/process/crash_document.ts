// The last word of a process that crashed (docs/PROTOCOL.md, section 5), checked field by field: it was written by another
// program. And what its signal means, in words.
import { join } from 'node:path';
import type { Mapping } from '../context';
import { namesIn, readTextIfThere } from '../host';
import { CRASH_FILE, HELD_DIRECTORY } from './control_directory';
import { parseMaps } from './maps';
import { parseDocument } from './status';

/** Bytes: the memory map, and twice the stack. */
const LARGEST = 16 * 1024 * 1024;

export interface CrashDocument {
  startTime: number;
  at: number;
  signal: number;
  /** si_code of sigaction(2). */
  code: number;
  address: number;
  thread: string;
  tid: number;
  registers: bigint[];
  stack: { address: number; bytes: Buffer };
  mappings: Mapping[];
}

/** Of a thread that is held. */
export interface HeldDocument extends CrashDocument {
  /** The number of the hold in the process. */
  id: number;
  /** The instruction raised the signal, and would do so again. */
  isFault: boolean;
  /** Low eight bytes of the vector registers. */
  vectors: bigint[];
}

/** Undefined when the process left none. Throws HotPatchError protocol-mismatch. */
export function readCrashDocument(controlDirectory: string): CrashDocument | undefined {
  const text = readTextIfThere(join(controlDirectory, CRASH_FILE), LARGEST);
  return text === undefined ? undefined : parseCrash(parseDocument(text, 'last word'));
}

/** Of all threads that are held, the first that crashed first. Throws HotPatchError protocol-mismatch. */
export function readHeldDocuments(controlDirectory: string): HeldDocument[] {
  const directory = join(controlDirectory, HELD_DIRECTORY);
  return namesIn(directory)
    .filter((name) => /^\d+\.json$/.test(name))
    .flatMap((name): HeldDocument[] => {
      const text = readTextIfThere(join(directory, name), LARGEST);
      if (text === undefined) return []; // it goes on
      const document = parseDocument(text, 'word of a held thread');
      const id = document.get('held').number();
      const vectors = document.get('vectors').list((vector) => addressOf(vector.text()));
      return [{ ...parseCrash(document), id, isFault: document.get('fault').flag(), vectors }];
    })
    .sort((a, b) => a.id - b.id);
}

function parseCrash(crash: ReturnType<typeof parseDocument>): CrashDocument {
  const stack = crash.get('stack');
  return {
    startTime: crash.get('startTime').number(),
    at: crash.get('time').number(),
    signal: crash.get('signal').number(),
    code: crash.get('code').number(),
    address: Number(crash.get('address').text()),
    thread: crash.get('thread').text(),
    tid: crash.get('tid').number(),
    registers: crash.get('registers').list((register) => addressOf(register.text())),
    stack: {
      address: Number(stack.get('address').text()),
      bytes: Buffer.from(stack.get('bytes').bytes(), 'hex'),
    },
    mappings: parseMaps(crash.get('maps').orNull((maps) => maps.text()) ?? ''),
  };
}

/** An address of a document, exactly. */
function addressOf(text: string): bigint {
  return /^0x[0-9a-f]+$/.test(text) ? BigInt(text) : 0n;
}

/** signal(7), for x86-64. */
const NAMES: Readonly<Record<number, string>> = {
  4: 'SIGILL',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  11: 'SIGSEGV',
  31: 'SIGSYS',
};

const NULL_PAGE = 0x1000;
/** A frame may be that large, when it is what does not fit onto the stack any more. */
const BEYOND_STACK = 0x10_0000;

export function signalName(signal: number): string {
  return NAMES[signal] ?? `signal ${signal}`;
}

/** What raised the signal; the codes are those of sigaction(2).
 * @param stackPointer of the thread */
export function causeOf(
  { signal, code, address }: Pick<CrashDocument, 'signal' | 'code' | 'address'>,
  stackPointer: number,
): string {
  const at = `address 0x${address.toString(16)}`;
  switch (signalName(signal)) {
    case 'SIGABRT':
      return 'abort()';
    case 'SIGSEGV':
      if (code <= 0) return 'sent by a program';
      // A general protection fault: the address is not told.
      if (code === 0x80) return 'an address that no memory can have';
      if (Math.abs(address - stackPointer) < BEYOND_STACK && address < stackPointer + NULL_PAGE)
        return 'stack overflow';
      if (address < NULL_PAGE) return `null pointer (${at})`;
      return code === 2 ? `access denied to ${at}` : `no memory at ${at}`;
    case 'SIGBUS':
      return code <= 0 ? 'sent by a program' : `${at} cannot be read or written`;
    case 'SIGFPE':
      return code === 1 ? 'integer division by zero' : 'arithmetic error';
    case 'SIGILL':
      return code <= 0 ? 'sent by a program' : 'illegal instruction';
    case 'SIGSYS':
      return 'a system call that its sandbox forbids';
    default:
      return '';
  }
}
