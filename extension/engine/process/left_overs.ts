// What killed engines left in the control directory of a process that lives on: requests that would be carried out by
// surprise when the process continues, answers that nobody fetches, patch files that were never loaded. Removes those
// whose engine is gone; what the process uses stays.
import { basename, join } from 'node:path';
import { inDirectory } from '../guarded_directory';
import { linkTarget, lookAt, namesIn, readTextIfThere, remove } from '../host';
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
  /** Names of what is left in a subdirectory; removes those that `isUnused`. */
  const sweep = (directory: string, isUnused: (name: string) => boolean): string[] =>
    inDirectory(join(controlDirectory, directory), (path) => {
      const left = namesIn(path).filter((name) => isLeft(join(path, name)));
      for (const name of left.filter(isUnused)) remove(join(path, name));
      return left;
    });
  for (const directory of ['requests', 'answers']) sweep(directory, () => true);
  if (sweep('patches', (name) => name.endsWith('.part')).length === 0) return;
  // A patch that is listed may be read by debuggers and by later saves; one that is mapped is listed soon.
  const status = readTextIfThere(join(controlDirectory, 'status.json')) ?? '';
  const { mappings } = await readAddressSpace(pid);
  const mapped = new Set(mappings.map(({ path }) => basename(path)));
  sweep('patches', (name) => !status.includes(`/${name}"`) && !mapped.has(name));
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
