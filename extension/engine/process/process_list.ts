// The local processes and whether they can be patched, from /proc and the control directories. Called up to once
// a second by views: a few small reads a process, no debug information.
import { basename } from 'node:path';
import { namesIn, linkTarget, look as lookUp, readProcess, readProcessText } from '../host';
import type { PatchableProcess, Problem } from '../model/result';
import { baseDirectories, findRuntimes, type FoundRuntime } from './control_directory';
import { effectiveUser, elsewhere, findElsewhere, isWithinReach, ownNamespaces } from './elsewhere';

/** Flag of kernel threads (PF_KTHREAD of linux/sched.h). */
const KERNEL_THREAD = 0x0020_0000;

/** Fields of /proc/PID/stat (proc(5)): the second, the name, may hold blanks and parentheses. */
export function parseStat(
  text: string,
):
  { name: string; state: string; parentPid: number; startTime: number; isKernelThread: boolean } | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return undefined;
  const fields = text.slice(close + 2).split(' ');
  const startTime = Number(fields[19]);
  if (!Number.isSafeInteger(startTime)) return undefined;
  return {
    name: text.slice(open + 1, close),
    state: fields[0] ?? '',
    parentPid: Number(fields[1]),
    startTime,
    isKernelThread: (Number(fields[6]) & KERNEL_THREAD) !== 0,
  };
}

/** Undefined when the process is gone (or a zombie: nothing of it is left to patch). */
export function readStat(pid: number): ReturnType<typeof parseStat> {
  const text = readProcessText(pid, 'stat');
  const stat = text === undefined ? undefined : parseStat(text);
  return stat && stat.state !== 'Z' && stat.state !== 'X' ? stat : undefined;
}

/** Undefined when the process is gone, is not ours, or hangs in the kernel: it is listed with what is known. */
async function tryRead(pid: number, name: string): Promise<string | undefined> {
  try {
    return (await readProcess(pid, name)).toString('utf8');
  } catch {
    return undefined;
  }
}

/** What does not change while a process runs one program. `exec` keeps pid and start time, so the executable's
 * link is part of what is compared. */
interface Known {
  startTime: number;
  exe: string;
  uid: number;
  commandLine: string[];
  runtimeDirectory: string | undefined;
}

export type ProcessList = () => Promise<PatchableProcess[]>;

/** @param lookAtProgram whether the executable of a process was replaced by another build, or why it cannot be looked at;
 * asked for processes with the runtime only. */
export function createProcessList(
  lookAtProgram: (pid: number) => { rebuilt: boolean; problem?: Problem },
): ProcessList {
  const known = new Map<number, Known>();
  const ownUid = process.getuid?.() ?? 0;

  const look = async (pid: number, startTime: number): Promise<Known | undefined> => {
    const link = linkTarget(`/proc/${pid}/exe`);
    const exe = link?.replace(/ \(deleted\)$/, '') ?? '';
    const before = known.get(pid);
    if (before && before.startTime === startTime && before.exe === exe) return before;
    const uid = uidOf(pid);
    // Both wait for the process. What is not ours has no environment that can be read; of what is, it may be readable where
    // the executable's name is not.
    const [words, environment] = await Promise.all([
      tryRead(pid, 'cmdline'),
      uid !== undefined && isWithinReach({ uid }) ? tryRead(pid, 'environ') : undefined,
    ]);
    const commandLine = (words ?? '').replace(/\0$/, '').split('\0');
    // One that is just ending has neither executable nor command line.
    if (uid === undefined || (exe === '' && commandLine.join('') === '')) return undefined;
    const runtimeDirectory = environment
      ?.split('\0')
      .find((variable) => variable.startsWith('XDG_RUNTIME_DIR='))
      ?.slice('XDG_RUNTIME_DIR='.length);
    const now = { startTime, exe, uid, commandLine, runtimeDirectory: runtimeDirectory || undefined };
    // What could not be read is asked for again: a process hangs for a while, not for ever.
    if (words !== undefined) known.set(pid, now);
    return now;
  };

  return async () => {
    const live = new Map<number, { stat: NonNullable<ReturnType<typeof parseStat>>; about: Known }>();
    const pids = namesIn('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
    await Promise.all(
      pids.map(async (pid) => {
        const stat = readStat(pid);
        // Of kernel threads there are hundreds on a large machine, and nothing to know.
        const about = stat && !stat.isKernelThread ? await look(pid, stat.startTime) : undefined;
        if (stat && about) live.set(pid, { stat, about });
      }),
    );
    for (const pid of known.keys()) if (!live.has(pid)) known.delete(pid);

    const environments = [...live.values()].flatMap(({ about }) => about.runtimeDirectory ?? []);
    const bases = baseDirectories(ownUid, environments);
    const runtimes = findRuntimes(
      ownUid,
      bases,
      (pid) => live.get(pid)?.stat.startTime ?? readStat(pid)?.startTime,
      (pid, tid) => {
        const worker = readProcessText(pid, `task/${tid}/status`) ?? '';
        // One that has become another user's cannot use this directory any more.
        return /^Name:\thot_fix$/m.test(worker) && effectiveUser(worker) === ownUid;
      },
    );

    const ours = ownNamespaces();
    const processes = [...live].map(([pid, { stat, about }]): PatchableProcess => {
      const found = runtimes.get(pid) ?? runtimeElsewhere(pid, ours, stat.startTime, about);
      const runtime = found?.asleep === false ? found.address : undefined;
      const isOurs = isWithinReach(about);
      const program = isOurs && runtime ? lookAtProgram(pid) : undefined;
      const state = !isOurs ? 'other-user' : !program ? 'no-runtime' : program.rebuilt ? 'rebuilt' : 'ready';
      return {
        pid,
        startTime: stat.startTime,
        parentPid: stat.parentPid,
        exe: about.exe,
        name: about.exe ? basename(about.exe) : stat.name,
        commandLine: about.commandLine,
        cwd: (isOurs && linkTarget(`/proc/${pid}/cwd`)) || '',
        state,
        ...(runtime && { runtime }),
        ...(found?.asleep && { asleep: found.address }),
        ...(program?.problem && { problem: program.problem }),
      };
    });
    return processes.sort((a, b) => Number(!a.runtime) - Number(!b.runtime) || a.pid - b.pid);
  };
}

/** In a container, in another root, or of another user. */
function runtimeElsewhere(
  pid: number,
  ours: ReturnType<typeof ownNamespaces>,
  startTime: number,
  { runtimeDirectory }: Known,
): FoundRuntime | undefined {
  const place = elsewhere(pid, ours);
  return place && findElsewhere(place, startTime, runtimeDirectory);
}

function uidOf(pid: number): number | undefined {
  return lookUp(`/proc/${pid}`)?.uid;
}
