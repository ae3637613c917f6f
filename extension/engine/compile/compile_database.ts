// Finds compile databases (clang.llvm.org/docs/JSONCompilationDatabase.html) and the ways a file was compiled. All
// that could be are returned, ranked: which one made the code in the process, only the comparison can tell. Runs
// nothing.
import { readFileSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { split } from 'shlex';
import type { CompileContext, CompileEntry } from '../context';
import type { EngineOptions } from '../engine';
import { HotPatchError } from '../model/errors';
import { commandKind, expandResponseFiles, inputsOf, outputOf, type CommandKind } from './command';

const NAME = 'compile_commands.json';
/** Build directories beside sources, by convention; `build-*` and CLion's are matched by pattern. */
const BUILD_DIRECTORY = /^(build.*|_build|out|cmake-build-.*|\.build)$/i;

/** An element of the JSON list; other fields are the business of other tools. */
interface RawEntry {
  directory: string;
  file: string;
  command?: string;
  arguments?: string[];
  output?: string;
}

interface Database {
  path: string;
  /** By last path component, so that only entries that may be meant are resolved. */
  byName: Map<string, RawEntry[]>;
  all: RawEntry[];
}

export interface CompileDatabases {
  entriesFor: CompileContext['entriesFor'];
  /** All entries of the databases that apply to a file, without ranking. */
  entriesNear: (file: string) => CompileEntry[];
}

export function createCompileDatabases({
  buildDirectories = [],
  roots = [],
}: Pick<EngineOptions, 'buildDirectories' | 'roots'>): CompileDatabases {
  const load = createLoader();

  const databasesOf = (file: string, builtIn: readonly string[] = []): Database[] => {
    const paths =
      buildDirectories.length > 0
        ? buildDirectories.map((path) => (basename(path) === NAME ? resolve(path) : resolve(path, NAME)))
        : [
            ...candidates(file, roots),
            ...candidates(realPath(file), roots),
            ...builtIn.flatMap((directory) => ancestors(directory).map((path) => join(path, NAME))),
          ];
    const unique = [...new Map(paths.map((path) => [realPath(path), path])).values()];
    return unique.flatMap((path) => load(path) ?? []);
  };

  return {
    entriesFor(path, builtIn = []) {
      const file = resolve(path);
      if (!statSync(file, { throwIfNoEntry: false }))
        throw new HotPatchError('file-not-found', `${file} does not exist`, { file });
      const source = realPath(file);
      const databases = databasesOf(file, builtIn);
      if (databases.length === 0) {
        const above = [file, ...builtIn].join(' or ');
        const where = buildDirectories.length > 0 ? `in ${buildDirectories.join(', ')}` : `above ${above}`;
        throw new HotPatchError('no-compile-database', `No ${NAME} was found ${where}`, { file });
      }
      const names = new Set([basename(file), basename(source)]);
      const found = databases.flatMap(({ byName, all, path: database }) => {
        const likely = [...names].flatMap((name) => byName.get(name) ?? []);
        const ofFile = (raw: RawEntry): boolean => sourceOf(raw) === source;
        // A symbolic link may have another name than what it leads to.
        const raw = likely.some(ofFile) ? likely : all;
        return raw.filter(ofFile).map((entry) => toEntry(entry, database));
      });
      const usable = rank(found, builtIn);
      if (usable.length === 0)
        throw new HotPatchError(
          'no-compile-command',
          `${databases.map((database) => database.path).join(', ')} has no command for ${file}`,
          { file },
        );
      return usable;
    },

    entriesNear: (file) =>
      databasesOf(resolve(file)).flatMap(({ all, path }) => all.map((raw) => toEntry(raw, path))),
  };
}

/** Where a database may lie for a file: in each directory above it, or in a build directory there. Not above the
 * workspace folder that holds the file. */
function candidates(file: string, roots: readonly string[]): string[] {
  const root = roots
    .map((path) => resolve(path))
    .filter((path) => file.startsWith(`${path}/`))
    .sort((a, b) => b.length - a.length)[0];
  const found: string[] = [];
  for (let directory = dirname(file); ; directory = dirname(directory)) {
    const add = (path: string): boolean => {
      if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
      found.push(path);
      return true;
    };
    add(join(directory, NAME));
    for (const name of subdirectories(directory).filter((entry) => BUILD_DIRECTORY.test(entry))) {
      // Generators with several configurations have one directory more: build/Debug, out/build/preset.
      if (add(join(directory, name, NAME))) continue;
      for (const inner of subdirectories(join(directory, name)))
        if (!add(join(directory, name, inner, NAME)) && inner === 'build')
          for (const preset of subdirectories(join(directory, name, inner)))
            add(join(directory, name, inner, preset, NAME));
    }
    if (directory === root || directory === dirname(directory)) return found;
  }
}

/** A directory and those above it. */
function ancestors(directory: string): string[] {
  const found = [resolve(directory)];
  for (let above = dirname(found[0]!); above !== found.at(-1); above = dirname(above)) found.push(above);
  return found;
}

function subdirectories(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .map((entry) => entry.name)
      .sort();
  } catch {
    return []; // not readable, so not where the build wrote
  }
}

