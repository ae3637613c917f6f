// While the compiler runs: what the steps behind it will ask of the processes and does not depend on the object: of the
// program before its first save, of the last patches before each. It is kept where these steps find it. Decides nothing;
// what fails here fails once more in the step that needs it, which says so.
import { setImmediate } from 'node:timers/promises';
import { hostArchitecture } from '../arch/choose';
import type { LiveTarget } from '../context';
import type { ElfFile } from '../elf/file';
import { type LiveProcess, readLiveProcess } from '../live/module_image';
import { toProblem } from '../model/errors';
import { newLayoutCache, readTypes } from '../types/live_program';
import { patchesSinceWhole } from './compare';
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
        const sources = units.map(({ source }) => source);
        if (sources.length === 0 || sources.length > MOST_UNITS) continue;
        const known = module.elf.derived(knownSources);
        const unknown = sources.filter((source) => !known.has(source));
        for (const source of unknown) known.add(source);
        const status = await save.client(target).readStatus();
        const live = (): LiveProcess => readLiveProcess(save.context.patchFiles, module, status);
        const typesOf = (elf: ElfFile, source: string): void => {
          for (const unit of unitsFrom(elf, source)) readTypes(elf, unit, elf.derived(newLayoutCache));
        };
        const parts = [
          () => hostArchitecture().prepare(),
          ...unknown.map((source) => () => typesOf(module.elf, source)),
          live,
          ...sources.map((source) => () => {
            for (const { elf } of patchesSinceWhole(live(), { identity: source })) typesOf(elf, source);
          }),
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
