// Which of several compile commands of one source made the running code: one source may be compiled more than once.
// Compiles with each command until one agrees. Changes nothing.
import type { UnitComparison } from '../compare/unit';
import { compareUnit } from './compare_unit';
import { buildDirectoriesOf, readUnit } from './compile';
import type { Save } from './progress';
import type { FreshUnit, ModulePlan } from './unit';

/** Compares; with several commands for one source, uses the one that comes closest to the running code. */
export async function chooseCommand(
  save: Save,
  { module, live, concerned }: ModulePlan,
  first: FreshUnit,
): Promise<{ unit: FreshUnit; comparison: UnitComparison }> {
  let best = { unit: first, comparison: compareUnit(save, module, live, first, concerned) };
  if (agreement(best.comparison) > 0.5) return best;
  const { source } = first.compiled;
  for (const entry of save.context.compile.entriesFor(source, buildDirectoriesOf(module, source)).slice(1)) {
    let unit: FreshUnit;
    try {
      unit = readUnit(await save.context.compile.compileUnit(entry, { signal: save.request.signal }));
    } catch (thrown) {
      save.context.log('info', `another command of ${entry.source} does not compile: ${String(thrown)}`);
      continue;
    }
    const comparison = compareUnit(save, module, live, unit, concerned);
    if (agreement(comparison) > agreement(best.comparison)) best = { unit, comparison };
  }
  return best;
}

/** Part of the functions that are in the process and are as they are there. */
export function agreement(comparison: UnitComparison): number {
  const known = comparison.functions.filter(({ live }) => live !== undefined);
  if (known.length === 0) return 0;
  return known.filter(({ status }) => status === 'same' || status === 'original').length / known.length;
}
