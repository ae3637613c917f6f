// Variables that became thread_local, or are no more: each thread of the process has its own, or all have one, and code of
// the other kind looks for it where it is not. Part of the safety checks; told by symbols, which say so of what the unit
// only declares as well.
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import { isConstant } from '../elf/object';
import type { LiveSymbol } from '../live/live_image';
import { isNumbered, stem } from './correlate';
import type { UnitComparison } from './unit';

/** Variables of the fresh unit that are of the other kind in the process. */
export function changedStorage(comparison: UnitComparison): ElfSymbol[] {
  const { object } = comparison;
  return object.symbols.filter((symbol) => {
    if (symbol.name === '' || !isVariable(symbol.type)) return false;
    const section = object.sectionOf(symbol);
    // A constant is the same everywhere, and a copy as good as it.
    if (section && (symbol.size === 0 || isConstant(section))) return false;
    if (section && comparison.variable(symbol)) return false;
    return livingAs(symbol, comparison).some(
      ({ type }) => (type === abi.STT_TLS) !== (symbol.type === abi.STT_TLS),
    );
  });
}

/** An undefined symbol of another kind than thread_local has none. */
function isVariable(type: number): boolean {
  return type === abi.STT_OBJECT || type === abi.STT_TLS || type === abi.STT_NOTYPE;
}

/** What carries a variable's name in the process. */
function livingAs(symbol: ElfSymbol, comparison: UnitComparison): LiveSymbol[] {
  const { live, correlation } = comparison;
  const isData = ({ type }: LiveSymbol): boolean => type === abi.STT_OBJECT || type === abi.STT_TLS;
  if (symbol.binding !== abi.STB_LOCAL) {
    const found = live.global(symbol.name);
    return found && isData(found) ? [found] : [];
  }
  const named = correlation
    .unitSymbols()
    .filter(
      (other) =>
        isData(other) &&
        (other.name === symbol.name ||
          (isNumbered(symbol.name) && isNumbered(other.name) && stem(other.name) === stem(symbol.name))),
    );
  // Of statics of functions, not those that are others' of the unit.
  const taken = new Set(comparison.object.symbols.map((other) => isOfUnit(other, comparison)));
  return named.filter((other) => !taken.has(other));
}

function isOfUnit(symbol: ElfSymbol, comparison: UnitComparison): LiveSymbol | undefined {
  const isDefined = comparison.object.sectionOf(symbol) !== undefined;
  return isDefined && isVariable(symbol.type) && symbol.size > 0 ? comparison.variable(symbol) : undefined;
}
