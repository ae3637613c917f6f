// Where a process's runtime keeps its control directory (docs/PROTOCOL.md, section 1), and what it says of itself
// there. Reads and removes directories of processes that have ended; sends nothing.
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { namesIn, linkTarget, lookAt, readTextIfThere, remove as removeTree } from '../host';
import type { RuntimeAddress } from '../model/result';

export const PROTOCOL_VERSION = 1;

/** What a process that crashed said last (section 5). */
export const CRASH_FILE = 'crash.json';

/** Where there is a document of each thread that is held (section 5). */
export const HELD_DIRECTORY = 'held';

/** Milliseconds for which that is kept, for the engines of other windows. */
const CRASH_KEPT = 600_000;

/** Bytes of process.json; a path may be 4096 long. */
const LARGEST_IDENTITY = 64 * 1024;

/** process.json, as far as the engine uses it. */
export interface RuntimeIdentity {
  protocol: number;
  version: string;
  pid: number;
  startTime: number;
  signal: number;
  workerTid: number;
  /** As readlink of /proc/self/ns/pid in that process; empty when it did not say. */
  pidNamespace: string;
  /** The directory that was not used, and why; empty when the first one was. */
  passedOver: string;
  /** It was detached from. */
  asleep: boolean;
}

export interface FoundRuntime {
  address: RuntimeAddress;
  asleep: boolean;
}

/** process.json checked field by field: it was written by another program. Undefined when it is not usable. A
 * runtime of another protocol version is still identified, so that it can be named in the error. */
export function parseIdentity(text: string): RuntimeIdentity | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { protocol, version, pid, startTime, signal, workerTid, pidNamespace, passedOver, asleep } =
    value as Record<string, unknown>;
  const count = (field: unknown): field is number => Number.isSafeInteger(field) && (field as number) >= 0;
  if (!count(protocol) || !count(pid) || !count(startTime)) return undefined;
  return {
    protocol,
    version: typeof version === 'string' ? version : '',
    pid,
    startTime,
    signal: count(signal) ? signal : 0,
    workerTid: count(workerTid) ? workerTid : 0,
    pidNamespace: typeof pidNamespace === 'string' ? pidNamespace : '',
    passedOver: typeof passedOver === 'string' ? passedOver : '',
    asleep: asleep === true,
  };
}

/** Base directories in which runtimes of this user may have put theirs; `environments` are XDG_RUNTIME_DIR values
 * of the processes themselves. */
export function baseDirectories(uid: number, environments: Iterable<string>): string[] {
  const own = process.env['XDG_RUNTIME_DIR'];
  return [...new Set([...environments, ...(own ? [own] : []), `/run/user/${uid}`, '/tmp'])];
}

/** A directory of this user that nobody else can write to, and not a symbolic link: else what it says is not the
 * runtime's word. */
function isOwn(stats: Stats, uid: number): boolean {
  return stats.isDirectory() && stats.uid === uid && (stats.mode & 0o077) === 0;
}

function own(path: string, uid: number): boolean {
  const stats = lookAt(path);
  return stats !== undefined && isOwn(stats, uid);
}

/** The runtimes that announced themselves under `bases`, by pid. Directories of processes that are gone are
 * removed; `startTimeOf` gives the start time of a live process. If the pid has been reused, the
 * directory is left alone: the new process's runtime may be creating its own right now.
 * @param hasWorker whether that thread of a process is a runtime's: `exec` keeps pid and start time, and ends it */
export function findRuntimes(
  uid: number,
  bases: readonly string[],
  startTimeOf: (pid: number) => number | undefined,
  hasWorker: (pid: number, workerTid: number) => boolean,
): Map<number, FoundRuntime> {
  const runtimes = new Map<number, FoundRuntime>();
  for (const parent of bases.flatMap((base) => userDirectories(base, uid))) {
    for (const name of namesIn(parent)) {
      if (!/^[1-9]\d*$/.test(name)) continue;
      const pid = Number(name);
      const controlDirectory = join(parent, name);
      const startTime = startTimeOf(pid);
      const identity = runtimes.has(pid) ? undefined : readIdentity(controlDirectory, uid);
      // Containers may share the base directory: their processes cannot be seen from here, and are not ours to judge.
      if (identity?.pid !== pid || !isOwnNamespace(identity.pidNamespace)) continue;
      if (startTime === undefined && !hasRecentCrash(controlDirectory)) remove(controlDirectory, uid);
      if (identity.startTime !== startTime) continue;
      const { version, protocol, signal, workerTid, passedOver, asleep } = identity;
      if (!hasWorker(pid, workerTid)) continue;
      const said = passedOver === '' ? {} : { passedOver };
      const address = { version, protocol, signal, workerTid, controlDirectory, ...said };
      runtimes.set(pid, { address, asleep });
    }
  }
  return runtimes;
}

/** The directories of the user in a base directory: the one that everybody knows of, and those with a random name,
 * which a runtime makes where that one is somebody else's. */
function userDirectories(base: string, uid: number): string[] {
  return namesIn(base)
    .filter((name) => name === `hot_fix-${uid}` || name.startsWith(`hot_fix-${uid}.`))
    .map((name) => join(base, name))
    .filter((path) => own(path, uid));
}

function isOwnNamespace(name: string): boolean {
  return name === '' || name === linkTarget('/proc/self/ns/pid');
}

function readIdentity(directory: string, uid: number): RuntimeIdentity | undefined {
  if (!own(directory, uid)) return undefined;
  // Not there when the runtime is just starting, or ended meanwhile.
  const text = readTextIfThere(join(directory, 'process.json'), LARGEST_IDENTITY);
  return text === undefined ? undefined : parseIdentity(text);
}

/** Where a process has left its last word that ended before its runtime was known; undefined when it left none. */
export function crashDirectory(pid: number, uid: number, bases: readonly string[]): string | undefined {
  return bases
    .flatMap((base) => userDirectories(base, uid))
    .map((parent) => join(parent, String(pid)))
    .find((directory) => own(directory, uid) && hasRecentCrash(directory));
}

function hasRecentCrash(directory: string): boolean {
  const stats = lookAt(join(directory, CRASH_FILE));
  return stats !== undefined && Date.now() - stats.mtimeMs < CRASH_KEPT;
}

function remove(directory: string, uid: number): void {
  // That it fails is no matter: another engine sweeps it at the same time.
  if (own(directory, uid)) removeTree(directory);
}
