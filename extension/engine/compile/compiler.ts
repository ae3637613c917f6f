// Runs the compiler for one translation unit. Effects only: what to run is command.ts's, what its output means
// is diagnostics.ts's. Writes nowhere but into the engine's temporary directory.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { CompiledUnit, CompileContext, CompileEntry, EngineContext } from '../context';
import { isThere, lookAt, makeDirectory, readTextIfThere, remove, writeWhole } from '../host';
import { HotPatchError } from '../model/errors';
import type { CompilerDiagnostic } from '../model/result';
import { compilerIndex, objectCommand } from './command';
import { parseDiagnostics } from './diagnostics';

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

/** How many objects of a unit are kept: the one of the last compile may still be in use when the next begins. */
const KEPT = 2;

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

const LIMITS: CompilerLimits = { time: 30 * 60_000, grace: 2000, output: 4 * 1024 * 1024 };

export function createCompiler(
  { temporaryDirectory, log }: Pick<EngineContext, 'temporaryDirectory' | 'log'>,
  limits: CompilerLimits = LIMITS,
): Pick<CompileContext, 'compileUnit' | 'libraryFile'> {
  const turn = limitedTo(availableParallelism());
  const outputs = new Map<string, string[]>();
  /** Directories that a compiler writes into now. */
  const busy = new Set<string>();
  let count = 0;

  /** A directory of its own for each compile, because the object keeps the name the build gave it: gcc derives
   * the names of its further outputs, and of profiles, from it. */
  const newOutput = (entry: CompileEntry, flags: readonly string[]): string => {
    const unit = JSON.stringify([entry.directory, entry.arguments, flags]);
    const directory = join(temporaryDirectory, `unit-${++count}`);
    // Systems clean up their temporary folders, also while an engine runs.
    makeDirectory(temporaryDirectory);
    makeDirectory(directory);
    const all = [...(outputs.get(unit) ?? []), directory];
    const old = all.slice(0, -KEPT).filter((one) => !busy.has(one));
    for (const one of old) remove(one);
    outputs.set(
      unit,
      all.filter((one) => !old.includes(one)),
    );
    return join(directory, basename(entry.output ?? `${entry.source}.o`));
  };

  return {
    compileUnit: (entry, { extraFlags = [], text, listFiles = false, signal } = {}) =>
      turn(async (): Promise<CompiledUnit> => {
        signal?.throwIfAborted();
        const object = newOutput(entry, text === undefined ? extraFlags : [TEXT]);
        const input = text && writeText(object, entry, text);
        const list = join(dirname(object), FILES);
        const flags = [
          ...extraFlags,
          ...(input ? [prefixMap(input, entry)] : []),
          ...(listFiles ? ['-MD', '-MF', list] : []),
        ];
        const argv = objectCommand(entry, object, flags, readTextIfThere, input);
        const start = performance.now();
        busy.add(dirname(object));
        const { status, output, isLate } = await run(argv, entry, limits, signal).finally(() =>
          busy.delete(dirname(object)),
        );
        const milliseconds = performance.now() - start;
        log('debug', `${entry.directory}$ ${argv.join(' ')}\n${output}`);
        const diagnostics = parseDiagnostics(output, entry.directory, entry.source, readLine);
        if (isLate)
          throw new CompileError(
            'compile-failed',
            `${argv[0]} did not end within ${Math.ceil(limits.time / 1000)} s and was stopped`,
            diagnostics,
            { file: entry.source },
          );
        if (status !== 0) throw compileFailed(entry, status, output, diagnostics);
        if (lookAt(object)?.isFile() !== true) throw noObject(argv, entry, object, diagnostics);
        return {
          entry,
          source: entry.source,
          object,
          argv,
          ...(listFiles && { files: filesRead(list, entry.directory) }),
          directory: entry.directory,
          diagnostics,
          milliseconds,
        };
      }),

    libraryFile: async (entry, name) => {
      const driver = entry.arguments.slice(0, compilerIndex(entry.arguments) + 1);
      const { status, output } = await run([...driver, `-print-file-name=${name}`], entry, limits, undefined);
      const path = output.trim();
      // Both drivers answer with the bare name when there is no such file.
      return status === 0 && isAbsolute(path) ? path : undefined;
    },
  };
}

