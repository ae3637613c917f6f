// Runs the compiler for one translation unit. Effects only: what to run is command.ts's, what its output means
// is diagnostics.ts's. Writes nowhere but into the engine's temporary directory.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import type { CompiledUnit, CompileContext, CompileEntry, EngineContext } from '../context';
import { HotPatchError } from '../model/errors';
import type { CompilerDiagnostic } from '../model/result';
import { objectCommand } from './command';
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

export function createCompiler({
  temporaryDirectory,
  log,
}: Pick<EngineContext, 'temporaryDirectory' | 'log'>): Pick<CompileContext, 'compileUnit'> {
  const turn = limitedTo(availableParallelism());
  const outputs = new Map<string, string[]>();
  let count = 0;

  /** A directory of its own for each compile, because the object keeps the name the build gave it: gcc derives
   * the names of its further outputs, and of profiles, from it. */
  const newOutput = (entry: CompileEntry, flags: readonly string[]): string => {
    const unit = JSON.stringify([entry.directory, entry.arguments, flags]);
    const directory = join(temporaryDirectory, `unit-${++count}`);
    mkdirSync(directory);
    const kept = [...(outputs.get(unit) ?? []), directory];
    for (const old of kept.splice(0, kept.length - KEPT)) rmSync(old, { recursive: true, force: true });
    outputs.set(unit, kept);
    return join(directory, basename(entry.output ?? `${entry.source}.o`));
  };

  return {
    compileUnit: (entry, { extraFlags = [], signal } = {}) =>
      turn(async (): Promise<CompiledUnit> => {
        signal?.throwIfAborted();
        const object = newOutput(entry, extraFlags);
        const argv = objectCommand(entry, object, extraFlags, readText);
        const start = performance.now();
        const { status, output } = await run(argv, entry, signal);
        const milliseconds = performance.now() - start;
        log('debug', `${entry.directory}$ ${argv.join(' ')}\n${output}`);
        const diagnostics = parseDiagnostics(output, entry.directory, entry.source, readLine);
        if (status !== 0) throw compileFailed(entry, status, output, diagnostics);
        return {
          entry,
          source: entry.source,
          object,
          argv,
          directory: entry.directory,
          diagnostics,
          milliseconds,
        };
      }),
  };
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

/** Runs a command of an entry, in a process group of its own so that an abort ends the compiler proper too, not
 * only its driver. Messages are in English: they are parsed.
 * Throws CompileError compiler-not-found, or the signal's reason. */
function run(
  argv: readonly string[],
  entry: CompileEntry,
  signal: AbortSignal | undefined,
): Promise<{ status: number | NodeJS.Signals; output: string }> {
  const [program = '', ...parameters] = argv;
  const environment: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C.UTF-8' };
  // Both make gcc write a dependency file of the build.
  delete environment['DEPENDENCIES_OUTPUT'];
  delete environment['SUNPRO_DEPENDENCIES'];
  return new Promise((done, failed) => {
    const child = spawn(program, parameters, {
      cwd: entry.directory,
      env: environment,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const collect = (text: string): void => void (output += text);
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    const abort = (): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGTERM');
      } catch {
        return; // it has just ended
      }
    };
    signal?.addEventListener('abort', abort, { once: true });
    child.on('error', (error) => {
      signal?.removeEventListener('abort', abort);
      failed(notStarted(program, entry, error));
    });
    child.on('close', (status, killedBy) => {
      signal?.removeEventListener('abort', abort);
      if (signal?.aborted) failed(signal.reason as Error);
      else done({ status: status ?? killedBy ?? 'SIGKILL', output });
    });
  });
}

function notStarted(program: string, entry: CompileEntry, error: Error): CompileError {
  // spawn(2) reports a missing directory as if the program were missing.
  const missing = statSync(entry.directory, { throwIfNoEntry: false }) === undefined;
  const message = missing
    ? `${entry.directory}, where ${entry.database} says ${program} ran, does not exist`
    : `${program} cannot be started: ${error.message}`;
  return new CompileError('compiler-not-found', message, [], { file: entry.source });
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // callers say what a missing file means
  }
}

function readLine(file: string, line: number): string | undefined {
  return readText(file)?.split(/\r?\n/)[line - 1];
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