/** Reads databases, again only when they changed. While the build system writes one (empty, cut off), the last good
 * state is used; a file that never was good is an error.
 * The loader throws HotPatchError bad-compile-database. */
function createLoader(): (path: string) => Database | undefined {
  const known = new Map<string, { stamp: string; database: Database | undefined }>();
  return (path) => {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats) return undefined;
    const stamp = `${stats.ino}:${stats.mtimeMs}:${stats.size}`;
    const before = known.get(path);
    if (before?.stamp === stamp) return before.database;
    if (stats.size === 0) return before?.database;
    try {
      const database = index(path, parseDatabase(readFileSync(path, 'utf8')));
      known.set(path, { stamp, database });
      return database;
    } catch (error) {
      if (before?.database) return before.database;
      throw new HotPatchError(
        'bad-compile-database',
        `${path}: ${error instanceof Error ? error.message : String(error)}`,
        { file: path },
      );
    }
  };
}

/** Elements that have what is needed; throws Error when the text is not a JSON list. */
export function parseDatabase(text: string): RawEntry[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) throw new Error('it is not a list of commands');
  return value.filter((element: unknown): element is RawEntry => {
    if (typeof element !== 'object' || element === null) return false;
    const { directory, file, command, arguments: words } = element as Record<string, unknown>;
    const isText = (field: unknown): boolean => typeof field === 'string' && field !== '';
    return (
      isText(directory) &&
      isText(file) &&
      (isText(command) || (Array.isArray(words) && words.every((word) => typeof word === 'string')))
    );
  });
}

function index(path: string, all: RawEntry[]): Database {
  const byName = new Map<string, RawEntry[]>();
  const real = realPath(path);
  for (const raw of all) {
    // A relative directory is not allowed, but is written; what it is relative to can only be the database.
    raw.directory = resolve(dirname(real), raw.directory);
    const name = basename(raw.file);
    const same = byName.get(name);
    if (same) same.push(raw);
    else byName.set(name, [raw]);
  }
  return { path, byName, all };
}

const sources = new WeakMap<RawEntry, string>();
function sourceOf(raw: RawEntry): string {
  let source = sources.get(raw);
  if (source === undefined) {
    source = realPath(resolve(raw.directory, raw.file));
    sources.set(raw, source);
  }
  return source;
}

/** The entry; its command is split when it is first looked at, because databases are long and saves need one. */
function toEntry(raw: RawEntry, database: string): CompileEntry {
  const source = sourceOf(raw);
  const once = lazily(() => {
    const argv = commandOf(raw, source);
    const expanded = expandResponseFiles(argv, raw.directory, readText);
    const named = inputsOf(expanded).find((input) => realPath(resolve(raw.directory, input)) === source);
    const output =
      raw.output === undefined ? outputOf(expanded, raw.directory) : resolve(raw.directory, raw.output);
    return { argv, spelledSource: named ?? raw.file, output, kind: commandKind(expanded) };
  });
  const entry: CompileEntry = {
    source,
    directory: raw.directory,
    database,
    get spelledSource() {
      return once().spelledSource;
    },
    get arguments() {
      return once().argv;
    },
    get output() {
      return once().output;
    },
  };
  kinds.set(entry, () => once().kind);
  return entry;
}

const kinds = new WeakMap<CompileEntry, () => CommandKind>();

function lazily<T>(compute: () => T): () => T {
  let value: { of: T } | undefined;
  return () => (value ??= { of: compute() }).of;
}

/** The words of the command. Shell lists (`cd x && cc …`) are recorded by some tools: the part that names the source
 * is the command. */
function commandOf(raw: RawEntry, source: string): string[] {
  const words = raw.arguments ?? split(raw.command ?? '');
  const parts: string[][] = [[]];
  for (const word of words) {
    if (raw.arguments === undefined && ['&&', ';', '||', '|'].includes(word)) parts.push([]);
    else parts.at(-1)?.push(word);
  }
  const names = new Set([raw.file, source]);
  return (
    parts.find((part) =>
      part.some((word) => names.has(word) || (parts.length > 1 && resolve(raw.directory, word) === source)),
    ) ??
    parts.find((part) => part.length > 0) ?? [...words]
  );
}

/** Commands that compile before those that only preprocess and the like, which stay only when there is no other;
 * among equals those that ran where the running code was compiled, then those whose object exists, then the order of
 * the databases. Repetitions are dropped. */
function rank(entries: readonly CompileEntry[], builtIn: readonly string[]): CompileEntry[] {
  const kindOf = (entry: CompileEntry): CommandKind => kinds.get(entry)?.() ?? 'compile';
  const real = entries.filter((entry) => kindOf(entry) === 'compile');
  const usable = real.length > 0 ? real : entries;
  const built = (entry: CompileEntry): boolean =>
    entry.output !== undefined && statSync(entry.output, { throwIfNoEntry: false }) !== undefined;
  const unique = new Map(usable.map((entry) => [JSON.stringify([entry.directory, entry.arguments]), entry]));
  const likelihood = (entry: CompileEntry): number =>
    2 * Number(builtIn.includes(entry.directory)) + Number(built(entry));
  return [...unique.values()].sort((a, b) => likelihood(b) - likelihood(a));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // an unreadable response file stays an argument, as for the compiler
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
