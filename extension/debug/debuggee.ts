// The program of a debug session: started with pipes or in a terminal, or attached to. Starts, follows and ends that
// one process; knows nothing of patches or of the debug protocol.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { readStat } from '../engine/process/process_list';

/** How often a process that is not our child is looked at, milliseconds. */
const LOOK_INTERVAL = 100;
/** How long a terminal may take to start a program, milliseconds. */
const TERMINAL_PATIENCE = 60_000;

export interface ProgramStart {
  program: string;
  args: string[];
  cwd: string;
  /** Variables on top of the adapter's own environment; null removes one. */
  env: Record<string, string | null>;
  /** File that becomes standard input; without it a pipe that `send` writes to. */
  stdin?: string;
}

export interface Debuggee {
  readonly pid: number;
  /** Its exit status, 128 + N for a signal as shells say it; undefined when nobody told us. */
  readonly ended: Promise<number | undefined>;
  /** Writes to its standard input; absent where that is not ours. */
  readonly send?: (text: string) => void;
  signal(name: NodeJS.Signals): void;
  /** From here on it lives without us. */
  release(): void;
}

function signalProcess(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended already, which is what signals here are for.
  }
}

/** Where coreutils keeps what `stdbuf` preloads: a program that writes into a pipe would keep its lines back. */
const LINE_BUFFER = ['/usr/libexec/coreutils/libstdbuf.so', '/usr/lib/coreutils/libstdbuf.so'];

export function withLineBuffering(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const library = LINE_BUFFER.find((path) => existsSync(path));
  if (!library || env['_STDBUF_O'] !== undefined) return env;
  return { ...env, _STDBUF_O: 'L', LD_PRELOAD: [env['LD_PRELOAD'], library].filter(Boolean).join(':') };
}

export function mergedEnvironment(
  base: NodeJS.ProcessEnv,
  changes: Record<string, string | null>,
): NodeJS.ProcessEnv {
  const merged = { ...base };
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete merged[name];
    else merged[name] = value;
  }
  return merged;
}

/** With pipes; what it prints is told. Rejects when it cannot be started. */
export async function startWithPipes(
  { program, args, cwd, stdin }: ProgramStart,
  env: NodeJS.ProcessEnv,
  onOutput: (category: 'stdout' | 'stderr', text: string) => void,
): Promise<Debuggee> {
  const input = stdin === undefined ? 'pipe' : openSync(stdin, 'r');
  let child: ChildProcess;
  try {
    // Of its own session, so that it can outlive the editor, and its own group, so that its workers end with it.
    child = spawn(program, args, { cwd, env, stdio: [input, 'pipe', 'pipe'], detached: true });
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  } finally {
    if (typeof input === 'number') closeSync(input);
  }
  const pid = child.pid!;
  child.stdout!.setEncoding('utf8').on('data', (text: string) => onOutput('stdout', text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => onOutput('stderr', text));
  child.stdin?.on('error', () => undefined); // closed by the program: `send` has nobody to write to
  const ended = new Promise<number>((resolve) => {
    // `exit` and not `close`: a forked worker may keep the pipes open.
    child.once('exit', (code, signal) =>
      setImmediate(() => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0))),
    );
  });
  return {
    pid,
    ended,
    ...(child.stdin && { send: (text: string) => void child.stdin!.write(text) }),
    signal: (name) => signalProcess(-pid, name),
    release: () => drain(child),
  };
}

/** The program outlives us, so its pipes need another reader, or it would block or die of SIGPIPE, and its standard input
 * another holder, or it would see the end of the file. `cat` does, for as long as the program lives. */
function drain(child: ChildProcess): void {
  child.stdout!.removeAllListeners('data').pause();
  child.stderr!.removeAllListeners('data').pause();
  const held = child.stdin ?? ('ignore' as const);
  spawn('sh', ['-c', 'cat <&3 >/dev/null & exec 3<&-; cat >/dev/null; wait'], {
    stdio: [child.stdout, 'ignore', 'ignore', child.stderr, held],
    detached: true,
  }).unref();
  // It has its own descriptors of them; ours would keep the adapter alive.
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
  child.unref();
}

/** In a terminal that the client opens. Between its shell and the program stands another shell, so that a program
 * that is stopped does not become a background job of the terminal's, and tells pid and exit status. */
export async function startInTerminal(
  { program, args }: ProgramStart,
  variables: Record<string, string>,
  open: (argv: string[]) => Promise<void>,
): Promise<Debuggee> {
  const directory = mkdtempSync(join(tmpdir(), 'hot-patch-terminal-'));
  const report = join(directory, 'report');
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const reported = (): string => (existsSync(report) ? readFileSync(report, 'utf8') : '');
  const inner = 'echo "pid $$" >> "$0"; exec "$@"';
  const outer = '/bin/sh -c "$0" "$@"; echo "exit $?" >> "$1"';
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  try {
    await open(['/bin/sh', '-c', outer, inner, report, '/usr/bin/env', ...settings, program, ...args]);
    let pid: number | undefined;
    for (let waited = 0; pid === undefined; waited += LOOK_INTERVAL) {
      pid = Number(/^pid (\d+)$/m.exec(reported())?.[1]) || undefined;
      if (waited > TERMINAL_PATIENCE) throw new Error(`The terminal did not start ${program}`);
      if (pid === undefined) await setTimeout(LOOK_INTERVAL);
    }
    const found = attachTo(pid);
    const ended = found.ended.then(async () => {
      for (let looks = 0; looks < 20 && !/^exit /m.test(reported()); looks++) await setTimeout(LOOK_INTERVAL);
      const status = /^exit (\d+)$/m.exec(reported())?.[1];
      remove();
      return status === undefined ? undefined : Number(status);
    });
    return { ...found, ended };
  } catch (error) {
    remove();
    throw error;
  }
}

/** A process that runs already. Throws when there is none. */
export function attachTo(pid: number): Debuggee {
  const startTime = readStat(pid)?.startTime;
  if (startTime === undefined) throw new Error(`There is no process ${pid}`);
  let released = false;
  const ended = (async () => {
    while (!released && readStat(pid)?.startTime === startTime) await setTimeout(LOOK_INTERVAL);
    return undefined;
  })();
  return {
    pid,
    ended,
    signal: (name) => {
      if (readStat(pid)?.startTime === startTime) signalProcess(pid, name);
    },
    release: () => {
      released = true;
    },
  };
}
