// What killed engines left in the control directory of a process that lives on: requests that would be carried out by
// surprise when the process continues, answers that nobody fetches, patch files that were never loaded. Removes those
// whose engine is gone; what the process uses stays.
import { basename, join } from 'node:path';
import { inDirectory } from '../guarded_directory';
import { linkTarget, lookAt, move, namesIn, readTextIfThere, remove } from '../host';
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
  /** Removes what is left in a subdirectory and meets a condition. Returns the names of the rest of what is left. */
  const sweep = (directory: string, isUnused: (name: string) => boolean): string[] =>
    inDirectory(join(controlDirectory, directory), (path) =>
      namesIn(path).filter(
        (name) => isLeft(join(path, name)) && !(isUnused(name) && remove(join(path, name))),
      ),
    );
  for (const directory of ['requests', 'answers']) sweep(directory, () => true);
  const left = sweep('patches', (name) => name.endsWith('.part'));
  if (left.length > 0) await removeUnused(pid, controlDirectory, left);
}

/** Removes the patch files that the process neither lists nor maps. Their engines are gone, so that no request for them
 * can come any more; but one may be carried out right now. A file is therefore taken out of the loader's sight first, and
 * put back if the process had got hold of it before. */
async function removeUnused(pid: number, controlDirectory: string, names: readonly string[]): Promise<void> {
  const rename = (from: string, to: string): void =>
    inDirectory(join(controlDirectory, 'patches'), (path) => move(join(path, from), join(path, to)));
  /** A patch that is listed may be read by debuggers and by later saves; one that is mapped is listed soon. */
  const inUse = async (): Promise<(name: string) => boolean> => {
    const { mappings } = await readAddressSpace(pid);
    const mapped = new Set(mappings.map(({ path }) => basename(path)));
    const status = readTextIfThere(join(controlDirectory, 'status.json')) ?? '';
    return (name) => mapped.has(name) || mapped.has(aside(name)) || status.includes(`/${name}"`);
  };
  const used = await inUse();
  const unused = names.filter((name) => !used(name));
  if (unused.length === 0) return;
  for (const name of unused) rename(name, aside(name));
  const usedAfterAll = await inUse();
  for (const name of unused)
    if (usedAfterAll(name)) rename(aside(name), name);
    else inDirectory(join(controlDirectory, 'patches'), (path) => remove(join(path, aside(name))));
}

/** Of a patch file that is about to be removed. */
const aside = (name: string): string => `.${name}`;

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
