// Why a process that was built from the file counts as one without the runtime: it has none, it has not announced itself
// yet, or what it announced cannot be used from here. Looks only when a request would fail for it.
import { uptime } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { lookAt, readProcess, readProcessText } from '../host';
import { HotPatchError } from '../model/errors';
import type { PatchableProcess, Problem } from '../model/result';
import { baseDirectories } from './control_directory';
import { elsewhere, seesItself, workerOf } from './elsewhere';

/** A runtime announces itself some 20 ms after the start; on a machine under load that takes longer. Milliseconds. */
const PATIENCE = 5000;
const LOOK_INTERVAL = 50;
/** Seconds after its start for which a process may still be about to announce its runtime. */
const YOUNG = 60;
/** USER_HZ, in which /proc counts, on every x86-64 kernel. */
const TICKS = 100;

/** Waits while a process has the runtime and has not announced it.
 * @param list what is running now
 * @returns whether one of them is ready now */
export async function awaitAnnouncement(
  processes: readonly PatchableProcess[],
  list: () => Promise<readonly PatchableProcess[]>,
): Promise<boolean> {
  const coming: number[] = [];
  for (const process of processes) if (await isComing(process)) coming.push(process.pid);
  for (const begin = performance.now(); coming.length > 0 && performance.now() - begin < PATIENCE;) {
    const now = await list();
    if (coming.some((pid) => now.some((process) => process.pid === pid && process.runtime))) return true;
    if (coming.every((pid) => !now.some((process) => process.pid === pid))) return false;
    await setTimeout(LOOK_INTERVAL);
  }
  return false;
}

/** The library is mapped, or its thread runs, and nothing says that it cannot be reached. */
async function isComing({ pid, startTime, asleep }: PatchableProcess): Promise<boolean> {
  if (asleep) return false;
  if (uptime() - startTime / TICKS > YOUNG || whyUnreachable(pid) !== undefined) return false;
  if (workerOf(pid)) return true;
  try {
    return (await readProcess(pid, 'maps')).includes('/libhot_fix.so');
  } catch {
    return false; // ended meanwhile
  }
}

/** Why a process that has the runtime cannot be patched from here; undefined when nothing is known to be in the way. */
export function unreachableRuntime({ pid, exe }: Pick<PatchableProcess, 'pid' | 'exe'>): Problem | undefined {
  const why = whyUnreachable(pid);
  if (why === undefined || !workerOf(pid)) return undefined;
  return { code: 'runtime-unreachable', message: unreachable(pid, exe, why), pid };
}

function unreachable(pid: number, exe: string, why: string): string {
  return `The runtime in ${exe} (process ${pid}) cannot be reached: ${why}`;
}

/** no-runtime, or runtime-unreachable with the reason. */
export function missingRuntime({ pid, exe, asleep }: PatchableProcess): HotPatchError {
  if (asleep) return new HotPatchError('no-runtime', `${exe} (process ${pid}) was detached from`, { pid });
  if (!workerOf(pid))
    return new HotPatchError('no-runtime', `${exe} (process ${pid}) has no hot_fix runtime`, { pid });
  const why = whyUnreachable(pid) ?? 'it has no control directory; is the disk full, or read-only?';
  return new HotPatchError('runtime-unreachable', unreachable(pid, exe, why), { pid });
}

function whyUnreachable(pid: number): string | undefined {
  const place = elsewhere(pid);
  const uid = process.getuid?.() ?? 0;
  const status = readProcessText(pid, 'status') ?? '';
  const users = /^Uid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
  if (uid !== 0 && users.some((id) => Number(id) !== uid))
    return 'it runs with other user ids than this engine';
  if (new Set(users.slice(0, 3)).size > 1)
    return `it runs with user ids that differ (real ${users[0]}, effective ${users[1]}), for which it has no control directory`;
  if (place) return seesItself(place) ? undefined : 'it sees no /proc with its own process numbers';
  const own = process.env['XDG_RUNTIME_DIR'];
  for (const base of baseDirectories(uid, own === undefined ? [] : [own])) {
    const directory = join(base, `hot_fix-${uid}`);
    for (const path of [directory, join(directory, String(pid))]) {
      const why = whyNotOwn(path, uid);
      if (why !== undefined) return why;
    }
  }
  return undefined;
}

/** Why a control directory is not believed; undefined when it is, or is not there. */
function whyNotOwn(path: string, uid: number): string | undefined {
  const stats = lookAt(path);
  if (!stats) return undefined;
  if (!stats.isDirectory()) return `${path} is not a directory`;
  if (stats.uid !== uid) return `${path} belongs to user ${stats.uid}`;
  const mode = stats.mode & 0o777;
  return (mode & 0o077) === 0 ? undefined : `${path} may be used by others (mode ${mode.toString(8)})`;
}
