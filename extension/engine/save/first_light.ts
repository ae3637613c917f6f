// First light: the edited functions alone, compiled from a reduced unit and delivered while the whole unit is still being
// compiled. Taken only where the reduced unit gives what the whole one would mean, which the comparison shows: whatever
// is in it and was not edited must be as it runs. What the whole unit says has the last word (confirm.ts).
import type { UnitComparison } from '../compare/unit';
import type { LiveTarget } from '../context';
import type { ObjectFunction } from '../elf/object';
import type { Baselines } from '../fast/baselines';
import { declarationOf } from '../fast/edit';
import { isInitialiser } from '../compare/start_code';
import { HotPatchError } from '../model/errors';
import type { ChangedFunction, PatchResult, Problem } from '../model/result';
import { comparePlans, patchesSinceWhole } from './compare';
import { deliver, NOT_TAKEN } from './deliver';
import type { EditedUnit, EditOfTexts, NewText } from './edited_units';
import { onlyUnits } from './find';
import { isAnythingNew, isEmpty, linkPatches } from './link';
import { companionsOf } from './marks';
import { compiledTogether } from './optimised_light';
import { adoptKept, type KeptLights, type PlannedLight } from './kept_light';
import { overSamePreamble, type TriedPreambles } from './over_preamble';
import { Save } from './progress';
import {
  compileReduced,
  compileWhole,
  isOptimised,
  objection,
  type ReducedUnit,
  type CompiledUnits,
} from './reduced_units';
import type { FreshUnit, ModulePlan } from './unit';

/** What was delivered. */
export interface FirstLight {
  result: PatchResult;
  /** All that it changed, functions that only came along with the edited ones among them. */
  delivered: readonly ChangedFunction[];
  /** Optimised code of a part of the unit, which stands in for that of the whole. */
  standsIn: boolean;
  /** Versions of all patched functions before, by pid and address. */
  before: ReadonlyMap<number, ReadonlyMap<string, number>>;
  /** Milliseconds from the begin of the save. */
  live: number;
}

/** Patches of reduced units one after the other: the types of each are compared with those of all before. */
const MOST_REDUCED = 16;

/** Warnings of what the whole unit, which comes behind, does not do again. */
const ONCE: ReadonlySet<string> = new Set(['hook-failed', 'library-loaded']);

const TO_CONSTRUCT = 'there is something to construct';
const NOTHING_NEW = 'the edited functions are as they run';

/** What is known of the texts that the running code comes from, and was compiled of newer ones. */
export interface Known {
  baselines: Baselines;
  compiled: CompiledUnits;
  kept: KeptLights;
  tried: TriedPreambles;
}

/** Everything but the delivery. Writes into no process.
 * @param save of first light alone: what it gathers is of no whole save
 * @returns why nothing can be delivered. Throws the signal's reason, and HotPatchError where the process cannot be
 * reached. */
