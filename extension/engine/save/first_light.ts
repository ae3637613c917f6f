// First light: the edited functions alone, compiled from a reduced unit and delivered while the whole unit is still being
// compiled. Taken only where the reduced unit gives what the whole one would mean, which the comparison shows: whatever
// is in it and was not edited must be as it runs. What the whole unit says has the last word (confirm.ts).
import type { EngineContext, LiveTarget } from '../context';
import type { Baseline } from '../fast/baselines';
import { declarationOf, type ScannedText } from '../fast/edit';
import { preambleEnd } from '../fast/preamble';
import { reduce, type Reduced } from '../fast/reduce';
import { parseProducer } from '../dwarf/producer';
import { readUnits } from '../dwarf/units';
import * as abi from '../elf/constants';
import { isThere } from '../host';
import { CallerAssumptions } from '../compare/caller_assumptions';
import { isNumbered } from '../compare/correlate';
import { isInitialiser } from '../compare/start_code';
import { HotPatchError } from '../model/errors';
import type { PatchResult } from '../model/result';
import { comparePlans, patchesSinceWhole } from './compare';
import { readUnit } from './compile';
import { deliver, NOT_TAKEN } from './deliver';
import { EditedCode, WrittenCode } from './edited_code';
import type { EditedUnit } from './edited_units';
import { isAnythingNew, isEmpty, linkPatches } from './link';
import { compiledTogether, type Together } from './optimised_light';
import { Save } from './progress';
import type { FreshUnit } from './unit';

/** What was delivered. */
export interface FirstLight {
  result: PatchResult;
  /** Versions of all patched functions before, by pid and address. */
  before: ReadonlyMap<number, ReadonlyMap<string, number>>;
  /** Milliseconds from the begin of the save. */
  live: number;
}

/** Options under which the code of a function depends on others' bodies, or that first light was not tried with. */
const UNSUPPORTED =
  /^(-O([4-9sgz].*|[1-3].+|fast)|-f(sanitize|profile|auto-profile|branch-probabilities|instrument|openmp|openacc|plugin|modules|split-stack|gnu-tm|whole-program|preprocessed|directives-only|optimi[sz]e|permissive).*|--coverage|-coverage|-p|-pg|-traditional.*|-Xclang|-mllvm|--config.*|-specs.*|-include-pch|-x.*|@.*)$/;

/** Patches of reduced units one after the other: the types of each are compared with those of all before. */
const MOST_REDUCED = 16;

/** @returns what was delivered, or why nothing was. Throws the signal's reason, and HotPatchError where the process
 * cannot be reached. */
