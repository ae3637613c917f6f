// The way of a save, from top to bottom: find the processes, compile the units, compare with the code that runs,
// check that the edit is safe, link a patch beside each module, deliver it. Each step is one call; the comment under
// it says what holds from there on. Everything that decides is in the steps' own files. Where only bodies of functions
// were edited, these go ahead (first light), and the way behind it has the last word.
import type { EngineContext, LiveTarget } from './context';
import type { PatchRequest } from './engine';
import { realPathOrSelf } from './host';
import type { PatchResult } from './model/result';
import { concludeFirstLight } from './save/confirm';
import { libraryLoaded } from './save/added_libraries';
import { deliver, librariesOf } from './save/deliver';
import { EarlyCompile } from './save/early_compile';
import { type Edit, findEdit } from './save/edited_units';
import { findTargets } from './save/find';
import { type FirstLight, type Known, takeFirstLight } from './save/first_light';
import { isAnythingNew, isEmpty, linkPatches } from './save/link';
import { compileOverPreamble } from './save/over_preamble';
import { Save } from './save/progress';
import { readAhead } from './save/read_ahead';
import { readTexts, remember, sourcesOf, statesOf } from './save/remember';
import { compareVariants, compileVariants } from './save/variants';

/** @param known without, the save is exact only */
export async function patchProcesses(
  context: EngineContext,
  request: PatchRequest,
  known?: Known,
): Promise<PatchResult> {
  const early = new EarlyCompile(context, request);
  const { compileUnit } = early;
  const save = new Save({ ...context, compile: { ...context.compile, compileUnit } }, request);
  try {
    // The compiler takes longest, and nothing else goes ahead of it where there is no first light.
    if (isExact(request, known)) early.begin(request.files);
    const targets = await findTargets(save, request);
    // Every process that runs code of the files is known, has the runtime, with its modules and the units in them.
    if (!known || !request.firstLight) return await patchExactly(save, early, targets);
    return await patchWithFirstLight(save, early, targets, known);
  } catch (thrown) {
    return save.fail(thrown);
  } finally {
    await early.end();
  }
}

/** It is certain, before anything is known of the processes, that there will be no first light. */
const isExact = ({ firstLight, files }: PatchRequest, known: Known | undefined): boolean =>
  !firstLight || !known || files.some((file) => !known.baselines.of(realPathOrSelf(file)));

async function patchWithFirstLight(
  save: Save,
  early: EarlyCompile,
  targets: readonly LiveTarget[],
  known: Known,
): Promise<PatchResult> {
  const compiled = new AbortController();
  let light: Promise<FirstLight | undefined>;
  let isKnown: boolean;
  let before: Map<number, string>;
  try {
    before = await statesOf(save, targets);
    const edit = findEdit(save, targets, known.baselines, before, {
      known: (texts) => known.kept.of(texts)?.edit,
    });
    if (edit.kind === 'none') return await save.finish('unchanged', []);
    isKnown = edit.kind !== 'other';
    const isReady = edit.kind !== 'other' && known.kept.of(edit.units) !== undefined;
    light = startFirstLight(save, targets, edit, { known, overtaken: compiled.signal });
    // No compiler is needed for it, and none takes time from it.
    if (isReady) await light;
  } catch (thrown) {
    return save.fail(thrown);
  }
  const exact = await patchExactly(save, early, targets, { light, isKnown, known, compiled });
  const taken = await light.catch(() => undefined);
  const result = taken ? await concludeFirstLight(save, targets, taken, exact) : exact;
  // What runs is not certain when the delivery failed: its answer may only have been lost.
  if (exact.outcome === 'failed' && exact.timings['deliver'] !== undefined)
    for (const source of sourcesOf(targets)) known.baselines.forget(source);
  for (const [pid, state] of await statesOf(save, targets).catch(() => []))
    known.baselines.processChanged(pid, before.get(pid) ?? '', state);
  return result;
}

/** Throws as takeFirstLight does. */
async function startFirstLight(
  save: Save,
  targets: readonly LiveTarget[],
  edit: Exclude<Edit, { kind: 'none' }>,
  how: { known: Known; overtaken: AbortSignal },
): Promise<FirstLight | undefined> {
  const light = edit.kind === 'other' ? edit : await takeFirstLight(save, targets, edit, how);
  if (!('reason' in light)) {
    const functions = light.result.changed.map(({ name }) => name);
    save.request.onProgress?.({ step: 'confirm', live: { milliseconds: light.live, functions } });
    return light;
  }
  save.context.log('debug', `no first light: ${light.reason}`);
  return undefined;
}

async function patchExactly(
  save: Save,
  early: EarlyCompile,
  targets: readonly LiveTarget[],
  ahead?: {
    light: Promise<FirstLight | undefined>;
    /** The processes run what is remembered of them: the layouts of headers were compared. */
    isKnown: boolean;
    known: Known;
    /** Aborted when first light cannot be faster any more. */
    compiled: AbortController;
  },
): Promise<PatchResult> {
  const { request } = save;
  try {
    const texts = readTexts(ahead ? targets : []);
    let isCompiled = false;
    const compiled = compileVariants(save, targets, {
      ...(ahead?.isKnown && { compileUnit: compileOverPreamble(save.context, ahead.known, texts) }),
      toRefusal: true,
      meanwhile: (some) => {
        // Those that are needed have been taken.
        void early.end();
        void readAhead(save, some, () => isCompiled);
      },
    }).finally(() => {
      isCompiled = true;
      ahead?.compiled.abort();
    });
    const [variants] = await bothOf(compiled, ahead?.light);
    if (save.refusals.length > 0) return await save.finish('refused', []);
    // Each unit is an object made by the build's own command. First light was taken, or will not be.
    const plans = await compareVariants(save, variants);
    // It is known what differs from the code that runs, and what of that may be patched.
    if (save.refusals.length > 0) return await save.finish('refused', plans);
    const patches = await linkPatches(save, plans);
    // Every reference of the new code has its place in each process. Nothing was written so far.
    if (request.dryRun) save.warnings.push(...librariesOf(patches).map(libraryLoaded));
    else if (!patches.every(isEmpty)) await deliver(save, patches);
    // Each process runs either all of the save or, after a failure, none of it.
    const result = await save.finish(isAnythingNew(patches), plans, request.dryRun);
    if (ahead && !request.dryRun && request.functionName === undefined)
      await remember(save, targets, plans, texts, ahead.known);
    return result;
  } catch (thrown) {
    return save.fail(thrown);
  }
}

/** Waits for both, also when one fails. */
async function bothOf<A, B>(one: Promise<A>, other: B | Promise<B>): Promise<[A, B]> {
  const [a, b] = await Promise.allSettled([one, other]);
  if (a.status === 'rejected') throw a.reason;
  if (b.status === 'rejected') throw b.reason;
  return [a.value, b.value];
}
