// Processes that see other files, other numbers or other users than the engine does: in a container, behind chroot, of
// another user where the engine is root's. Finds their runtimes through /proc/PID/root, and says how a path is called on
// either side. What is sent, and what for, is for others to say.
import { join } from 'node:path';
import { linkTarget, namesIn, readProcessText, readTextIfThere } from '../host';
import { inDirectory } from '../guarded_directory';
import { parseIdentity, type FoundRuntime } from './control_directory';

/** Bytes of process.json; a path may be 4096 long. */
const LARGEST_IDENTITY = 64 * 1024;
const WORKER = 'hot_fix\n';

/** What a process has of its own, as /proc tells it to the engine. */
export interface Elsewhere {
  pid: number;
  /** The number that the process has for itself. */
  ownPid: number;
  /** Its effective user, as the engine counts users: who owns what its runtime makes. */
  uid: number;
  pidNamespace: string;
  /** Its clock since boot is the engine's, so their start times can be compared. */
  sameClock: boolean;
}

/** The fields of a line of /proc/PID/status. */
function fieldsOf(status: string, name: string): string[] {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/) ?? [];
}

type Namespaces = Record<'mnt' | 'pid' | 'time', string | undefined>;

/** Those that the engine is in: the same for as long as it runs, and for all processes that are compared with it. */
export function ownNamespaces(): Namespaces {
  const link = (name: string): string | undefined => linkTarget(`/proc/self/ns/${name}`);
  return { mnt: link('mnt'), pid: link('pid'), time: link('time') };
}

/** Undefined for a process that shares files, numbers and user with the engine, and for one that has ended.
 * @param ours where many processes are looked at, they are asked for once */
export function elsewhere(pid: number, ours: Namespaces = ownNamespaces()): Elsewhere | undefined {
  const own = (name: keyof Namespaces): boolean => {
    const theirs = linkTarget(`/proc/${pid}/ns/${name}`);
    return theirs !== undefined && theirs !== ours[name];
  };
  const root = linkTarget(`/proc/${pid}/root`);
  const hasOwnFiles = (root !== undefined && root !== '/') || own('mnt');
  const hasOwnNumbers = own('pid');
  const isAnother = hasOwnFiles || hasOwnNumbers;
  // Only root's engine can write what another user's process reads.
  if (!isAnother && (process.getuid?.() ?? 0) !== 0) return undefined;
  const status = readProcessText(pid, 'status') ?? '';
  const uid = effectiveUser(status);
  if (!isAnother && uid <= 0) return undefined;
  const ownPid = Number(fieldsOf(status, 'NSpid').at(-1) ?? pid);
  const pidNamespace = linkTarget(`/proc/${pid}/ns/pid`) ?? '';
  return { pid, ownPid, uid, pidNamespace, sameClock: !own('time') };
}

/** Of /proc/PID/status, which tells it also where /proc/PID belongs to root because the process changed its ids; -1 when
 * there is none. */
export function effectiveUser(status: string): number {
  return Number(fieldsOf(status, 'Uid')[1] ?? -1);
}

/** Can the engine of this user write what a process with that effective user reads? */
export function isWithinReach({ uid }: Pick<Elsewhere, 'uid'>): boolean {
  const engineUser = process.getuid?.() ?? 0;
  return engineUser === 0 || engineUser === uid;
}

/** Is there a /proc of its own PID namespace where it sees it? The runtime finds its threads there. */
export function seesItself({ pid, ownPid, pidNamespace }: Elsewhere): boolean {
  const seen = linkTarget(`/proc/${pid}/root/proc/${ownPid}/ns/pid`);
  return pidNamespace === '' || seen === pidNamespace;
}

/** The runtime's thread: its number here, and the one that the runtime gives. Undefined when there is none. */
export function workerOf(pid: number): { tid: number; ownTid: number } | undefined {
  for (const name of namesIn(`/proc/${pid}/task`)) {
    if (readProcessText(pid, `task/${name}/comm`) !== WORKER) continue;
    const status = readProcessText(pid, `task/${name}/status`) ?? '';
    return { tid: Number(name), ownTid: Number(fieldsOf(status, 'NSpid').at(-1) ?? name) };
  }
  return undefined;
}

/** The runtime of a process that is elsewhere, with the numbers and paths that it has here.
 * @param runtimeDirectory XDG_RUNTIME_DIR of the process
 * @param startTime of the process as the engine sees it, in clock ticks */
export function findElsewhere(
  place: Elsewhere,
  startTime: number,
  runtimeDirectory: string | undefined,
): FoundRuntime | undefined {
  const worker = isWithinReach(place) ? workerOf(place.pid) : undefined;
  if (!worker) return undefined;
  const root = `/proc/${place.pid}/root`;
  for (const base of [...(runtimeDirectory ? [runtimeDirectory] : []), '/tmp']) {
    for (const name of namesIn(join(root, base)))
      if (/^hot_fix-\d+(\.[0-9a-f]+)?$/.test(name)) {
        const controlDirectory = join(root, base, name, String(place.ownPid));
        const identity = parseIdentity(readOwn(controlDirectory, place.uid) ?? '');
        if (
          identity?.pid !== place.ownPid ||
          identity.workerTid !== worker.ownTid ||
          (place.sameClock && identity.startTime !== startTime) ||
          (identity.pidNamespace !== '' && identity.pidNamespace !== place.pidNamespace)
        )
          continue;
        const { version, protocol, signal, passedOver, asleep } = identity;
        const said = passedOver === '' ? {} : { passedOver };
        return {
          address: { version, protocol, signal, workerTid: worker.tid, controlDirectory, ...said },
          asleep,
        };
      }
  }
  return undefined;
}

/** process.json of a directory that is the user's alone. */
function readOwn(directory: string, uid: number): string | undefined {
  try {
    return inDirectory(directory, (path, stats) =>
      stats.uid === uid && (stats.mode & 0o077) === 0
        ? readTextIfThere(join(path, 'process.json'), LARGEST_IDENTITY)
        : undefined,
    );
  } catch {
    return undefined; // removed meanwhile, or a symbolic link
  }
}

const THROUGH = /^\/proc\/\d+\/root(?=\/)/;

/** How the process itself calls a file that the engine reaches as `path`. */
export function inProcess(path: string): string {
  return path.replace(THROUGH, '');
}

/** The other way round: how the engine reaches a file of the process with that control directory. */
export function fromProcess(path: string, controlDirectory: string): string {
  const root = THROUGH.exec(controlDirectory)?.[0];
  return root === undefined || !path.startsWith('/') ? path : root + path;
}