export async function takeFirstLight(
  save: Save,
  targets: readonly LiveTarget[],
  units: readonly EditedUnit[],
): Promise<FirstLight | { reason: string }> {
  // Of its steps only the last can take long: where the process is held.
  const inner = new Save(save.context, {
    ...save.request,
    onProgress: (event) => {
      if (event.step !== 'deliver' && !event.step.startsWith('wait-')) return;
      save.isFirstLightShown = true;
      save.request.onProgress?.(event);
    },
  });
  try {
    const fresh = new Map<string, ReducedUnit>();
    const proofs = new Map<string, ReducedUnit>();
    for (const unit of units) {
      const { source, baseline, now, edited } = unit;
      const together = isOptimised(baseline) ? compiledTogether(unit) : { kept: edited, present: edited };
      if ('reason' in together) return together;
      const of = (text: ScannedText) => compileReduced(inner, baseline, text, together);
      const [compiled, proof] = await Promise.all([of(now), together.variables && of(baseline.scanned!)]);
      if ('reason' in compiled) return compiled;
      if (proof && 'reason' in proof) return proof;
      const reason = objection(compiled, unit);
      if (reason !== undefined) return { reason };
      fresh.set(source, compiled);
      if (proof) proofs.set(source, proof);
    }
    const concerned = targets.map(({ process, modules }) => ({
      process,
      modules: modules.map(({ module, units: all }) => ({
        module,
        units: all.filter(({ source }) => fresh.has(source)),
      })),
    }));
    const plans = await comparePlans(inner, concerned, unitsOf(fresh));
    const [refusal] = inner.refusals;
    if (refusal) return { reason: refusal.message };
    const different = await differenceBefore(inner, concerned, proofs);
    if (different !== undefined) return { reason: `${different} depends on what was left out` };
    for (const { comparison, start } of plans.flatMap((plan) => plan.units)) {
      if (start.length > 0) return { reason: 'there is something to construct' };
      const { object } = comparison;
      if (patchesSinceWhole(comparison.live, object).length >= MOST_REDUCED)
        return { reason: 'it is time for a patch with the debug information of the whole unit' };
      const { edited, callees } = fresh.get(object.source)!;
      for (const { fn, status } of comparison.functions) {
        if (status === 'same' || status === 'new' || isInitialiser(fn) || edited.includes(fn)) continue;
        // Inline functions stay as they run: with others around them, compilers make other landing pads.
        if (!object.inGroup(fn.section) && !callees.includes(fn))
          return { reason: `${fn.symbol.name} differs and was not edited` };
      }
    }
    const patches = await linkPatches(inner, plans);
    if (patches.every(isEmpty)) return { reason: 'the edited functions are as they run' };
    // Whatever comes of it: until the whole unit was compared, these may differ from the text.
    for (const { baseline, now, edited } of units)
      for (const index of edited) baseline.unconfirmed.add(declarationOf(now, index));
    const before = new Map<number, Map<string, number>>();
    for (const target of targets) {
      const { functions } = await inner.client(target).readStatus();
      before.set(target.process.pid, new Map(functions.map(({ address, version }) => [address, version])));
    }
    await deliver(inner, patches);
    const live = save.total()['total']!;
    const result = await inner.finish(isAnythingNew(patches), plans);
    return { result: { ...result, warnings: [], diagnostics: [], timings: { total: live } }, before, live };
  } catch (thrown) {
    save.request.signal?.throwIfAborted();
    // The exact way would meet the same, and wait for it once more.
    if (thrown instanceof HotPatchError && NOT_TAKEN.has(thrown.code)) throw thrown;
    return { reason: thrown instanceof HotPatchError ? thrown.message : String(thrown) };
  } finally {
    save.isFirstLightShown = false;
  }
}

/** Has the compiler do ahead what it can for the first light of a unit's next save. */
export function prepareFirstLight({ compile, log }: EngineContext, baseline: Baseline): void {
  const { scanned, entry } = baseline;
  if (!scanned || preambleEnd(baseline.text) === 0) return;
  const reduced = reduceUnit(baseline, scanned, new Set(), undefined);
  if ('reason' in reduced) log('debug', `no preamble of ${entry.source}: ${reduced.reason}`);
  else compile.prepare(entry, reduced.text, reduced.flags);
}

/** A unit without the bodies that nobody needs, compiled. */
interface ReducedUnit {
  unit: FreshUnit;
  /** What it was compiled for. */
  edited: EditedCode;
  /** What is there to be inlined. */
  callees: EditedCode;
}

const unitsOf = (reduced: ReadonlyMap<string, ReducedUnit>): Map<string, FreshUnit> =>
  new Map([...reduced].map(([source, { unit }]) => [source, unit]));

function isOptimised({ compiled }: Baseline): boolean {
  const level = compiled.argv.findLast((word) => /^-O/.test(word)) ?? '-O0';
  return level !== '-O0';
}

function reduceUnit(
  { compiled, entry, language }: Baseline,
  text: ScannedText,
  kept: ReadonlySet<number>,
  variables: readonly string[] | undefined,
): Reduced | { reason: string } {
  const option = compiled.argv.find((word) => UNSUPPORTED.test(word));
  if (option !== undefined) return { reason: `the unit is compiled with ${option}` };
  const { directory, spelledSource: spelled } = entry;
  const optimised = variables && { variables };
  return reduce(text, kept, { language, spelled, directory, isThere, optimised });
}

