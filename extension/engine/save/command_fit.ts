// How well the object that a compile command makes fits a unit of a module: the evidence by which commands are chosen
// where a source was compiled several times. Reads objects; compiles nothing.
import { dirname, join } from 'node:path';
import type { UnitComparison } from '../compare/unit';
import * as abi from '../elf/constants';
import { isThere, lookAt } from '../host';
import { builtUnit } from './built_unit';
import { compareUnit, ownEntries } from './compare_unit';
import type { Save } from './progress';
import type { FreshUnit, ModulePlan } from './unit';

/** Functions that differ, or that one side alone has: of the fresh object, and of the one that the build wrote. */
export function differences(save: Save, plan: ModulePlan, unit: FreshUnit): number {
  return (
    differencesOf(plan, unit, compareUnit(save, plan.module, plan.live, unit, [unit])) +
    (builtDifferences(save, plan, unit) ?? 0)
  );
}

/** The same of the object that the build wrote, which is not edited; undefined when there is none. */
export function builtDifferences(save: Save, plan: ModulePlan, unit: FreshUnit): number | undefined {
  const built = builtUnit(unit, plan.module);
  return built && differencesOf(plan, built, compareUnit(save, plan.module, plan.live, built, [built]));
}

/** Is the object that the build wrote what runs, and made by the command that the database has now? CMake writes the
 * database before it builds: one that is newer than the object may have other definitions (-D), which leave no trace in
 * an object. Tools that record a build (bear) write it afterwards. */
export function isBuildOfProcess(save: Save, plan: ModulePlan, unit: FreshUnit): boolean {
  const { output, database } = unit.compiled.entry;
  const built = output === undefined ? undefined : lookAt(output);
  const recorded = lookAt(database);
  if (!built || !recorded) return false;
  if (recorded.mtimeMs > built.mtimeMs && isThere(join(dirname(database), 'CMakeCache.txt'))) return false;
  return builtDifferences(save, plan, unit) === 0;
}

function differencesOf(plan: ModulePlan, { object }: FreshUnit, comparison: UnitComparison): number {
  const entries = ownEntries(plan.module, object);
  // Without debug information nothing says what else the unit has.
  if (!entries) return comparison.functions.filter(({ live, status }) => live && status === 'changed').length;
  const found = new Set<number>();
  let count = 0;
  for (const { fn, live, status } of comparison.functions) {
    if (live && entries.has(live.entry)) {
      found.add(live.entry);
      if (status === 'changed') count++;
    } else if (live && fn.symbol.binding === abi.STB_GLOBAL) count++;
  }
  return count + entries.size - found.size;
}
