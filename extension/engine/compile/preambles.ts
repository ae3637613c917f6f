// Preambles: the directives that a unit begins with, compiled ahead (a precompiled header of gcc or clang) and kept on disk
// for all engines of the user. One is taken only where a compile of the same directives with the same command would read
// the same files now. Compiles at the lowest priority, one at a time, and only while nothing else is to be done.
import { createHash, randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { CompileEntry, EngineContext, GivenText, Preamble } from '../context';
import {
  namesIn,
  isThere,
  look,
  lookAt,
  makeDirectory,
  move,
  readTextIfThere,
  remove,
  stampOf,
  touch,
  writeWhole,
} from '../host';
import { HotPatchError } from '../model/errors';
import { compilerIndex, objectCommand } from './command';
import { describingFlags, programFile } from './describe_types';
import { filesLookedFor, type SearchPath, withoutComments } from './includes';
import { type CompilerLimits, filesRead, IDLE, run } from './run_compiler';
import { lastingPragma, NOT_PACKED } from './pragmas';
import { createTrust } from './trust';

export interface PreambleOptions {
  /** Where they are kept; a directory of the user's own, made when the first one is compiled. */
  directory: string;
  /** Bytes on disk, of all together; 0: none are compiled or taken. */
  limit: number;
  log: EngineContext['log'];
}

/** A text of a unit, and how it is compiled. */
export interface UnitText {
  entry: CompileEntry;
  /** Appended to the command. */
  flags: readonly string[];
  text: GivenText;
}

type Use = (preamble: Preamble, signal: AbortSignal) => Promise<void>;

export interface Preambles {
  /** What to include (`-include`) in place of a text's preamble; undefined when there is none that is valid. */
  find(unit: UnitText): Preamble | undefined;
  /** Has it compiled when nothing else is to be done, if there is none.
   * @param use what else is to be done with it then, begun anew after it was stopped */
  want(unit: UnitText, use?: Use): void;
  /** It cannot be used after all. */
  drop(header: string): void;
  /** Nothing is compiled ahead until what is returned is called. */
  hold(): () => void;
  /** Ends what is being compiled. */
  dispose(): Promise<void>;
}

/** Changed whenever what is kept, or the conditions for taking it, change. */
const FORMAT = 2;
const HEADER = 'hot_patch_preamble.h';
const COMPILED = `${HEADER}.gch`;
const FACTS = 'facts.json';
const NAME = /^[0-9a-f]{64}$/;
/** Milliseconds after which what a killed engine left is removed. */
const ABANDONED_AFTER = 3600_000;
/** Milliseconds by which the time of a file may lag behind the clock (the kernel's own is that coarse). */
const CLOCK_LAG = 100;

/** Variables that decide which compiler runs and where it looks. */
const ENVIRONMENT = [
  'PATH',
  'CPATH',
  'C_INCLUDE_PATH',
  'CPLUS_INCLUDE_PATH',
  'GCC_EXEC_PREFIX',
  'COMPILER_PATH',
];
/** Options that have something come before the preamble, or that have their own idea of precompiled headers. */
const UNSUPPORTED = /^(--?(include|imacros)|-fpch|-Wp,|-Xpreprocessor|-save-temps|-E|-P$)/;
/** What stands for the place or the time of the compile itself, where the preamble is one of another file. */
const PLACE_OR_TIME = /\b__(INCLUDE_LEVEL|BASE_FILE|TIMESTAMP|DATE|TIME)__\b/;

/** It may be compiled another time. */
class ChangedMeanwhile extends Error {}

/** What a preamble was made from. */
interface Facts {
  compiled: string;
  /** Files that were read, with their stamps. */
  files: Record<string, string>;
  /** Files that were looked for in vain, by the directory that says so as long as nothing is added to it. */
  missing: { directory: string; stamp: string; files: string[] }[];
}

/** `$XDG_CACHE_HOME/hot-patch/preambles` (XDG Base Directory Specification). */
export function defaultPreambleDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const cache = environment['XDG_CACHE_HOME'];
  return join(cache && isAbsolute(cache) ? cache : join(homedir(), '.cache'), 'hot-patch', 'preambles');
}

