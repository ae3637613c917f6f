// How the processes of the workspace were started, noted while they run, so that one can be started again the same way,
// also after it has ended. What a task of this window started is that task; anything else is known by what /proc says
// of it (proc(5): cwd, environ, exe). Environments stay in memory.
import { readFile, readlink } from 'node:fs/promises';
import * as vscode from 'vscode';
import { taskType } from '../contributions';
import { processKey, type ProcessKey, type State } from '../state/state';
import type { Store } from '../state/store';

/** Those that ended are remembered, so many at most. */
const REMEMBERED = 50;

export interface Launch {
  readonly key: ProcessKey;
  readonly pid: number;
  readonly name: string;
  readonly program: string;
  /** Without the program. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Process that started it: a terminal's shell, say. */
  readonly parentPid: number;
  /** The task of this window that it is. */
  readonly task: vscode.TaskExecution | undefined;
  /** The debug session of this window that started it. */
  readonly debugSession: vscode.DebugSession | undefined;
}

export interface Launches extends vscode.Disposable {
  /** The newest first. */
  all(): readonly Launch[];
  of(key: ProcessKey): Launch | undefined;
  /** Whether a debug session of this window, or a task that starts programs with the runtime, started it. */
  isStartedHere(pid: number): boolean;
  /** Whether VS Code's terminals are the process with this number: what it starts itself are the programs of tasks and
   * shells. They outlive the window, which may be told of them seconds after a reload. */
  isOfTerminals(pid: number): Promise<boolean>;
  /** How it ended: the status that a shell would give. */
  exited(pid: number, status: number): void;
  /** A debug session says which process it has started. */
  debugged(pid: number, session: vscode.DebugSession): void;
}

export function watchLaunches(store: Store): Launches {
  const launches = new Map<ProcessKey, Omit<Launch, 'task' | 'debugSession'>>();
  /** By process id; a later process with the number has another start time, and is noted when it comes. */
  const tasks = new Map<number, vscode.TaskExecution>();
  const sessions = new Map<number, vscode.DebugSession>();

  async function note(state: State): Promise<void> {
    for (const process of [...(state.processes ?? []), ...state.unprepared]) {
      const key = processKey(process);
      const { pid, name, exe, commandLine, parentPid } = process;
      if (launches.has(key)) continue;
      const [cwd, environ] = await Promise.all([
        readlink(`/proc/${pid}/cwd`).catch(() => process.cwd),
        readFile(`/proc/${pid}/environ`, 'utf8').catch(() => undefined),
      ]);
      // It has ended, or is another user's.
      if (environ === undefined || launches.has(key)) continue;
      const common = { key, pid, name, program: exe, cwd, parentPid };
      const args = commandLine.slice(1);
      launches.set(key, { ...common, args, env: environmentOf(environ) });
    }
    const present = new Set([...(state.processes ?? []), ...state.unprepared].map(processKey));
    const ended = [...launches.keys()].filter((key) => !present.has(key));
    for (const key of ended.slice(0, Math.max(0, ended.length - REMEMBERED))) launches.delete(key);
  }

  const exited = (pid: number, status: number) => {
    const key = [...launches.values()].findLast((launch) => launch.pid === pid)?.key;
    if (key !== undefined) store.dispatch({ type: 'exited', key, status });
  };
  const subscription = vscode.Disposable.from(
    vscode.tasks.onDidEndTaskProcess(({ execution, exitCode }) => {
      const pid = [...tasks].findLast(([, started]) => started === execution)?.[0];
      if (pid !== undefined && exitCode !== undefined) exited(pid, exitCode);
    }),
    vscode.tasks.onDidStartTaskProcess(({ execution, processId }) => {
      sessions.delete(processId);
      tasks.set(processId, execution);
    }),
    store.subscribe((state, previous) => {
      if (state.processes !== previous.processes || state.unprepared !== previous.unprepared)
        void note(state);
    }),
  );
  const complete = (launch: Omit<Launch, 'task' | 'debugSession'>): Launch => ({
    ...launch,
    task: tasks.get(launch.pid),
    debugSession: sessions.get(launch.pid),
  });
  return {
    all: () => [...launches.values()].reverse().map(complete),
    of(key) {
      const launch = launches.get(key);
      return launch && complete(launch);
    },
    isStartedHere: (pid) => sessions.has(pid) || tasks.get(pid)?.task.definition.type === taskType,
    // A process beside the one that this runs in, which has the same parent.
    isOfTerminals: async (pid) => pid !== process.pid && (await parentOf(pid)) === process.ppid,
    exited,
    debugged(pid, session) {
      tasks.delete(pid);
      sessions.set(pid, session);
    },
    dispose: () => void subscription.dispose(),
  };
}

/** proc_pid_stat(5): the name, in parentheses, may hold anything; ppid is the fourth field. */
async function parentOf(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** proc_pid_environ(5): NAME=VALUE, each ended by a NUL. */
function environmentOf(environ: string): Record<string, string> {
  return Object.fromEntries(
    environ
      .split('\0')
      .filter((entry) => entry.includes('='))
      .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  );
}
