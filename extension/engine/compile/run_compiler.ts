// Runs a compiler: to its end, whatever it does, and with what it says. Knows nothing of units.
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { CompileEntry } from '../context';
import { isThere, readTextIfThere } from '../host';
import { HotPatchError } from '../model/errors';
import type { CompilerDiagnostic } from '../model/result';

/** A compile that did not produce an object: `compile-failed` or `compiler-not-found`. */
export class CompileError extends HotPatchError {
  constructor(
    code: 'compile-failed' | 'compiler-not-found',
    message: string,
    readonly diagnostics: CompilerDiagnostic[],
    place: HotPatchError['place'] = {},
  ) {
    super(code, message, place);
  }
}

/** What a compiler may take. A build's own commands are trusted to be right, not to end. */
export interface CompilerLimits {
  /** Milliseconds. The longest units of real programs take some ten minutes. */
  time: number;
  /** Milliseconds between SIGTERM and SIGKILL, and for which pipes are read on after the compiler has ended: a daemon
   * that it started (ccache, distcc) may hold them for ever. */
  grace: number;
  /** Characters of messages that are kept; what comes after them is read and dropped. */
  output: number;
}

export interface Ended {
  status: number | NodeJS.Signals;
  output: string;
  /** It was stopped because its time was over. */
  isLate: boolean;
}

/** Before a command: it runs at the lowest priority (nice(1)). */
export const IDLE = ['nice', '-n', '19'] as const;

/** Runs a command of an entry, in a process group of its own so that an abort ends the compiler proper too, not
 * only its driver. Messages are in English: they are parsed. Ends whatever the compiler does.
 * @param scratch directory for the compiler's own temporary files: what a stopped or crashed one leaves goes with it
 * Throws CompileError compiler-not-found, or the signal's reason. */
export function run(
  argv: readonly string[],
  entry: CompileEntry,
  limits: CompilerLimits,
  signal: AbortSignal | undefined,
  scratch?: string,
): Promise<Ended> {
  const [program = '', ...parameters] = argv;
  const environment: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C.UTF-8' };
  if (scratch !== undefined) environment['TMPDIR'] = scratch;
  // Both make gcc write a dependency file of the build.
  delete environment['DEPENDENCIES_OUTPUT'];
  delete environment['SUNPRO_DEPENDENCIES'];
  return new Promise((done, failed) => {
    let child: ReturnType<typeof spawn>;
    try {
      child = spawn(program, parameters, {
        cwd: entry.directory,
        env: environment,
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    } catch (error) {
      // A command of more than the kernel takes, or no descriptors left.
      failed(notStarted(program, entry, error as Error));
      return;
    }
    let output = '';
    const streams = [child.stdout, child.stderr];
    for (const stream of streams)
      stream?.setEncoding('utf8').on('data', (text: string) => {
        if (output.length < limits.output) output += text.slice(0, limits.output - output.length);
      });
    let isLate = false;
    let isStopped = false;
    const timers: NodeJS.Timeout[] = [];
    const stop = (): void => {
      isStopped = true;
      kill(child.pid, 'SIGTERM');
      timers.push(setTimeout(() => kill(child.pid, 'SIGKILL'), limits.grace));
    };
    timers.push(
      setTimeout(() => {
        isLate = true;
        stop();
      }, limits.time),
    );
    signal?.addEventListener('abort', stop, { once: true });
    const settle = (result: () => void): void => {
      signal?.removeEventListener('abort', stop);
      for (const timer of timers) clearTimeout(timer);
      // Of a driver that obeys, the compiler proper need not.
      if (isStopped) kill(child.pid, 'SIGKILL');
      for (const stream of streams) stream?.destroy();
      result();
    };
    child.on('error', (error) => settle(() => failed(notStarted(program, entry, error))));
    const end = (status: number | null, killedBy: NodeJS.Signals | null): void =>
      settle(() => {
        if (signal?.aborted) failed(signal.reason as Error);
        else done({ status: status ?? killedBy ?? 'SIGKILL', output, isLate });
      });
    child.on('close', end);
    // What it started and left behind is no part of the compile.
    child.on('exit', (status, killedBy) => {
      timers.push(setTimeout(() => end(status, killedBy), limits.grace));
    });
  });
}

function kill(group: number | undefined, signal: NodeJS.Signals): void {
  if (group === undefined) return;
  try {
    process.kill(-group, signal);
  } catch {
    return; // it has just ended
  }
}

function notStarted(program: string, entry: CompileEntry, error: Error): CompileError {
  // spawn(2) reports a missing directory as if the program were missing.
  const missing = !isThere(entry.directory);
  const message = missing
    ? `${entry.directory}, where ${entry.database} says ${program} ran, does not exist`
    : `${program} cannot be started: ${error.message}`;
  return new CompileError('compiler-not-found', message, [], { file: entry.source });
}

/** The files that a compile read, from the rule that -MD writes: `object: file file\` (GNU cpp, "Invocation"). Undefined
 * when the compiler wrote none. */
export function filesRead(list: string, directory: string): string[] | undefined {
  const [, ...files] = (readTextIfThere(list) ?? '')
    .replace(/\\\r?\n/g, ' ')
    .split(/(?<!\\)\s+/)
    .filter((word) => word !== '');
  if (files.length === 0) return undefined;
  return files.map((file) => resolve(directory, file.replace(/\\([\s#\\])/g, '$1').replace(/\$\$/g, '$')));
}
