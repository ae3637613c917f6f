// Arrays that the linker puts together of what units place into a section of one name, between the symbols `__start_NAME`
// and `__stop_NAME` (GNU ld, "Input Section Example"): tables of commands, tests, drivers. They have the size that they
// were linked with, so a new entry is in none, and a constant one keeps the value that it has there. Part of variables.ts.
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import { isConstant } from '../elf/object';
import type { UnitComparison } from './unit';

/** Objects of the unit that belong to such an array of the module, and are not in it as they are now. */
export function missingEntries(comparison: UnitComparison): { symbol: ElfSymbol; array: string }[] {
  const { object, live } = comparison;
  const module = live.module;
  return object.symbols.flatMap((symbol) => {
    if (symbol.type !== abi.STT_OBJECT || symbol.size === 0) return [];
    const section = object.sectionOf(symbol);
    // Only of names that are identifiers in C does the linker make such symbols. What clang counts for a profile is no
    // part of the program.
    if (!section || !/^(?!__llvm_)[A-Za-z_]\w*$/.test(section.name)) return [];
    const start = module.global(`__start_${section.name}`);
    const stop = module.global(`__stop_${section.name}`);
    if (!start || !stop) return [];
    const entry = isConstant(section) ? comparison.constant(section, symbol) : comparison.variable(symbol);
    const isThere = entry !== undefined && entry.address >= start.address && entry.address < stop.address;
    return isThere ? [] : [{ symbol, array: section.name }];
  });
}
