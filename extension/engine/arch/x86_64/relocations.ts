// The relocation types of x86-64 (psABI, section 4.4.1): what they mean, and how their fields are written.
import type { DynamicKind, Meaning, Relocations, SlotContent, Via } from '../architecture';
import * as abi from './abi';
import { linkedForm } from './linked_forms';

const UNKNOWN: Meaning = { via: 'unknown', width: 4, origin: 0 };

const plain = (via: Via, width: Meaning['width']): Meaning => ({ via, width, origin: 0 });
/** Such a field is the last of its branch, and counts from its own end. */
const relative = (via: 'pc' | 'plt', width: 1 | 4): Meaning => ({ via, width, origin: width });
const slot = (content: SlotContent): Meaning => ({ via: 'got', width: 4, origin: 4, slot: content });

const MEANINGS: readonly (Meaning | undefined)[] = byNumber([
  [abi.R_X86_64_NONE, plain('nothing', 4)],
  [abi.R_X86_64_64, plain('absolute', 8)],
  [abi.R_X86_64_32, plain('absolute', 4)],
  [abi.R_X86_64_32S, plain('absolute', 4)],
  [abi.R_X86_64_PC8, relative('pc', 1)],
  [abi.R_X86_64_PC32, relative('pc', 4)],
  [abi.R_X86_64_PLT32, relative('plt', 4)],
  [abi.R_X86_64_PC64, plain('pc', 8)],
  [abi.R_X86_64_GOTPCREL, slot('address')],
  [abi.R_X86_64_GOTPCRELX, slot('address')],
  [abi.R_X86_64_REX_GOTPCRELX, slot('address')],
  [abi.R_X86_64_GOTTPOFF, slot('thread-offset')],
  [abi.R_X86_64_TLSGD, slot('module-and-offset')],
  [abi.R_X86_64_TLSLD, slot('module')],
  [abi.R_X86_64_TPOFF32, plain('thread-offset', 4)],
  [abi.R_X86_64_DTPOFF32, plain('module-offset', 4)],
  [abi.R_X86_64_DTPOFF64, plain('module-offset', 8)],
]);

/** By type: debug information has hundreds of thousands of relocations. */
function byNumber<T>(entries: readonly (readonly [number, T])[]): (T | undefined)[] {
  const table: (T | undefined)[] = [];
  for (const [type, value] of entries) table[type] = value;
  return Array.from(table);
}

const DYNAMIC_KINDS: ReadonlyMap<number, DynamicKind> = new Map([
  [abi.R_X86_64_RELATIVE, 'relative'],
  [abi.R_X86_64_IRELATIVE, 'resolver'],
  [abi.R_X86_64_COPY, 'copy'],
  [abi.R_X86_64_TPOFF64, 'thread-offset'],
]);

const INT32 = { least: -0x8000_0000, most: 0x7fff_ffff };
const UINT32 = { least: 0, most: 0xffff_ffff };
const INT8 = { least: -0x80, most: 0x7f };

function write(type: number, bytes: Buffer, at: number, value: number, place: number): boolean {
  const { via, width } = MEANINGS[type] ?? UNKNOWN;
  const isFromPlace = via === 'pc' || via === 'plt' || via === 'got';
  const written = isFromPlace ? value - place : value;
  if (width === 8) {
    bytes.writeBigInt64LE(BigInt(written), at);
    return true;
  }
  const { least, most } = width === 1 ? INT8 : type === abi.R_X86_64_32 ? UINT32 : INT32;
  if (written < least || written > most) return false;
  if (width === 1) bytes.writeInt8(written, at);
  else bytes.writeUInt32LE(written >>> 0, at);
  return true;
}

export const relocations: Relocations = {
  meaning: (type) => MEANINGS[type] ?? UNKNOWN,
  resolvedType: (width) => (width === 1 ? abi.R_X86_64_PC8 : abi.R_X86_64_PC32),
  write,
  linkedForm,
  dynamicTypes: {
    pointer: abi.R_X86_64_64,
    slot: abi.R_X86_64_GLOB_DAT,
    'thread-offset': abi.R_X86_64_TPOFF64,
    module: abi.R_X86_64_DTPMOD64,
    'module-offset': abi.R_X86_64_DTPOFF64,
  },
  dynamicKind: (type) => DYNAMIC_KINDS.get(type) ?? 'other',
};
