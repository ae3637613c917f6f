// The way of a save, from top to bottom: find the processes, compile the units, compare with the code that runs,
// check that the edit is safe, link a patch beside each module, deliver it. Each step is one call; the comment under
// it says what holds from there on. Everything that decides is in the steps' own files.
import type { EngineContext } from './context';
import type { PatchRequest } from './engine';
import type { PatchResult } from './model/result';
import { comparePlans } from './save/compare';
import { compileUnits } from './save/compile';
import { deliver } from './save/deliver';
import { findTargets } from './save/find';
import { isAnythingNew, isEmpty, linkPatches } from './save/link';
import { Save } from './save/progress';

export async function patchProcesses(context: EngineContext, request: PatchRequest): Promise<PatchResult> {
  const save = new Save(context, request);
  try {
    const targets = await findTargets(save, request);
    // Every process that runs code of the files is known, has the runtime, with its modules and the units in them.
    const units = await compileUnits(save, targets);
    // Each unit is an object made by the build's own command.
    const plans = await comparePlans(save, targets, units);
    // It is known what differs from the code that runs, and what of that may be patched.
    if (save.refusals.length > 0) return await save.finish('refused', plans);
    const patches = await linkPatches(save, plans);
    // Every reference of the new code has its place in each process. Nothing was written so far.
    if (request.dryRun || patches.every(isEmpty))
      return await save.finish(isAnythingNew(patches), plans, request.dryRun);
    await deliver(save, patches);
    // Each process runs either all of the save or, after a failure, none of it.
    return await save.finish(isAnythingNew(patches), plans);
  } catch (thrown) {
    return save.fail(thrown);
  }
}
