// First step of a save: the processes that run code of the files. Where they have no runtime and the request says so,
// it is brought into them, and they are found again. Writes nothing into a process that has it.
import type { LiveTarget } from '../context';
import type { PatchRequest } from '../engine';
import { HotPatchError } from '../model/errors';
import type { Save } from './progress';

/** The same processes, with only those units whose sources are wanted. */
export function onlyUnits(
  targets: readonly LiveTarget[],
  isWanted: (source: string) => boolean,
): LiveTarget[] {
  return targets.map(({ process, modules }) => ({
    process,
    modules: modules.map(({ module, units }) => ({
      module,
      units: units.filter(({ source }) => isWanted(source)),
    })),
  }));
}

/** Throws HotPatchError as ProcessContext.targets does, and what attaching is refused for. */
export async function findTargets(save: Save, request: PatchRequest): Promise<LiveTarget[]> {
  const { processes } = save.context;
  const find = (): Promise<LiveTarget[]> =>
    save.step('find-process', () => processes.targets(request.files, request.target));
  try {
    return await find();
  } catch (thrown) {
    if (!request.attach || !(thrown instanceof HotPatchError) || thrown.code !== 'no-runtime') throw thrown;
  }
  save.attached.push(...(await save.step('attach', () => processes.attach(request.files, request.target))));
  return find();
}
