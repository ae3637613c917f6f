// Which functions of a patch run what is not optimised for debugging, and which only came along with those that were
// edited, to be written into it. Decides only.
import type { ObjectFunction } from '../elf/object';
import type { MarkedCode } from '../link/input';
import type { FreshUnit, UnitPlan } from './unit';

/** A function that is entered through an entry of the module is marked itself. One that has none (it was inlined
 * everywhere, or is a clone) runs as long as something that has one calls it, so that is marked as well. */
export function marksOf(fresh: FreshUnit | undefined, { comparison, roles }: UnitPlan): MarkedCode[] {
  const deoptimised = fresh?.compiled.deoptimised;
  if (!deoptimised) return [];
  const { object } = comparison;
  const hasEntry = (fn: ObjectFunction): boolean => {
    const { live } = comparison.of(fn);
    return live !== undefined && live.image.patch === undefined;
  };
  const calledBy = (fn: ObjectFunction): ObjectFunction[] =>
    comparison.references.of(fn).flatMap(({ symbol: index, addend, beyond }) => {
      const symbol = object.symbol(index);
      const section = object.sectionOf(symbol);
      const callee = section && object.functionAt(section, symbol.value + addend + beyond);
      return callee && !hasEntry(callee) ? [callee] : [];
    });
  return [...roles.keys()]
    .filter((fn) => hasEntry(fn) || deoptimised.has(fn.symbol.name))
    .flatMap((fn) => {
      // Grows while it is walked.
      const reached = new Set([fn]);
      for (const one of reached) for (const callee of calledBy(one)) reached.add(callee);
      const symbols = [...reached].map(({ symbol }) => symbol.name);
      return symbols.filter((name) => deoptimised.has(name)).map((symbol) => ({ fn, symbol }));
    });
}

export function companionsOf(fresh: FreshUnit | undefined, { roles }: UnitPlan): ObjectFunction[] {
  return [...roles.keys()].filter((fn) => fresh?.isCompanion?.(fn));
}
