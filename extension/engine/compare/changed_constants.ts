// Named constants of a unit that the process has with another content: tables of offsets, for one, which a migration of
// objects must leave nobody with. Part of the comparison of a unit; judges nothing.
import * as abi from '../elf/constants';
import { isConstant } from '../elf/object';
import type { LiveSymbol } from '../live/live_image';
import { IDENTITY } from './constants';
import type { UnitComparison } from './unit';

/** Where the process has them, all that may be meant. */
export function changedConstants(comparison: UnitComparison): LiveSymbol[] {
  const { object, correlation } = comparison;
  return object.symbols.flatMap((symbol) => {
    const section = object.sectionOf(symbol);
    if (!section || symbol.type !== abi.STT_OBJECT || symbol.size === 0 || IDENTITY.test(symbol.name))
      return [];
    if (!isConstant(section) || comparison.constant(section, symbol)) return [];
    return correlation.candidates(symbol);
  });
}