async function compileReduced(
  { context, request: { signal } }: Save,
  baseline: Baseline,
  scanned: ScannedText,
  { kept, present, variables }: Together,
): Promise<ReducedUnit | { reason: string }> {
  const reduced = reduceUnit(baseline, scanned, present, variables);
  if ('reason' in reduced) return reduced;
  const { text, flags: extraFlags } = reduced;
  const unit = readUnit(await context.compile.compileUnit(baseline.entry, { text, extraFlags, signal }));
  const written = new WrittenCode(unit.object, scanned);
  const edited = new EditedCode(written, kept);
  const callees = new EditedCode(written, new Set([...present].filter((index) => !kept.has(index))));
  return { unit: { ...unit, isWanted: (fn) => edited.includes(fn) }, edited, callees };
}

/** Does the text as it was, reduced the same way, give the code that runs? Else what was left out matters to it.
 * @returns a function that differs */
async function differenceBefore(
  save: Save,
  targets: readonly LiveTarget[],
  proofs: ReadonlyMap<string, ReducedUnit>,
): Promise<string | undefined> {
  const concerned = targets.map(({ process, modules }) => ({
    process,
    modules: modules.map(({ module, units }) => ({
      module,
      units: units.filter(({ source }) => proofs.has(source)),
    })),
  }));
  if (proofs.size === 0) return undefined;
  const plans = await comparePlans(new Save(save.context, save.request), concerned, unitsOf(proofs));
  for (const { comparison } of plans.flatMap((plan) => plan.units)) {
    const { object } = comparison;
    const { edited, callees } = proofs.get(object.source)!;
    for (const { fn, status } of comparison.functions) {
      if (status === 'same' || object.isLeftOut(fn) || isInitialiser(fn)) continue;
      const staysAsItRuns = object.inGroup(fn.section) || callees.includes(fn);
      if (edited.includes(fn) || !staysAsItRuns) return fn.symbol.name;
    }
  }
  return undefined;
}

/** Why code cannot be taken from a reduced unit. */
function objection({ unit: { object }, edited }: ReducedUnit, { baseline }: EditedUnit): string | undefined {
  const { object: before, language, compiled } = baseline;
  const [unit] = readUnits(object.elf);
  const producer = unit && parseProducer(unit.producer);
  const isGcc = producer?.compiler === 'gcc';
  if (!isGcc && producer?.compiler !== 'clang') return 'it is not known how its compiler works';
  const isPlain = isGcc ? producer.optimisation === '0' : !isOptimised(baseline);
  if (isPlain === isOptimised(baseline)) return 'it is not known how it was optimised';
  if (isPlain && edited.withoutCode !== undefined)
    return `the function at line ${edited.withoutCode} has no code of its own`;
  for (const fn of edited.functions)
    if (object.isLeftOut(fn)) return `${fn.symbol.name} is part of what was left out`;
  for (const fn of object.functions) {
    const { name } = fn.symbol;
    if (!object.isLeftOut(fn) && (isNumbered(name) || /\$_\d/.test(name))) return `${name} has a number`;
  }
  for (const symbol of object.symbols) {
    const section = object.sectionOf(symbol);
    if (symbol.type !== abi.STT_OBJECT || !section || !(section.flags & abi.SHF_WRITE)) continue;
    if (language === 'c++' && isNumbered(symbol.name)) return `${symbol.name} has a number`;
  }
  // Optimised, all callers in the unit are compiled with what they call.
  if (!isPlain) return undefined;
  const mayThrow = language === 'c++' || compiled.argv.includes('-fexceptions');
  const assumptions = new CallerAssumptions(before, object, { mayThrow, mayBeUnaligned: isGcc });
  for (const fn of edited.functions)
    if (assumptions.mayDisappoint(fn))
      return `callers of ${fn.symbol.name} may count on what it no longer is`;
  return undefined;
}