export async function planFirstLight(
  save: Save,
  targets: readonly LiveTarget[],
  units: readonly EditedUnit[],
  how: { known: CompiledUnits; isAhead: boolean },
): Promise<PlannedLight | { reason: string }> {
  const fresh = new Map<string, ReducedUnit>();
  for (const unit of units) {
    const { source, baseline, now, edited } = unit;
    const together = isOptimised(baseline)
      ? compiledTogether(unit)
      : { edited, kept: edited, present: edited };
    if ('reason' in together) return together;
    const compiled = await compileReduced(save, baseline, now, together, how);
    if ('reason' in compiled) return compiled;
    const reason = objection(compiled, unit);
    if (reason !== undefined) return { reason };
    fresh.set(source, compiled);
  }
  const concerned = onlyUnits(targets, (source) => fresh.has(source));
  const plans = await comparePlans(save, concerned, unitsOf(fresh));
  const [refusal] = save.refusals;
  if (refusal) return { reason: refusal.message };
  if (hasStartCode(plans)) return { reason: TO_CONSTRUCT };
  if (plans.some(({ units }) => units.some(({ guards }) => guards.length > 0)))
    return { reason: 'it would have to wait until callers have returned' };
  for (const [live, comparison] of plans.flatMap((plan) =>
    plan.units.map((unit) => [plan.live, unit.comparison] as const),
  ))
    if (patchesSinceWhole(live, comparison.object).length >= MOST_REDUCED)
      return { reason: 'it is time for a patch with the debug information of the whole unit' };
  for (const { comparison } of plans.flatMap((plan) => plan.units)) {
    const differing = differsUnedited(comparison, fresh.get(comparison.object.source)!);
    if (differing) return { reason: `${differing.symbol.name} differs and was not edited` };
  }
  const patches = await linkPatches(save, plans);
  if (patches.every(isEmpty)) return { reason: NOTHING_NEW };
  const companions = plans.flatMap(({ units: planned }) =>
    planned.flatMap((unit) => companionsOf(save.fresh.get(unit.comparison.object), unit)),
  );
  return {
    plans,
    patches,
    isWhole: false,
    companions: new Set(companions.map(({ symbol }) => symbol.name)),
  };
}

/** Code that should be as it runs, because a compiler that does not optimise makes the same of the same text. Inline
 * functions stay as they run: with others around them, compilers make other landing pads. */
function differsUnedited(
  { object, functions }: UnitComparison,
  { edited, baseline }: ReducedUnit,
): ObjectFunction | undefined {
  if (isOptimised(baseline)) return undefined;
  return functions.find(
    ({ fn, status }) =>
      (status === 'changed' || status === 'original') &&
      !isInitialiser(fn) &&
      !edited.includes(fn) &&
      !object.inGroup(fn.section),
  )?.fn;
}

/** The same of whole units that were compiled ahead of their save: whatever was edited, and however it was compiled, they
 * are what the exact way will find.
 * @returns why nothing can be delivered, with the refusals that the save will meet */
export async function planWholeLight(
  save: Save,
  targets: readonly LiveTarget[],
  units: ReadonlyMap<string, FreshUnit>,
): Promise<PlannedLight | { reason: string; refusals: Problem[] }> {
  const plans = await comparePlans(
    save,
    onlyUnits(targets, (source) => units.has(source)),
    units,
  );
  const [refusal] = save.refusals;
  if (refusal) return { reason: refusal.message, refusals: save.refusals };
  if (hasStartCode(plans)) return { reason: TO_CONSTRUCT, refusals: [] };
  return { plans, patches: await linkPatches(save, plans), isWhole: true, companions: new Set() };
}

/** Is anything made that is made once: new objects, or those of a type in another layout? */
const hasStartCode = (plans: readonly ModulePlan[]): boolean =>
  plans.some(
    ({ units, migration }) => migration !== undefined || units.some(({ start }) => start.length > 0),
  );

/** What was planned ahead of the save goes first, then what was compiled whole: it says all. Then a part of each unit, then
 * the whole of them over their preambles. */
