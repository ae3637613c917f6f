// Call frame information of an object's functions: the CIEs and FDEs of its .eh_frame, by function (LSB Core, "Exception
// Frames"; DWARF 5, section 6.4). Used by the comparison, which asks for exception tables, by the selection of a patch's
// parts, which keeps what they refer to, and by the writer, which places them. Interprets no call frame instructions.
import { afterLeb } from './leb128';
import * as abi from './constants';
import { afterEncoded, encoded } from './exception_table';
import type { ElfFile, ElfSymbol, Relocation, Section } from './file';
import type { ObjectFile, ObjectFunction } from './object';

/** A CIE or FDE: its bytes with the length word, and the relocations in it (offsets from its start). */
export interface FrameEntry {
  bytes: Buffer;
  relocations: Relocation[];
}

export interface FrameDescription {
  cie: FrameEntry;
  fde: FrameEntry;
}

export class Unwind {
  private readonly byFunction = new Map<ObjectFunction, FrameDescription[]>();

  constructor(private readonly object: ObjectFile) {}

  add(fn: ObjectFunction, description: FrameDescription): void {
    const list = this.byFunction.get(fn);
    if (list) list.push(description);
    else this.byFunction.set(fn, [description]);
  }

  of(fn: ObjectFunction): readonly FrameDescription[] {
    return this.byFunction.get(fn) ?? [];
  }

  /** Where the exception table of a function is (its language-specific data area). */
  exceptionTable(fn: ObjectFunction): { section: Section; offset: number } | undefined {
    for (const { fde } of this.of(fn))
      for (const relocation of fde.relocations) {
        const symbol = this.object.symbol(relocation.symbol);
        const section = this.object.sectionOf(symbol);
        if (relocation.offset > 8 && section?.name.startsWith('.gcc_except_table'))
          return { section, offset: symbol.value + relocation.addend };
      }
    return undefined;
  }

  /** What the frames of a function refer to besides code: personality routine and language-specific data. */
  references(fn: ObjectFunction): { symbol: ElfSymbol; offset: number }[] {
    const references: { symbol: ElfSymbol; offset: number }[] = [];
    for (const { cie, fde } of this.of(fn))
      for (const relocation of [...cie.relocations, ...fde.relocations]) {
        const symbol = this.object.symbol(relocation.symbol);
        const section = this.object.sectionOf(symbol);
        if (section && section.flags & abi.SHF_EXECINSTR) continue;
        references.push({ symbol, offset: relocation.addend });
      }
    return references;
  }
}

/** Splits the .eh_frame of an object by function. An object without one (or a malformed one) has no frames. */
export function readUnwind(object: ObjectFile): Unwind {
  const unwind = new Unwind(object);
  for (const section of object.elf.sections) {
    if (section.name !== '.eh_frame' || section.type === abi.SHT_NOBITS) continue;
    const data = object.elf.data(section);
    const cies = new Map<number, FrameEntry>();
    for (let at = 0; at + 8 <= data.length;) {
      const length = data.readUInt32LE(at);
      // A zero length ends the section; the 64-bit form (0xffffffff) is not used on x86-64.
      if (length === 0 || length === 0xffffffff || at + 4 + length > data.length) break;
      const end = at + 4 + length;
      const entry: FrameEntry = {
        bytes: data.subarray(at, end),
        relocations: object
          .relocationsIn(section, at, end)
          .map((relocation) => ({ ...relocation, offset: relocation.offset - at })),
      };
      const id = data.readUInt32LE(at + 4);
      if (id === 0) cies.set(at, entry);
      else {
        const cie = cies.get(at + 4 - id);
        const begin = entry.relocations.find((relocation) => relocation.offset === 8);
        const symbol = begin && object.symbol(begin.symbol);
        const code = symbol && object.sectionOf(symbol);
        const fn = code && object.functionAt(code, symbol.value + begin.addend);
        if (cie && fn) unwind.add(fn, { cie, fde: entry });
      }
      at = end;
    }
  }
  return unwind;
}

/**
 * Addresses of the language-specific data areas of a linked file's functions, by the function's address; both as in the
 * file. Undefined when it has no .eh_frame, or a malformed one.
 */
export function exceptionTables(elf: ElfFile): ReadonlyMap<number, number> | undefined {
  return elf.derived(readExceptionTables);
}

/** What a CIE says about the pointers of its FDEs. */
interface Encodings {
  code: number;
  /** Undefined: functions without exception tables. */
  table: number | undefined;
}

function readExceptionTables(elf: ElfFile): ReadonlyMap<number, number> | undefined {
  const section = elf.section('.eh_frame');
  if (!section || section.type === abi.SHT_NOBITS) return undefined;
  const data = elf.data(section);
  const tables = new Map<number, number>();
  const cies = new Map<number, Encodings | undefined>();
  try {
    for (let at = 0; at + 8 <= data.length;) {
      const length = data.readUInt32LE(at);
      if (length === 0 || length === 0xffffffff) break;
      const id = data.readUInt32LE(at + 4);
      if (id !== 0) {
        const cie = at + 4 - id;
        if (!cies.has(cie)) cies.set(cie, readEncodings(data, cie));
        const encodings = cies.get(cie);
        if (encodings?.table !== undefined) {
          const code = pointer(data, section.address, at + 8, encodings.code);
          // Behind the function's length, which has the same form, and the length of the augmentation.
          const range = afterEncoded(data, at + 8, encodings.code);
          const augmentation = afterLeb(data, afterEncoded(data, range, encodings.code & 0x0f));
          const table = pointer(data, section.address, augmentation, encodings.table);
          if (code !== undefined && table !== undefined) tables.set(code, table);
        }
      }
      at += 4 + length;
    }
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
  return tables;
}

/** LSB Core, 10.6.1.1.1: the augmentation of a CIE. Undefined when there is none that says the length. */
function readEncodings(data: Buffer, cie: number): Encodings | undefined {
  const end = data.indexOf(0, cie + 9);
  const augmentation = data.toString('latin1', cie + 9, end);
  if (!augmentation.startsWith('z')) return undefined;
  let at = end + 1;
  // Code and data alignment, return address register (a byte in version 1), length of the augmentation.
  for (let field = 0; field < 2; field++) at = afterLeb(data, at);
  at = data[cie + 8] === 1 ? at + 1 : afterLeb(data, at);
  at = afterLeb(data, at);
  const encodings: Encodings = { code: 0, table: undefined };
  for (const letter of augmentation.slice(1)) {
    if (letter === 'R') encodings.code = data.readUInt8(at++);
    else if (letter === 'L') encodings.table = data.readUInt8(at++);
    else if (letter === 'P') at = afterEncoded(data, at + 1, data.readUInt8(at));
    else if (letter !== 'S' && letter !== 'B') return undefined;
  }
  return encodings;
}

/** An absolute or PC-relative pointer; undefined for a null one. */
function pointer(data: Buffer, address: number, at: number, encoding: number): number | undefined {
  if (encoding === DW_EH_PE_omit) return undefined;
  const value = encoded(data, at, encoding);
  if (value === 0) return undefined;
  return (encoding & 0x70) === DW_EH_PE_pcrel ? address + at + value : value;
}

const DW_EH_PE_omit = 0xff;
const DW_EH_PE_pcrel = 0x10;
