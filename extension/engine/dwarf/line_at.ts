// The source of one instruction of a linked file: its function and its line. For backtraces.
import * as abi from '../elf/constants';
import type { ElfFile, ElfSymbol } from '../elf/file';
import { lowerBound } from '../shared/search';
import { unitWithCode } from './code_ranges';
import { Dwarf } from './dwarf';
import { lineTableOf } from './functions';
import { readLineRows, type LineRow } from './lines';
import { reading } from './malformed';

export interface CodePlace {
  /** Symbol of the function, as the linker spells it. */
  symbol?: string;
  file?: string;
  /** 1-based. */
  line?: number;
}

/**
 * @param address in the file, as its symbols have it
 * @throws HotPatchError `unsupported-object` when the debug information is malformed.
 */
export function placeOfCode(elf: ElfFile, address: number): CodePlace {
  const symbol = functionAt(elf, address)?.name;
  return { ...(symbol !== undefined && { symbol }), ...lineOf(elf, address) };
}

/** The symbol of the function whose code is at an address of the file. */
export function functionAt(elf: ElfFile, address: number): ElfSymbol | undefined {
  const functions = elf.derived(functionsByAddress);
  // Symbols of one address are alike; the last one that begins at or before it.
  const before = functions[lowerBound(functions.length, (i) => functions[i]!.value <= address) - 1];
  return before && address < before.value + Math.max(before.size, 1) ? before : undefined;
}

function functionsByAddress(elf: ElfFile): ElfSymbol[] {
  const isFunction = ({ type, section }: ElfSymbol) =>
    (type === abi.STT_FUNC || type === abi.STT_GNU_IFUNC) && section !== abi.SHN_UNDEF;
  const own = elf.symbols().filter(isFunction);
  const symbols = own.length > 0 ? own : elf.symbols(abi.SHT_DYNSYM).filter(isFunction);
  return symbols.sort((a, b) => a.value - b.value);
}

function lineOf(elf: ElfFile, address: number): { file?: string; line?: number } {
  const unit = unitWithCode(elf, address);
  const table = unit && reading(elf.path, () => lineTableOf(elf, unit));
  if (!table) return {};
  let best: LineRow | undefined;
  // Sequences stand in any order; within one, addresses ascend, and its last row (line 0) is its end.
  let previous: LineRow | undefined;
  for (const row of reading(elf.path, () => readLineRows(Dwarf.of(elf), table))) {
    if (previous && previous.line > 0 && previous.address <= address && address < row.address)
      best = previous;
    previous = row;
  }
  const file = best && table.files[best.file];
  return file === undefined ? {} : { file, line: best!.line };
}
