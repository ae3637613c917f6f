// The runtime's JSON (docs/PROTOCOL.md, section 3) as model types. It was written by another program, in another
// version perhaps, so every field is checked before anything relies on it. Pure.
import type { Answer } from '../context';
import { HotPatchError } from '../model/errors';
import { ERROR_TABLE, type ErrorCode } from '../model/error_table';
import type {
  FunctionVersion,
  LoadedPatch,
  MigratedType,
  Page,
  PatchedFunction,
  ProcessStatus,
  Problem,
  ProtectionCall,
  Trampoline,
} from '../model/result';

/** One JSON value of a document, with its path for the message. */
export class Field {
  constructor(
    private readonly value: unknown,
    private readonly path: string,
  ) {}

  private wrong(expected: string): HotPatchError {
    return new HotPatchError('protocol-mismatch', `The runtime's ${this.path} is not ${expected}`);
  }

  get(name: string): Field {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value))
      throw this.wrong('an object');
    return new Field((this.value as Record<string, unknown>)[name], `${this.path}.${name}`);
  }

  list<T>(item: (field: Field) => T): T[] {
    if (!Array.isArray(this.value)) throw this.wrong('a list');
    return this.value.map((value, index) => item(new Field(value, `${this.path}[${index}]`)));
  }

  /** `item` of the field, or null where the JSON has null. */
  orNull<T>(item: (field: Field) => T): T | null {
    return this.value === null || this.value === undefined ? null : item(this);
  }

  text(): string {
    if (typeof this.value !== 'string') throw this.wrong('a string');
    return this.value;
  }

  number(): number {
    if (typeof this.value !== 'number' || !Number.isFinite(this.value)) throw this.wrong('a number');
    return this.value;
  }

  flag(): boolean {
    if (typeof this.value !== 'boolean') throw this.wrong('true or false');
    return this.value;
  }

  oneOf<T extends string>(...choices: readonly T[]): T {
    const text = this.text();
    const choice = choices.find((known) => known === text);
    if (choice === undefined) throw this.wrong(`one of ${choices.join(', ')} but "${text}"`);
    return choice;
  }

  /** `0x…`, at most 47 bits, as the model has it. */
  address(): string {
    const text = this.text();
    if (!/^0x[0-9a-f]{1,12}$/.test(text)) throw this.wrong('an address');
    return text;
  }

  bytes(): string {
    const text = this.text();
    if (!/^([0-9a-f]{2})*$/.test(text)) throw this.wrong('bytes in hexadecimal');
    return text;
  }
}

/** Throws HotPatchError protocol-mismatch when it is not JSON. */
export function parseDocument(text: string, what: string): Field {
  try {
    return new Field(JSON.parse(text), what);
  } catch {
    throw new HotPatchError('protocol-mismatch', `The runtime's ${what} is not JSON`);
  }
}

const protectionCall = (call: Field): ProtectionCall => ({
  protection: call.get('protection').text(),
  result: call.get('result').number(),
  errno: call.get('errno').number(),
});

const page = (field: Field): Page => ({
  start: field.get('start').address(),
  length: field.get('length').number(),
  calls: field.get('calls').list(protectionCall),
});

const trampoline = (field: Field): Trampoline => ({
  address: field.get('address').address(),
  kind: field.get('kind').oneOf('jmp-rel32', 'jmp-rel32+island', 'none'),
  method: field.get('method').text(),
  bytesBefore: field.get('bytesBefore').bytes(),
  bytesAfter: field.get('bytesAfter').bytes(),
  target: field.get('target').address(),
});

const version = (field: Field): FunctionVersion => ({
  version: field.get('version').number(),
  patch: field.get('patch').orNull((patch) => patch.number()),
  address: field.get('address').address(),
  size: field.get('size').number(),
  activeThreads: field.get('activeThreads').number(),
});

const patchedFunction = (field: Field): PatchedFunction => ({
  name: field.get('symbol').text(),
  symbol: field.get('symbol').text(),
  address: field.get('address').address(),
  module: field.get('module').text(),
  version: field.get('version').number(),
  versions: field.get('versions').list(version),
  trampoline: trampoline(field.get('trampoline')),
  pages: field.get('pages').list(page),
  activeThreads: field.get('activeThreads').number(),
  verified: field.get('verified').flag(),
  verifiedFromMemory: null,
});

const loadedPatch = (field: Field): LoadedPatch => ({
  id: field.get('id').number(),
  file: field.get('file').text(),
  base: field.get('base').address(),
  length: field.get('length').number(),
  kind: field.get('kind').oneOf('generated', 'fix_table'),
  module: field.get('module').text(),
  state: field.get('state').oneOf('live', 'superseded', 'unmapped'),
  loadedAt: field.get('loadedAt').number(),
  activeThreads: field.get('activeThreads').number(),
});

const liveLayout = (field: Field): NonNullable<ProcessStatus['layouts']>[number] => ({
  type: field.get('type').text(),
  layout: field.get('layout').text(),
});

const migratedType = (field: Field): MigratedType => ({
  type: field.get('type').text(),
  objects: field.get('objects').number(),
});

const status = (field: Field): Omit<ProcessStatus, 'exe'> => ({
  pid: field.get('pid').number(),
  sequence: field.get('sequence').number(),
  patches: field.get('patches').list(loadedPatch),
  functions: field.get('functions').list(patchedFunction),
  // An older runtime migrates nothing.
  layouts: field.get('layouts').orNull((layouts) => layouts.list(liveLayout)) ?? [],
});

/** status.json. Names are the symbols still, and nothing is verified from memory yet.
 * Throws HotPatchError protocol-mismatch. */
export function parseStatus(text: string, exe: string): ProcessStatus {
  return { exe, ...status(parseDocument(text, 'status')) };
}

const warning = (field: Field): Problem => ({
  code: knownCode(field.get('code').text()),
  message: field.get('message').text(),
});

/** answers/ID.json; times become milliseconds. Throws HotPatchError protocol-mismatch. */
export function parseAnswer(text: string, exe: string): Answer {
  const answer = parseDocument(text, 'answer');
  const timings = answer.get('timings');
  const milliseconds = (step: string): number => timings.get(step).number() / 1000;
  return {
    id: answer.get('id').text(),
    ok: answer.get('ok').flag(),
    error: answer.get('error').orNull((error) => ({
      // A code of a newer runtime is still a failure, with its message.
      code: knownCode(error.get('code').text()),
      message: error.get('message').text(),
      symbol: error.get('symbol').orNull((symbol) => symbol.text()),
      errno: error.get('errno').orNull((errno) => errno.number()),
    })),
    warnings: answer.get('warnings').orNull((warnings) => warnings.list(warning)) ?? [],
    migrated: answer.get('migrated').orNull((types) => types.list(migratedType)) ?? [],
    timings: Object.fromEntries(
      ['read', 'load', 'relocate', 'write', 'total'].map((step) => [step, milliseconds(step)]),
    ),
    status: { exe, ...status(answer.get('status')) },
  };
}

function knownCode(code: string): ErrorCode {
  return Object.hasOwn(ERROR_TABLE, code) ? (code as ErrorCode) : 'internal';
}
