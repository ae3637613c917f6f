// Functions that are others than those of their name in the process, because their parameters or results changed: which
// they are, and what is said of them. Between the comparison of a unit and its plan.
import { closuresIn } from '../compare/closures';
import { isInitialiser } from '../compare/start_code';
import type { UnitComparison } from '../compare/unit';
import { readUnits } from '../dwarf/units';
import type { Locate, ObjectFile, ObjectFunction } from '../elf/object';
import type { Image } from '../live/live_image';
import type { Problem } from '../model/result';
import type { LayoutComparison } from '../types/layout';
import { isSameSignature } from '../types/same_signature';
import { patchedUnits } from './owners';

/** The name that debug information has for a function of which the compiler made a variant. */
const named = ({ symbol }: ObjectFunction): string =>
  symbol.name.replace(/\.(constprop|isra|part|cold|lto_priv|llvm)\b.*$/, '');

/** A function of another signature is another function: code that was compiled for the old one keeps that, and what calls
 * the new one is patched, also where its own code is the same. One that an earlier save brought, for the callers that were
 * patched with it, is that.
 * @returns those that are new */
export function separateSignatures(
  comparison: UnitComparison,
  layout: LayoutComparison | undefined,
  wanted: (fn: ObjectFunction) => boolean,
): readonly ObjectFunction[] {
  const others = comparison.functions.flatMap(({ fn, status }) =>
    status === 'changed' &&
    !isInitialiser(fn) &&
    !comparison.parentOf(fn) &&
    layout?.signatures.get(named(fn)) &&
    wanted(fn)
      ? [fn]
      : [],
  );
  const unknown = others.filter(
    (fn) => !comparison.takeFromPatch(fn, (patch) => hasSignature(patch, comparison.object, named(fn))),
  );
  comparison.separate(unknown);
  return unknown;
}

/** Does a patch have a function with the signature that it has in a fresh unit? */
function hasSignature(patch: Image, object: ObjectFile, name: string): boolean {
  return readUnits(object.elf).some((fresh) =>
    patchedUnits(patch, object).some((unit) =>
      isSameSignature({ elf: patch.elf, unit }, { elf: object.elf, unit: fresh }, name),
    ),
  );
}

/** Says of functions of another signature who keeps the old ones, and once for each place that has lambdas which are others
 * than those of the process. */
export function sayApart(
  { apart }: UnitComparison,
  separated: readonly ObjectFunction[],
  locate: Locate,
): Problem[] {
  const families = new Map<string, ObjectFunction>();
  for (const fn of apart)
    for (const { family } of closuresIn(fn.symbol.name)) if (!families.has(family)) families.set(family, fn);
  return [
    ...separated.map((fn): Problem => ({
      code: 'signature-changed',
      message: `The signature of ${named(fn)} changed: code that was not patched in this save calls its old version`,
      symbol: fn.symbol.name,
      ...locate(fn.object, named(fn)),
    })),
    ...[...families.values()].map((fn): Problem => ({
      code: 'signature-changed',
      message: `The lambdas around ${fn.symbol.name} are others than before: objects made of the old ones keep their old code`,
      symbol: fn.symbol.name,
      ...locate(fn.object, fn.symbol.name),
    })),
  ];
}