async function planLight(
  outer: Save,
  begin: () => Save,
  targets: readonly LiveTarget[],
  edit: EditOfTexts,
  { known: { compiled: known, kept: lights, tried }, overtaken }: { known: Known; overtaken: AbortSignal },
): Promise<(PlannedLight & { save: Save }) | { reason: string }> {
  const { context } = outer;
  const kept = lights.of(edit.units);
  lights.drop();
  if (kept && !(kept.isWhole && edit.units.some((unit) => !known.wholeOf(unit)))) {
    const adopted = await adoptKept(outer, begin, targets, kept);
    if (adopted) return adopted;
  }
  const isOver = ({ baseline, text }: NewText): boolean =>
    overSamePreamble(context.compile, baseline, text, tried) !== undefined;
  const soon = edit.units.filter((unit) => known.isHardlySooner(unit.baseline) && isOver(unit));
  if (soon.length === edit.units.length && !kept)
    return { reason: `the whole of ${soon[0]!.source} is compiled as soon, over its preamble` };
  if (edit.units.some((unit) => !known.wholeOf(unit))) {
    const save = begin();
    const part =
      edit.kind === 'texts'
        ? edit
        : await planFirstLight(save, targets, edit.units, { known, isAhead: false });
    if (!('reason' in part)) return { ...part, save };
    save.context.log('debug', `no part of it will do: ${part.reason}`);
  }
  const whole = new Map<string, FreshUnit>();
  const save = begin();
  for (const unit of edit.units) {
    const { source } = unit;
    if (!known.wholeOf(unit) && isOver(unit))
      return { reason: `the exact way compiles ${source} over its preamble` };
    const compiled = await compileWhole(save, unit, { known, overtaken });
    if ('reason' in compiled) return compiled;
    whole.set(source, compiled);
  }
  const planned = await planWholeLight(save, targets, whole);
  if ('reason' in planned) return planned;
  return planned.patches.every(isEmpty) ? { reason: NOTHING_NEW } : { ...planned, save };
}

/** @param how overtaken: aborted when the whole unit was compiled as the build does it
 * @returns what was delivered, or why nothing was. Throws the signal's reason, and HotPatchError where the process
 * cannot be reached. */
export async function takeFirstLight(
  save: Save,
  targets: readonly LiveTarget[],
  edit: EditOfTexts,
  how: { known: Known; overtaken: AbortSignal },
): Promise<FirstLight | { reason: string }> {
  const { known } = how;
  // Of its steps only the last can take long: where the process is held.
  const begin = (): Save =>
    new Save(save.context, {
      ...save.request,
      onProgress: (event) => {
        if (event.step !== 'deliver' && !event.step.startsWith('wait-')) return;
        save.isFirstLightShown = true;
        save.request.onProgress?.(event);
      },
    });
  try {
    const planned = await planLight(save, begin, targets, edit, how);
    if ('reason' in planned) return planned;
    const { save: inner, plans, patches, isWhole } = planned;
    // Whatever comes of it: until the whole unit was compared, these may differ from the text.
    if (isWhole) for (const { source } of edit.units) known.baselines.forget(source);
    else if (edit.kind === 'bodies')
      for (const { baseline, now, edited } of edit.units)
        for (const index of edited) baseline.unconfirmed.add(declarationOf(now, index));
    const before = new Map<number, Map<string, number>>();
    for (const target of targets) {
      const { functions } = await inner.client(target).readStatus();
      before.set(target.process.pid, new Map(functions.map(({ address, version }) => [address, version])));
    }
    await deliver(inner, patches);
    // What happened once: the program's hooks are not called again for what the whole unit confirms.
    save.warnings.push(...inner.warnings.filter(({ code }) => ONCE.has(code)));
    const live = save.total()['total']!;
    const result = await inner.finish(isAnythingNew(patches), plans);
    const changed = result.changed.filter(({ symbol }) => !planned.companions.has(symbol));
    const standsIn = !isWhole && edit.units.some(({ baseline }) => isOptimised(baseline));
    return {
      result: { ...result, changed, warnings: [], diagnostics: [], timings: { total: live } },
      ...{ delivered: result.changed, standsIn, before, live },
    };
  } catch (thrown) {
    save.request.signal?.throwIfAborted();
    // The exact way would meet the same, and wait for it once more.
    if (thrown instanceof HotPatchError && NOT_TAKEN.has(thrown.code)) throw thrown;
    return { reason: thrown instanceof HotPatchError ? thrown.message : String(thrown) };
  } finally {
    save.isFirstLightShown = false;
  }
}

const unitsOf = (reduced: ReadonlyMap<string, ReducedUnit>): Map<string, FreshUnit> =>
  new Map([...reduced].map(([source, { unit }]) => [source, unit]));
