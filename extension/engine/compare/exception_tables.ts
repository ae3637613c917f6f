// Do two versions of a function whose code is the same catch the same exceptions at the same calls? Part of the
// comparison of functions; an edit may touch nothing but what is caught, or which calls are in a `try`.
import { allowedTypes, type ExceptionTable, filters } from '../elf/exception_table';

export interface TablesToCompare {
  fresh: ExceptionTable;
  live: ExceptionTable;
  /** Offset in the live code that an offset in the fresh code is; undefined where that is not known. */
  position: (offset: number) => number | undefined;
  /** Are two entries of the tables of types (1-based) the same type? */
  sameType: (fresh: number, live: number) => boolean;
}

export function sameExceptionTables({ fresh, live, position, sameType }: TablesToCompare): boolean {
  if (fresh.callSites.length !== live.callSites.length || fresh.ownStart !== live.ownStart) return false;
  const isAt = (offset: number, there: number): boolean => (position(offset) ?? there) === there;
  return fresh.callSites.every((site, i) => {
    const other = live.callSites[i]!;
    if (!isAt(site.start, other.start)) return false;
    if (!isAt(site.start + site.length, other.start + other.length)) return false;
    if ((site.landingPad === 0) !== (other.landingPad === 0)) return false;
    // Landing pads in an unlikely part are compared with that part.
    if (!fresh.ownStart && site.landingPad !== 0 && !isAt(site.landingPad, other.landingPad)) return false;
    return sameActions(site.action, other.action);
  });

  function sameActions(action: number, other: number): boolean {
    const one = filters(fresh, action);
    const two = filters(live, other);
    return one.length === two.length && one.every((filter, i) => sameFilter(filter, two[i]!));
  }

  function sameFilter(one: number, two: number): boolean {
    if (one > 0 && two > 0) return sameType(one, two);
    if (one === 0 || two === 0) return one === two;
    if (one > 0 || two > 0) return false;
    const types = allowedTypes(fresh, one);
    const others = allowedTypes(live, two);
    return types.length === others.length && types.every((type, i) => sameType(type, others[i]!));
  }
}
