// How a linked file's functions are left: for an instruction, where its caller's registers are (the .eh_frame section; LSB
// Core, "Exception Frames"; DWARF 5, section 6.4). For the backtrace of a process that crashed. Reads no debug information.
import * as abi from '../elf/constants';
import { afterEncoded, encoded } from '../elf/exception_table';
import type { ElfFile } from '../elf/file';
import { afterLeb, sleb, uleb } from '../elf/leb128';
import { lowerBound } from '../shared/search';

/** Values by DWARF register number, unsigned; the last one is where the thread is (psABI for x86-64, figure 3.36). */
export type Registers = readonly (bigint | undefined)[];

/** The 8 bytes of memory at an address, unsigned; undefined when they are not known. */
export type ReadWord = (address: bigint) => bigint | undefined;

export interface Caller {
  readonly registers: Registers;
  /** The frame is the kernel's for a signal: the caller is where the signal came, not behind a call. */
  readonly interrupted: boolean;
}

const word = (value: bigint): bigint => BigInt.asUintN(64, value);

interface Cie {
  readonly codeAlignment: number;
  readonly dataAlignment: number;
  readonly returnAddress: number;
  readonly encoding: number;
  /** Of the pointer to a function's exception table; undefined: it has none. */
  readonly tableEncoding: number | undefined;
  readonly isSignalFrame: boolean;
  readonly hasAugmentation: boolean;
  readonly start: number;
  readonly end: number;
}

interface Fde {
  readonly low: number;
  readonly high: number;
  readonly cie: Cie;
  readonly exceptionTable: number | undefined;
  readonly start: number;
  readonly end: number;
}

type Rule =
  | { readonly kind: 'offset' | 'value'; readonly offset: number }
  | { readonly kind: 'register'; readonly register: number }
  | { readonly kind: 'expression' | 'value-expression'; readonly bytes: Buffer }
  | { readonly kind: 'undefined' };

interface Row {
  cfa: { readonly register: number; readonly offset: number } | { readonly expression: Buffer } | undefined;
  rules: Map<number, Rule>;
}

const STACK_POINTER = 7;
const MOST_STEPS = 4096;

/**
 * The registers of the caller of the code at an address of the file.
 * @param address in the file, of the instruction or of any byte before the one that is returned to
 * @param registers of the frame
 * @returns undefined when the file does not say, or the stack cannot be read
 */