/** A name that no object has. */
const FILES = 'files.read.d';

/** The files that a compile read, from the rule that -MD writes: `object: file file\` (GNU cpp, "Invocation"). Undefined
 * when the compiler wrote none. */
function filesRead(list: string, directory: string): string[] | undefined {
  const [, ...files] = (readTextIfThere(list) ?? '')
    .replace(/\\\r?\n/g, ' ')
    .split(/(?<!\\)\s+/)
    .filter((word) => word !== '');
  if (files.length === 0) return undefined;
  return files.map((file) => resolve(directory, file.replace(/\\([\s#\\])/g, '$1').replace(/\$\$/g, '$')));
}

/** Stands for the flags of units whose text is given: their objects are counted apart. */
const TEXT = '(text)';

/** A text to be compiled in place of a source: under the same name, which the object's FILE symbol has, beside the object.
 * Throws HostError cannot-write. */
function writeText(object: string, entry: CompileEntry, text: string): string {
  const path = join(dirname(object), basename(entry.spelledSource));
  writeWhole(path, text);
  return path;
}

/** Names it in the debug information and in `__BASE_FILE__` as the source is spelled. */
function prefixMap(input: string, { spelledSource }: CompileEntry): string {
  const prefix = (path: string): string => path.slice(0, path.length - basename(path).length);
  return `-ffile-prefix-map=${prefix(input)}=${prefix(spelledSource)}`;
}

/** Status 0 and nothing to show for it: a wrapper that does something else. */
function noObject(
  [program = '']: readonly string[],
  entry: CompileEntry,
  object: string,
  diagnostics: CompilerDiagnostic[],
): CompileError {
  const what = isThere(object) ? 'wrote something else than a file as its object' : 'wrote no object';
  return new CompileError('compile-failed', `${program} ended without an error and ${what}`, diagnostics, {
    file: entry.source,
  });
}

function compileFailed(
  entry: CompileEntry,
  status: number | NodeJS.Signals,
  output: string,
  diagnostics: CompilerDiagnostic[],
): CompileError {
  const error = diagnostics.find(({ severity }) => severity === 'error');
  if (error) {
    const { file, line, column, endLine, endColumn, message } = error;
    return new CompileError('compile-failed', message, diagnostics, {
      file,
      line,
      column,
      endLine,
      endColumn,
    });
  }
  // Killed, or a wrapper that fails in its own words: its last line is the best there is.
  const said = output.trim().split('\n').at(-1);
  const message = `The compiler ended with ${typeof status === 'number' ? `status ${status}` : status}${said ? `: ${said}` : ''}`;
  return new CompileError('compile-failed', message, diagnostics, { file: entry.source });
}

interface Ended {
  status: number | NodeJS.Signals;
  output: string;
  /** It was stopped because its time was over. */
  isLate: boolean;
}

/** Runs a command of an entry, in a process group of its own so that an abort ends the compiler proper too, not
 * only its driver. Messages are in English: they are parsed. Ends whatever the compiler does.
 * Throws CompileError compiler-not-found, or the signal's reason. */
function run(
  argv: readonly string[],
  entry: CompileEntry,
  limits: CompilerLimits,
  signal: AbortSignal | undefined,
): Promise<Ended> {
  const [program = '', ...parameters] = argv;
  const environment: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C.UTF-8' };
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

function readLine(file: string, line: number): string | undefined {
  return readTextIfThere(file)?.split(/\r?\n/)[line - 1];
}

/** At most `limit` at a time, in the order of the calls. */
function limitedTo(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = limit;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
