// What killed engines left in the control directory of a process that lives on: requests that would be carried out by
// surprise when the process continues, answers that nobody fetches, patch files that were never loaded. Removes those
// whose engine is gone; what the process uses stays.
import { basename, join } from 'node:path';
import { namesIn, linkTarget, lookAt, readTextIfThere, remove } from '../host';
import { readAddressSpace } from './maps';
import { readStat } from './process_list';

/** Milliseconds. An engine in another PID namespace cannot be seen from here; its save has ended by then. */
const YOUNG = 60_000;

/** `TIME-PID-COUNT…`, as requests, answers and patch files are named; a dot before it while it is unfinished. */
const MADE_BY = /^\.?[0-9a-z]+-(\d+)-\d+/;

/** @param now Unix milliseconds */
async function sweepLeftOvers(pid: number, controlDirectory: string, now = Date.now()): Promise<void> {
  const isLeft = (path: string): boolean => {
    const engine = MADE_BY.exec(basename(path))?.[1];
    const stats = lookAt(path);
    if (engine === undefined || !stats?.isFile() || now - stats.mtimeMs < YOUNG) return false;
    // Of a number that was given again nothing is known: a day is more than any save takes.
    return readStat(Number(engine)) === undefined || now - stats.mtimeMs > 24 * 60 * YOUNG;
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
