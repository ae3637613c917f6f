// Runs the compiler for one translation unit. Effects only: what to run is command.ts's, what its output means
// is diagnostics.ts's. Writes nowhere but into the engine's temporary directory.
import { availableParallelism } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type {
  CompiledUnit,
  CompileContext,
  CompileEntry,
  CompileRequest,
  EngineContext,
  GivenText,
  Preamble,
} from '../context';
import { isThere, lookAt, makeDirectory, readTextIfThere, remove, writeWhole } from '../host';
import type { CompilerDiagnostic } from '../model/result';
import { compilerIndex, objectCommand } from './command';
import { describingFlags } from './describe_types';
import { parseDiagnostics } from './diagnostics';
import { linkLibraries } from './link_libraries';
import type { Preambles } from './preambles';
import { CompileError, type CompilerLimits, filesRead, IDLE, run } from './run_compiler';

/** How many objects of a unit are kept: the one of the last compile may still be in use when the next begins. */
const KEPT = 2;

export const COMPILER_LIMITS: CompilerLimits = { time: 30 * 60_000, grace: 2000, output: 4 * 1024 * 1024 };

export function createCompiler(
  { temporaryDirectory, log }: Pick<EngineContext, 'temporaryDirectory' | 'log'>,
  limits: CompilerLimits = COMPILER_LIMITS,
  preambles?: Preambles,
): Pick<CompileContext, 'compileUnit' | 'prepare' | 'preambleOf' | 'libraryFile' | 'linkLibraries'> {
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

  /** One in which nothing is that anybody will look at: it is not one of those that are kept. */
  const discard = (directory: string): void => {
    remove(directory);
    for (const [unit, all] of outputs)
      outputs.set(
        unit,
        all.filter((one) => one !== directory),
      );
  };

  const compileOnce = async (
    entry: CompileEntry,
    { extraFlags = [], listFiles = false, isAhead = false, signal }: CompileRequest,
    text: string | undefined,
  ): Promise<CompiledUnit> => {
    signal?.throwIfAborted();
    const object = newOutput(entry, text === undefined ? extraFlags : [TEXT]);
    const input = text === undefined ? undefined : writeText(object, entry, text);
    const list = join(dirname(object), FILES);
    const flags = [
      ...describingFlags(entry),
      ...extraFlags,
      ...(input === undefined ? [] : [prefixMap(input, entry)]),
      ...(listFiles ? ['-MD', '-MF', list] : []),
    ];
    const command = objectCommand(entry, object, flags, readTextIfThere, input);
    const argv = isAhead ? [...IDLE, ...command] : command;
    const start = performance.now();
    const directory = dirname(object);
    busy.add(directory);
    const { status, output, isLate } = await run(argv, entry, limits, signal, directory)
      .catch((stopped: unknown) => {
        discard(directory);
        throw stopped;
      })
      .finally(() => busy.delete(directory));
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
  };

  const over = (request: CompileRequest, { header }: Preamble): CompileRequest => ({
    ...request,
    extraFlags: [...(request.extraFlags ?? []), '-include', header],
  });

  /** With the preamble compiled ahead where there is one; whatever fails with it is compiled without, unless it is to be
   * over the preamble. */
  const compileText = async (
    entry: CompileEntry,
    request: CompileRequest,
    text: GivenText,
  ): Promise<CompiledUnit> => {
    const { extraFlags = [] } = request;
    const preamble = preambles?.find({ entry, flags: extraFlags, text });
    if (preamble) {
      try {
        return await compileOnce(entry, over(request, preamble), text.resume + text.rest);
      } catch (thrown) {
        if (!(thrown instanceof CompileError) || request.overPreamble) throw thrown;
      }
    }
    const compiled = await compileOnce(entry, request, text.preamble + text.rest);
    if (preamble) preambles?.drop(preamble.header);
    return compiled;
  };

  const libraryFile = async (entry: CompileEntry, name: string): Promise<string | undefined> => {
    const driver = entry.arguments.slice(0, compilerIndex(entry.arguments) + 1);
    const { status, output } = await run([...driver, `-print-file-name=${name}`], entry, limits, undefined);
    const path = output.trim();
    // Both drivers answer with the bare name when there is no such file.
    return status === 0 && isAbsolute(path) ? path : undefined;
  };

  return {
    compileUnit: async (entry, request = {}) => {
      const release = preambles?.hold();
      try {
        return await turn(() =>
          request.text ? compileText(entry, request, request.text) : compileOnce(entry, request, undefined),
        );
      } finally {
        release?.();
      }
    },

    prepare: (entry, text, extraFlags, trial) =>
      preambles?.want(
        { entry, flags: extraFlags, text },
        trial &&
          (async (preamble, signal) => {
            const request = over({ extraFlags, isAhead: true, signal }, preamble);
            trial(await compileOnce(entry, request, text.resume + text.rest), preamble);
          }),
      ),
    preambleOf: (entry, text, extraFlags) => preambles?.find({ entry, flags: extraFlags, text }),

    libraryFile,
    linkLibraries: (entry) => linkLibraries(entry, limits, (name) => libraryFile(entry, name)),
  };
}

/** A name that no object has. */
const FILES = 'files.read.d';

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
