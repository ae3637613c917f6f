// Finds compile databases (clang.llvm.org/docs/JSONCompilationDatabase.html) and the ways a file was compiled. All
// that could be are returned, ranked: which one made the code in the process, only the comparison can tell. Runs
// nothing.
import { basename, dirname, resolve } from 'node:path';
import { split } from 'shlex';
import type { CompileContext, CompileEntry } from '../context';
import type { EngineOptions } from '../engine';
import { look, LARGEST_TEXT, readFile, readTextIfThere, realPathOrSelf } from '../host';
import { HotPatchError } from '../model/errors';
import { DATABASE_NAME, type Found, type Ignored, searchDatabases } from './database_search';
import { commandKind, expandResponseFiles, inputsOf, outputOf, type CommandKind } from './command';

/** An element of the JSON list; other fields are the business of other tools. */
interface RawEntry {
  directory: string;
  file: string;
  command?: string;
  arguments?: string[];
  output?: string;
  /** Not of the file: the source with symbolic links resolved, once somebody asked. */
  source: string | undefined;
}

/** An entry that knows what its command does. */
interface DatabaseEntry extends CompileEntry {
  readonly kind: CommandKind;
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

/** @param log what was found and not trusted */
export function createCompileDatabases(
  { buildDirectories = [], roots = [] }: Pick<EngineOptions, 'buildDirectories' | 'roots'>,
  log: (message: string) => void = () => undefined,
): CompileDatabases {
  const load = createLoader();
  const told = new Set<string>();

  /** Directories that the user has named are the user's word, and are not questioned. */
  const pathsOf = (file: string, builtIn: readonly string[]): Found => {
    if (buildDirectories.length === 0) return searchDatabases(file, builtIn, roots);
    const paths = buildDirectories.map((path) =>
      basename(path) === DATABASE_NAME ? resolve(path) : resolve(path, DATABASE_NAME),
    );
    return { paths, ignored: [] };
  };

  const databasesOf = (
    file: string,
    builtIn: readonly string[] = [],
  ): { databases: Database[]; ignored: Ignored[] } => {
    const { paths, ignored } = pathsOf(file, builtIn);
    for (const { what } of ignored)
      if (!told.has(what)) {
        told.add(what);
        log(`ignored ${what}`);
      }
    return { databases: paths.flatMap((path) => load(path) ?? []), ignored };
  };

  return {
    entriesFor(path, builtIn = []) {
      const file = resolve(path);
      if (!look(file)) throw new HotPatchError('file-not-found', `${file} does not exist`, { file });
      const source = realPathOrSelf(file);
      const { databases, ignored } = databasesOf(file, builtIn);
      if (databases.length === 0) throw noDatabase(file, builtIn, buildDirectories, ignored);
      const names = new Set([basename(file), basename(source)]);
      const found = databases.flatMap(({ byName, all, path: database }) => {
        const likely = [...names].flatMap((name) => byName.get(name) ?? []);
        const ofFile = (raw: RawEntry): boolean => sourceOf(raw) === source;
        // A symbolic link may have another name than what it leads to.
        const raw = likely.some(ofFile) ? likely : all;
        return raw.filter(ofFile).map((entry) => toEntry(entry, database));
      });
      const usable = rank(withoutUnusable(found), builtIn);
      if (usable.length === 0)
        throw new HotPatchError(
          'no-compile-command',
          `${databases.map((database) => database.path).join(', ')} has no command for ${file}${ignoredText(ignored)}`,
          { file },
        );
      return usable;
    },

    entriesNear: (file) =>
      databasesOf(resolve(file)).databases.flatMap(({ all, path }) =>
        all.map((raw) => toEntry(raw, path)).filter(isUsable),
      ),
  };
}

function noDatabase(
  file: string,
  builtIn: readonly string[],
  buildDirectories: readonly string[],
  ignored: readonly Ignored[],
): HotPatchError {
  const above = [file, ...builtIn].join(' or ');
  const where = buildDirectories.length > 0 ? `in ${buildDirectories.join(', ')}` : `above ${above}`;
  return ignored.length > 0
    ? new HotPatchError(
        'untrusted-compile-database',
        `No ${DATABASE_NAME} that can be trusted was found ${where}${ignoredText(ignored)}`,
        { file, untrusted: [...new Set(ignored.flatMap(({ directories }) => directories))] },
      )
    : new HotPatchError('no-compile-database', `No ${DATABASE_NAME} was found ${where}`, { file });
}

function ignoredText(ignored: readonly Ignored[]): string {
  return ignored.length > 0 ? `; ignored: ${ignored.map(({ what }) => what).join(', ')}` : '';
}

/** Of several commands for a file, those that can be run; when none can, the reason.
 * Throws HotPatchError bad-compile-command. */
function withoutUnusable<E extends CompileEntry>(entries: readonly E[]): E[] {
  const usable = entries.filter(isUsable);
  // Reading the command throws the reason.
  if (usable.length === 0 && entries[0]) return [...entries].filter((entry) => entry.arguments.length > 0);
  return usable;
}

function isUsable(entry: CompileEntry): boolean {
  try {
    return entry.arguments.length > 0;
  } catch {
    return false;
  }
}

/** Bytes. That of Chromium has some 300 MiB. */
const LARGEST_DATABASE = 2 * LARGEST_TEXT;

/** Reads databases, again only when they changed. While the build system writes one (empty, cut off), the last good
 * state is used; a file that never was good is an error.
 * The loader throws HotPatchError bad-compile-database. */
function createLoader(): (path: string) => Database | undefined {
  const known = new Map<string, { stamp: string; database: Database | undefined }>();
  return (path) => {
    const stats = look(path);
    if (!stats) return undefined;
    const stamp = `${stats.ino}:${stats.mtimeMs}:${stats.size}`;
    const before = known.get(path);
    if (before?.stamp === stamp) return before.database;
    if (stats.size === 0) return before?.database;
    try {
      const database = index(path, parseDatabase(readFile(path, LARGEST_DATABASE).toString('utf8')));
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
  // Editors of Windows begin a file with a byte order mark, which JSON does not know.
  const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
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
  const real = realPathOrSelf(path);
  for (const raw of all) {
    // A relative directory is not allowed, but is written; what it is relative to can only be the database.
    raw.directory = resolve(dirname(real), raw.directory);
    raw.source = undefined;
    const name = basename(raw.file);
    const same = byName.get(name);
    if (same) same.push(raw);
    else byName.set(name, [raw]);
  }
  return { path, byName, all };
}

function sourceOf(raw: RawEntry): string {
  return (raw.source ??= realPathOrSelf(resolve(raw.directory, raw.file)));
}

/** The entry; its command is split when it is first looked at, because databases are long and saves need one. */
function toEntry(raw: RawEntry, database: string): DatabaseEntry {
  const source = sourceOf(raw);
  const once = lazily(() => {
    const argv = runnable(raw, source, database);
    const expanded = expandResponseFiles(argv, raw.directory, readTextIfThere);
    const named = inputsOf(expanded).find(
      (input) => realPathOrSelf(resolve(raw.directory, input)) === source,
    );
    const output =
      raw.output === undefined ? outputOf(expanded, raw.directory) : resolve(raw.directory, raw.output);
    return { argv, spelledSource: named ?? raw.file, output, kind: commandKind(expanded) };
  });
  return {
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
    get kind() {
      return once().kind;
    },
  };
}

/** The command's words. Throws HotPatchError bad-compile-command. */
function runnable(raw: RawEntry, source: string, database: string): string[] {
  const bad = (why: string): HotPatchError =>
    new HotPatchError('bad-compile-command', `The command for ${raw.file} in ${database} ${why}`, {
      file: source,
    });
  let argv: string[];
  try {
    argv = commandOf(raw, source);
  } catch (error) {
    throw bad(`cannot be split into words: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (argv.length === 0 || argv[0] === '') throw bad('is empty');
  if ([raw.directory, ...argv].some((word) => word.includes('\0'))) throw bad('has a NUL in it');
  return argv;
}

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
function rank(entries: readonly DatabaseEntry[], builtIn: readonly string[]): CompileEntry[] {
  const real = entries.filter(({ kind }) => kind === 'compile');
  const usable = real.length > 0 ? real : entries;
  const built = (entry: CompileEntry): boolean =>
    entry.output !== undefined && look(entry.output) !== undefined;
  const unique = new Map(usable.map((entry) => [JSON.stringify([entry.directory, entry.arguments]), entry]));
  const likelihood = (entry: CompileEntry): number =>
    2 * Number(builtIn.includes(entry.directory)) + Number(built(entry));
  return [...unique.values()].sort((a, b) => likelihood(b) - likelihood(a));
}
