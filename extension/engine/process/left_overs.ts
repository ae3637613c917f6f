// What killed engines left in the control directory of a process that lives on: requests that would be carried out by
// surprise when the process continues, answers that nobody fetches, patch files that were never loaded. Removes those
// whose engine is gone; what the process uses stays.
import { basename, join } from 'node:path';
import { namesIn, linkTarget, lookAt, readTextIfThere, remove } from '../host';
import { ownerIsGone } from './file_owner';
import { readAddressSpace } from './maps';
import { readStat } from './process_list';

/** Milliseconds: more than any save takes, for files of engines that nothing is known of. */
const ABANDONED_AFTER = 24 * 3600 * 1000;

/** @param now Unix milliseconds */
async function sweepLeftOvers(pid: number, controlDirectory: string, now = Date.now()): Promise<void> {
  const isLeft = (path: string): boolean => {
    const gone = ownerIsGone(basename(path));
    const stats = lookAt(path);
    if (gone === undefined || !stats?.isFile()) return false;
    return gone === 'yes' || now - stats.mtimeMs > ABANDONED_AFTER;
  };
  const left = (name: string): string[] =>
    namesIn(join(controlDirectory, name))
      .map((entry) => join(controlDirectory, name, entry))
      .filter(isLeft);
  for (const path of [...left('requests'), ...left('answers')]) remove(path);
  const patches = left('patches');
  if (patches.length === 0) return;
  // A patch that is listed may be read by debuggers and by later saves; one that is mapped is listed soon.
  const status = readTextIfThere(join(controlDirectory, 'status.json')) ?? '';
  const { mappings } = await readAddressSpace(pid);
  const mapped = new Set(mappings.map(({ path }) => basename(path)));
  for (const path of patches) {
    const name = basename(path);
    if (name.endsWith('.part') || (!status.includes(`/${name}"`) && !mapped.has(name))) remove(path);
  }
}

/** Once for each process that an engine speaks to. */
export function createSweeper(): (pid: number, controlDirectory: string) => Promise<void> {
  const swept = new Set<string>();
  return async (pid, controlDirectory) => {
    const key = `${controlDirectory} ${readStat(pid)?.startTime} ${linkTarget(`/proc/${pid}/exe`)}`;
    if (swept.has(key)) return;
    swept.add(key);
    try {
      await sweepLeftOvers(pid, controlDirectory);
    } catch {
      return; // the process has ended, and its directory goes with it
    }
  };
}