export function callerOf(
  elf: ElfFile,
  address: number,
  registers: Registers,
  read: ReadWord,
): Caller | undefined {
  try {
    const { data, fdes } = elf.derived(readFrames);
    const fde = fdes[lowerBound(fdes.length, (i) => fdes[i]!.high <= address)];
    if (!fde || address < fde.low) return undefined;
    return unwind(fde, rowAt(data, fde, address), registers, read);
  } catch (thrown) {
    // It names bytes beyond its end, or what is not known.
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

/** The function whose code is at an address of the file, as call frames know it: a part of it that lies elsewhere is one of
 * its own. */
export function frameAt(
  elf: ElfFile,
  address: number,
): { low: number; high: number; exceptionTable: number | undefined } | undefined {
  const { fdes } = elf.derived(readFrames);
  const fde = fdes[lowerBound(fdes.length, (i) => fdes[i]!.high <= address)];
  return fde && address >= fde.low ? fde : undefined;
}

function unwind(
  fde: Fde,
  { cfa: rule, rules }: Row,
  registers: Registers,
  read: ReadWord,
): Caller | undefined {
  if (!rule) return undefined;
  const base = 'register' in rule ? registers[rule.register] : undefined;
  const cfa =
    'register' in rule
      ? base === undefined
        ? undefined
        : word(base + BigInt(rule.offset))
      : evaluate(rule.expression, registers, read, undefined);
  if (cfa === undefined) return undefined;
  const valueOf = (register: number): bigint | undefined => {
    const found = rules.get(register);
    switch (found?.kind) {
      case undefined:
        return register === STACK_POINTER ? cfa : registers[register];
      case 'offset':
        return read(word(cfa + BigInt(found.offset)));
      case 'value':
        return word(cfa + BigInt(found.offset));
      case 'register':
        return registers[found.register];
      case 'expression': {
        const at = evaluate(found.bytes, registers, read, cfa);
        return at === undefined ? undefined : read(at);
      }
      case 'value-expression':
        return evaluate(found.bytes, registers, read, cfa);
      case 'undefined':
        return undefined;
    }
  };
  const caller = registers.map((_, register) => valueOf(register));
  return { registers: caller, interrupted: fde.cie.isSignalFrame };
}

function readFrames(elf: ElfFile): { data: Buffer; fdes: Fde[] } {
  const section = elf.section('.eh_frame');
  const data = section && section.type !== abi.SHT_NOBITS ? elf.data(section) : Buffer.alloc(0);
  const base = section?.address ?? 0;
  const cies = new Map<number, Cie | undefined>();
  const fdes: Fde[] = [];
  for (let at = 0; at + 8 <= data.length;) {
    const length = data.readUInt32LE(at);
    const end = at + 4 + length;
    if (length === 0 || length === 0xffffffff || end > data.length) break;
    const id = data.readUInt32LE(at + 4);
    if (id !== 0) {
      const from = at + 4 - id;
      if (!cies.has(from)) cies.set(from, readCie(data, from));
      const cie = cies.get(from);
      if (cie) {
        const relative = (cie.encoding & 0x70) === 0x10 ? base + at + 8 : 0;
        const low = encoded(data, at + 8, cie.encoding) + relative;
        const range = afterEncoded(data, at + 8, cie.encoding);
        const size = encoded(data, range, cie.encoding & 0x0f);
        let start = afterEncoded(data, range, cie.encoding);
        const augmented = cie.hasAugmentation ? afterLeb(data, start) : start;
        const exceptionTable =
          cie.tableEncoding === undefined ? undefined : tableAt(data, augmented, base, cie.tableEncoding);
        if (cie.hasAugmentation) start = augmented + uleb(data, start);
        if (low !== 0) fdes.push({ low, high: low + size, cie, exceptionTable, start, end });
      }
    }
    at = end;
  }
  return { data, fdes: fdes.sort((a, b) => a.high - b.high) };
}

/** The pointer to an exception table, as an address of the file; undefined when the function has none. */
function tableAt(data: Buffer, at: number, base: number, encoding: number): number | undefined {
  const value = encoded(data, at, encoding);
  if (value === 0) return undefined;
  return (encoding & 0x70) === 0x10 ? base + at + value : value;
}

/** LSB Core, 10.6.1.1: undefined for an augmentation that is not known. */
function readCie(data: Buffer, at: number): Cie | undefined {
  const end = at + 4 + data.readUInt32LE(at);
  const stringEnd = data.indexOf(0, at + 9);
  const augmentation = data.toString('latin1', at + 9, stringEnd);
  let cursor = stringEnd + 1;
  const codeAlignment = uleb(data, cursor);
  cursor = afterLeb(data, cursor);
  const dataAlignment = sleb(data, cursor);
  cursor = afterLeb(data, cursor);
  const returnAddress = uleb(data, cursor);
  cursor = data[at + 8] === 1 ? cursor + 1 : afterLeb(data, cursor);
  let encoding = 0;
  let tableEncoding: number | undefined;
  const hasAugmentation = augmentation.startsWith('z');
  if (augmentation !== '' && !hasAugmentation) return undefined;
  const start = hasAugmentation ? afterLeb(data, cursor) + uleb(data, cursor) : cursor;
  if (hasAugmentation) cursor = afterLeb(data, cursor);
  for (const letter of augmentation.slice(1)) {
    if (letter === 'R') encoding = data.readUInt8(cursor++);
    else if (letter === 'L') tableEncoding = data.readUInt8(cursor++);
    else if (letter === 'P') cursor = afterEncoded(data, cursor + 1, data.readUInt8(cursor));
  }
  const isSignalFrame = augmentation.includes('S');
  return {
    codeAlignment,
    dataAlignment,
    returnAddress,
    encoding,
    tableEncoding,
    isSignalFrame,
    hasAugmentation,
    start,
    end,
  };
}

/** Runs the call frame instructions up to an address (DWARF 5, section 6.4.2). */
function rowAt(data: Buffer, fde: Fde, address: number): Row {
  const { cie } = fde;
  const row: Row = { cfa: undefined, rules: new Map() };
  run(data, cie.start, cie.end, cie, row, new Map(), fde.low, Number.MAX_SAFE_INTEGER);
  run(data, fde.start, fde.end, cie, row, new Map(row.rules), fde.low, address);
  return row;
}

function run(
  data: Buffer,
  start: number,
  end: number,
  cie: Cie,
  row: Row,
  initial: ReadonlyMap<number, Rule>,
  from: number,
  until: number,
): void {
  const saved: Row[] = [];
  let location = from;
  let at = start;
  const number = (): number => {
    const value = uleb(data, at);
    at = afterLeb(data, at);
    return value;
  };
  const signed = (): number => {
    const value = sleb(data, at);
    at = afterLeb(data, at);
    return value;
  };
  const block = (): Buffer => {
    const length = number();
    at += length;
    return data.subarray(at - length, at);
  };
  const restore = (register: number): void => {
    const rule = initial.get(register);
    if (rule) row.rules.set(register, rule);
    else row.rules.delete(register);
  };
  const offset = (register: number, value: number): void => {
    row.rules.set(register, { kind: 'offset', offset: value * cie.dataAlignment });
  };
  const cfaOffset = (value: number): void => {
    if (row.cfa && 'register' in row.cfa) row.cfa = { register: row.cfa.register, offset: value };
  };
  while (at < end && location <= until) {
    const opcode = data.readUInt8(at++);
    const low = opcode & 0x3f;
    let advance = 0;
    if (opcode >> 6 === 1) advance = low;
    else if (opcode >> 6 === 2) offset(low, number());
    else if (opcode >> 6 === 3) restore(low);
    else
      switch (opcode) {
        case 0x00: // DW_CFA_nop
          break;
        case 0x02: // DW_CFA_advance_loc1, 2, 4
          advance = data.readUInt8(at++);
          break;
        case 0x03:
          advance = data.readUInt16LE(at);
          at += 2;
          break;
        case 0x04:
          advance = data.readUInt32LE(at);
          at += 4;
          break;
        case 0x05: // DW_CFA_offset_extended
          offset(number(), number());
          break;
        case 0x06: // DW_CFA_restore_extended
          restore(number());
          break;
        case 0x07: // DW_CFA_undefined
          row.rules.set(number(), { kind: 'undefined' });
          break;
        case 0x08: // DW_CFA_same_value
          row.rules.delete(number());
          break;
        case 0x09: // DW_CFA_register
          row.rules.set(number(), { kind: 'register', register: number() });
          break;
        case 0x0a: // DW_CFA_remember_state
          saved.push({ cfa: row.cfa, rules: new Map(row.rules) });
          break;
        case 0x0b: {
          // DW_CFA_restore_state
          const last = saved.pop();
          if (last) [row.cfa, row.rules] = [last.cfa, last.rules];
          break;
        }
        case 0x0c: // DW_CFA_def_cfa
          row.cfa = { register: number(), offset: number() };
          break;
        case 0x0d: // DW_CFA_def_cfa_register
          row.cfa = { register: number(), offset: row.cfa && 'offset' in row.cfa ? row.cfa.offset : 0 };
          break;
        case 0x0e: // DW_CFA_def_cfa_offset
          cfaOffset(number());
          break;
        case 0x0f: // DW_CFA_def_cfa_expression
          row.cfa = { expression: block() };
          break;
        case 0x10: // DW_CFA_expression
          row.rules.set(number(), { kind: 'expression', bytes: block() });
          break;
        case 0x11: // DW_CFA_offset_extended_sf
          offset(number(), signed());
          break;
        case 0x12: // DW_CFA_def_cfa_sf
          row.cfa = { register: number(), offset: signed() * cie.dataAlignment };
          break;
        case 0x13: // DW_CFA_def_cfa_offset_sf
          cfaOffset(signed() * cie.dataAlignment);
          break;
        case 0x14: // DW_CFA_val_offset
          row.rules.set(number(), { kind: 'value', offset: number() * cie.dataAlignment });
          break;
        case 0x16: // DW_CFA_val_expression
          row.rules.set(number(), { kind: 'value-expression', bytes: block() });
          break;
        case 0x2e: // DW_CFA_GNU_args_size
          number();
          break;
        default:
          throw new RangeError(`call frame instruction ${opcode}`);
      }
    location += advance * cie.codeAlignment;
  }
}

/** The operations that compilers and libc use in call frames (DWARF 5, section 2.5): of signal frames, PLTs and realigned
 * stacks. */
function evaluate(
  code: Buffer,
  registers: Registers,
  read: ReadWord,
  first: bigint | undefined,
): bigint | undefined {
  const stack: bigint[] = first === undefined ? [] : [first];
  const push = (value: bigint | number): void => void stack.push(word(BigInt(value)));
  const pop = (): bigint => {
    const value = stack.pop();
    if (value === undefined) throw new RangeError('an empty stack');
    return value;
  };
  let at = 0;
  for (let steps = 0; at < code.length && steps < MOST_STEPS; steps++) {
    const opcode = code.readUInt8(at++);
    if (opcode >= 0x70 && opcode <= 0x8f) {
      const base = registers[opcode - 0x70]; // DW_OP_breg0 …
      if (base === undefined) return undefined;
      push(base + BigInt(sleb(code, at)));
      at = afterLeb(code, at);
    } else if (opcode >= 0x30 && opcode <= 0x4f)
      push(opcode - 0x30); // DW_OP_lit0 …
    else
      switch (opcode) {
        case 0x03: // DW_OP_addr
          push(code.readBigUInt64LE(at));
          at += 8;
          break;
        case 0x06: {
          // DW_OP_deref
          const value = read(pop());
          if (value === undefined) return undefined;
          push(value);
          break;
        }
        case 0x08: // DW_OP_const1u, 1s
          push(code.readUInt8(at++));
          break;
        case 0x09:
          push(code.readInt8(at++));
          break;
        case 0x0e: // DW_OP_const8u, 8s
        case 0x0f:
          push(code.readBigUInt64LE(at));
          at += 8;
          break;
        case 0x1a: // DW_OP_and
          push(pop() & pop());
          break;
        case 0x22: // DW_OP_plus
          push(pop() + pop());
          break;
        case 0x23: // DW_OP_plus_uconst
          push(pop() + BigInt(uleb(code, at)));
          at = afterLeb(code, at);
          break;
        case 0x24: {
          // DW_OP_shl
          const by = pop();
          push(pop() << by);
          break;
        }
        case 0x2a: {
          // DW_OP_ge
          const right = pop();
          push(BigInt.asIntN(64, pop()) >= BigInt.asIntN(64, right) ? 1 : 0);
          break;
        }
        default:
          throw new RangeError(`operation ${opcode}`);
      }
  }
  return stack.pop();
}
