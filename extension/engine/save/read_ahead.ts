// While the compiler runs: what the steps behind it will ask of the processes and does not depend on the object. It is kept
// where these find it, so that the first save of a program does not read it when the object is there. Decides nothing;
// what fails here fails once more in the step that needs it, which says so.
import { setImmediate } from 'node:timers/promises';
import { hostArchitecture } from '../arch/choose';
import type { LiveTarget } from '../context';
import { readLiveProcess } from '../live/module_image';
import { toProblem } from '../model/errors';
import { newLayoutCache, readTypes } from '../types/live_program';
import { unitsFrom } from './owners';
import type { Save } from './progress';

/** Of more units, which are those of a header, most are as they run, and their types are not asked for. */
const MOST_UNITS = 4;

/** Sources of which it was done. */
const knownSources = () => new Set<string>();

/** @param isOver is asked before each part: the compiler has ended, and the steps read for themselves */
export async function readAhead(
  save: Save,
  targets: readonly LiveTarget[],
  isOver: () => boolean,
): Promise<void> {
  try {
    for (const target of targets)
      for (const { module, units } of target.modules) {
        const known = module.elf.derived(knownSources);
        const sources = units.map(({ source }) => source).filter((source) => !known.has(source));
        if (sources.length === 0 || sources.length > MOST_UNITS) continue;
        for (const source of sources) known.add(source);
        const status = await save.client(target).readStatus();
        const parts = [
          () => hostArchitecture().prepare(),
          ...sources
            .flatMap((source) => unitsFrom(module.elf, source))
            .map((unit) => () => readTypes(module.elf, unit, module.elf.derived(newLayoutCache))),
          () => readLiveProcess(save.context.patchFiles, module, status),
        ];
        for (const part of parts) {
          // Whatever else waits for this thread goes first.
          await setImmediate();
          if (isOver()) return;
          part();
        }
      }
  } catch (thrown) {
    save.context.log('debug', `not read ahead: ${toProblem(thrown).message}`);
  }
}
