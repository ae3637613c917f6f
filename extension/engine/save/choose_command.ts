// Which of several compile commands of one source made the running code: one source may be compiled more than once.
// Compiles with each command until one agrees. Changes nothing.
import { CompileError } from '../compile/run_compiler';
import type { UnitComparison } from '../compare/unit';
import type { CompileEntry } from '../context';
import { builtDifferences, differences } from './command_fit';
import { compareUnit } from './compare_unit';
import { buildDirectoriesOf, readUnit } from './compile';
import { compileDeoptimised } from './deoptimised_unit';
import { unitsFrom } from './owners';
import type { Save } from './progress';
import type { FreshUnit, ModulePlan } from './unit';

/** The command that was found to have made a unit of a module, by source: it stays so whatever is edited. */
const knownCommands = () => new Map<string, string>();

/** Compares; with several commands for one source, uses the one that comes closest to the running code. */
export async function chooseCommand(
  save: Save,
  plan: ModulePlan,
  first: FreshUnit,
): Promise<{ unit: FreshUnit; comparison: UnitComparison }> {
  const { module, live, concerned } = plan;
  const { source } = first.compiled;
  const compared = (unit: FreshUnit): { unit: FreshUnit; comparison: UnitComparison } => ({
    unit,
    comparison: compareUnit(save, module, live, unit, concerned),
  });
  const likely = compared(first);
  // Of twins, and of a reduced unit, it is known by now.
  if (
    first.object.isReduced ||
    agreement(likely.comparison) === 1 ||
    unitsFrom(module.elf, source).length > 1
  )
    return likely;
  const entries = save.context.compile.entriesFor(source, buildDirectoriesOf(module, source));
  const commands = [...new Map(entries.map((entry) => [keyOf(entry), entry] as const))];
  if (commands.length < 2) return likely;
  const bySource = module.elf.derived(knownCommands);
  const earlier = commands.filter(([key]) => key === bySource.get(source));
  let best: { unit: FreshUnit; key: string; count: number } | undefined;
  for (const [key, entry] of earlier.length > 0 ? earlier : commands) {
    const unit = key === keyOf(first.compiled.entry) ? first : await compileAgain(save, entry, first);
    if (!unit) continue;
    const count = differences(save, plan, unit);
    if (!best || count < best.count) best = { unit, key, count };
    if (builtDifferences(save, plan, unit) === 0) break;
  }
  if (!best) return likely;
  bySource.set(source, best.key);
  return best.unit === first ? likely : compared(best.unit);
}

function keyOf({ directory, arguments: parameters, output }: CompileEntry): string {
  return JSON.stringify([directory, parameters.filter((parameter) => parameter !== output)]);
}

/** What another unit of a source was made of, with another command; undefined when that does not compile. */
export async function compileAgain(
  save: Save,
  entry: CompileEntry,
  { compiled: { deoptimised } }: FreshUnit,
): Promise<FreshUnit | undefined> {
  try {
    return readUnit(await compileDeoptimised(save, entry, deoptimised, { signal: save.request.signal }));
  } catch (thrown) {
    if (!(thrown instanceof CompileError)) throw thrown;
    save.context.log('info', `another command of ${entry.source} does not compile: ${String(thrown)}`);
    return undefined;
  }
}

/** Part of the functions that are in the process and are as they are there. */
export function agreement(comparison: UnitComparison): number {
  const known = comparison.functions.filter(({ live }) => live !== undefined);
  if (known.length === 0) return 0;
  return known.filter(({ status }) => status === 'same' || status === 'original').length / known.length;
}