export function createPreambles(
  { directory, limit, log }: PreambleOptions,
  limits: CompilerLimits,
): Preambles {
  const wanted = new Map<string, { unit: UnitText; use: Use | undefined }>();
  /** Those that cannot be compiled, or must not be used: not tried again. */
  const hopeless = new Set<string>();
  let holds = 0;
  let running: { stop: AbortController; ended: Promise<void> } | undefined;
  let isDisposed = false;

  /** Made for us alone, and nobody else can put anything in its place. */
  const isSafe = (): boolean => {
    const stats = lookAt(directory);
    if (!stats) return false;
    const why =
      stats.isDirectory() && stats.uid === process.getuid?.() && (stats.mode & 0o077) === 0
        ? createTrust().ofDirectory(directory)
        : 'it is not a directory of the user alone';
    if (why !== undefined) log('debug', `no preambles in ${directory}: ${why}`);
    return why === undefined;
  };

  /** Undefined unless it is valid. */
  const factsOf = (entry: string): Facts | undefined => {
    const facts = readFacts(join(entry, FACTS));
    const isValid =
      facts?.compiled === stampOf(join(entry, COMPILED)) && facts !== undefined && isAsItWas(facts);
    return isValid ? facts : undefined;
  };

  const compile = async (key: string, unit: UnitText, signal: AbortSignal): Promise<void> => {
    const { entry, flags, text } = unit;
    for (const path of [dirname(dirname(directory)), dirname(directory), directory]) makeDirectory(path);
    if (!isSafe()) return;
    const kept = join(directory, key);
    if (factsOf(kept)) return;
    makeDirectory(kept);
    const header = join(kept, HEADER);
    // clang demands that the file it was compiled from stays as it is, whoever wrote it.
    const directives = text.preamble + NOT_PACKED;
    if (readTextIfThere(header) !== directives) writeWhole(header, directives, unfinished(kept));
    const { unfinished: output } = unfinished(kept);
    const list = `${output}.d`;
    try {
      const started = Date.now();
      const more = [...flags, '-x', `${text.language}-header`, '-v', '-MD', '-MF', list];
      const argv = [
        ...IDLE,
        ...objectCommand(entry, output, [...describingFlags(entry), ...more], readTextIfThere, header),
      ];
      const ended = await run(argv, entry, limits, signal);
      if (ended.status !== 0 || ended.isLate) throw new Error(`the compiler ended with ${ended.status}`);
      const files = filesRead(list, entry.directory)?.filter((file) => file !== header);
      if (!files) throw new Error('the compiler does not say which files it read');
      const facts = {
        compiled: stampOf(output) ?? '',
        ...readDependencies(unit, files, ended.output, started),
      };
      move(output, join(kept, COMPILED));
      writeWhole(join(kept, FACTS), JSON.stringify(facts), unfinished(kept));
      log('debug', `preamble of ${entry.source} compiled ahead in ${Date.now() - started} ms`);
    } finally {
      remove(output);
      remove(list);
    }
    sweep(directory, limit);
  };

  const unfinished = (kept: string): { unfinished: string } => ({
    unfinished: join(kept, `${randomBytes(8).toString('hex')}.part`),
  });

  const next = (): void => {
    const [first] = wanted;
    if (isDisposed || holds > 0 || running || !first) return;
    const [key, want] = first;
    const { unit, use } = want;
    const stop = new AbortController();
    const done = (): void => {
      // It may have been asked for again meanwhile.
      if (wanted.get(key) === want) wanted.delete(key);
    };
    const work = compile(key, unit, stop.signal)
      .then(() => {
        const preamble = use && found(key);
        return preamble && use(preamble, stop.signal);
      })
      .then(done, (thrown: unknown) => {
        // Begun anew when there is time again.
        if (stop.signal.aborted) return;
        done();
        if (!(thrown instanceof ChangedMeanwhile)) hopeless.add(key);
        log(
          'debug',
          `no preamble of ${unit.entry.source}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
        );
      });
    running = {
      stop,
      ended: work.then(() => {
        running = undefined;
        next();
      }),
    };
  };

  const found = (key: string): Preamble | undefined => {
    if (!isSafe()) return undefined;
    const entry = join(directory, key);
    const facts = factsOf(entry);
    if (!facts) return undefined;
    touch(join(entry, FACTS));
    return { header: join(entry, HEADER), stamp: facts.compiled, files: Object.keys(facts.files) };
  };

  return {
    find: (unit) => {
      const key = limit > 0 ? keyOf(unit) : undefined;
      return key === undefined ? undefined : found(key);
    },
    want: (unit, use) => {
      const key = limit > 0 ? keyOf(unit) : undefined;
      if (key === undefined || hopeless.has(key)) return;
      wanted.set(key, { unit, use });
      next();
    },
    drop: (header) => {
      log('debug', `the preamble ${header} cannot be used`);
      remove(dirname(header));
    },
    hold: () => {
      holds++;
      running?.stop.abort();
      let isHeld = true;
      return () => {
        if (!isHeld) return;
        isHeld = false;
        holds--;
        next();
      };
    },
    dispose: async () => {
      isDisposed = true;
      running?.stop.abort();
      await running?.ended;
    },
  };
}

/** What tells a preamble from all others: its text, and all that decides what becomes of it but the files it reads.
 * @returns undefined when there is nothing to compile ahead, or it must not be */
function keyOf({ entry, flags, text }: UnitText): string | undefined {
  if (text.preamble === '' || PLACE_OR_TIME.test(text.preamble)) return undefined;
  let argv: string[];
  try {
    argv = objectCommand(entry, '', [...describingFlags(entry), ...flags], readTextIfThere, '');
  } catch (thrown) {
    // The compile itself says why.
    if (thrown instanceof HotPatchError) return undefined;
    throw thrown;
  }
  if (argv.some((word) => UNSUPPORTED.test(word))) return undefined;
  const environment = ENVIRONMENT.map((name) => process.env[name] ?? '');
  const compiler = stampOfProgram(argv[compilerIndex(argv)] ?? '', entry.directory);
  const facts = [FORMAT, entry.directory, argv, compiler, environment, text.language, text.preamble];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

function stampOfProgram(name: string, directory: string): string {
  const path = programFile(name, directory);
  return `${path} ${stampOf(path) ?? ''}`;
}

/** The files that a preamble depends on. Throws Error when it must not be used.
 * @param said what the compiler wrote with -v
 * @param started when it did, milliseconds */
function readDependencies(
  { entry, text }: UnitText,
  files: readonly string[],
  said: string,
  started: number,
): Omit<Facts, 'compiled'> {
  const stamps: Record<string, string> = {};
  for (const file of files) {
    const stats = look(file);
    // It may have been read before it was written, or behind that.
    if (!stats || stats.mtimeMs > started - CLOCK_LAG)
      throw new ChangedMeanwhile(`${file} was changed meanwhile`);
    stamps[file] = stampOf(file)!;
  }
  const texts = new Map<string | undefined, string>([[undefined, text.preamble]]);
  for (const file of files) {
    const content = readTextIfThere(file);
    if (content === undefined) throw new Error(`${file} cannot be read`);
    const found = PLACE_OR_TIME.test(content) && PLACE_OR_TIME.exec(withoutComments(content));
    if (found) throw new Error(`${file} has ${found[0]}`);
    const pragma = lastingPragma(content);
    if (pragma !== undefined) throw new Error(`${file} has #pragma ${pragma} for what comes behind it`);
    texts.set(file, content);
  }
  const search = searchPath(said, entry.directory);
  if (!search) throw new Error('the compiler does not say where it looks for files');
  const missing = filesLookedFor(texts, search, entry.arguments);
  if ('reason' in missing) throw new Error(missing.reason);
  const byDirectory = new Map<string, string[]>();
  for (const file of missing.files) {
    let above = dirname(file);
    while (!isThere(above)) above = dirname(above);
    const known = byDirectory.get(above);
    if (known) known.push(file);
    else byDirectory.set(above, [file]);
  }
  return {
    files: stamps,
    missing: [...byDirectory].map(([above, names]) => ({
      directory: above,
      stamp: stampOf(above) ?? '',
      files: names,
    })),
  };
}

/** Where gcc and clang say that they look for included files (-v). */
function searchPath(said: string, directory: string): SearchPath | undefined {
  const found =
    /^#include "\.\.\." search starts here:\n([^]*?)^#include <\.\.\.> search starts here:\n([^]*?)^End of search list/m.exec(
      said,
    );
  if (!found) return undefined;
  const directories = (lines: string): string[] =>
    lines.split('\n').flatMap((line) => (line.startsWith(' ') ? [resolve(directory, line.slice(1))] : []));
  const ignored = [...said.matchAll(/^ignoring nonexistent directory "(.*)"$/gm)].map(([, path = '']) =>
    resolve(directory, path),
  );
  return { quote: directories(found[1]!), all: directories(found[2]!), ignored };
}

function readFacts(path: string): Facts | undefined {
  // The directory is ours alone, but a disk may have been full.
  try {
    const facts = JSON.parse(readTextIfThere(path) ?? '') as Partial<Facts> | null;
    return facts?.compiled && facts.files && facts.missing ? (facts as Facts) : undefined;
  } catch {
    return undefined;
  }
}

/** Would a compiler read the same files now? */
function isAsItWas({ files, missing }: Facts): boolean {
  return (
    Object.entries(files).every(([file, stamp]) => stampOf(file) === stamp) &&
    missing.every(
      ({ directory, stamp, files: names }) =>
        stampOf(directory) === stamp || !names.some((name) => isThere(name)),
    )
  );
}

/** Removes what was not used for the longest time until the rest is within the limit, and what killed engines left. */
function sweep(directory: string, limit: number): void {
  const now = Date.now();
  const kept: { path: string; size: number; used: number }[] = [];
  for (const name of namesIn(directory)) {
    if (!NAME.test(name)) continue;
    const path = join(directory, name);
    let size = 0;
    for (const file of namesIn(path)) {
      const stats = lookAt(join(path, file));
      if (!stats) continue;
      if (/\.part(\.d)?$/.test(file) && now - stats.mtimeMs > ABANDONED_AFTER) remove(join(path, file));
      else size += stats.size;
    }
    const used = lookAt(join(path, FACTS))?.mtimeMs;
    const written = lookAt(path)?.mtimeMs ?? now;
    if (used === undefined && now - written > ABANDONED_AFTER) remove(path);
    else kept.push({ path, size, used: used ?? written });
  }
  let total = kept.reduce((sum, { size }) => sum + size, 0);
  for (const { path, size } of kept.sort((a, b) => a.used - b.used)) {
    if (total <= limit) break;
    remove(path);
    total -= size;
  }
}
