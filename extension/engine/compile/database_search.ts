// Where compile databases may lie for a file: in each directory above it, or in a build directory there, as far as the
// workspace folder, the home directory or the file system goes. Nothing that others could have planted is taken, and
// what was passed over is said. Reads no database.
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { namesIn, look, realPathOrSelf } from '../host';
import { createTrust, type Trust } from './trust';

export const DATABASE_NAME = 'compile_commands.json';
/** Build directories beside sources, by convention; `build-*` and CLion's are matched by pattern. */
const BUILD_DIRECTORY = /^(build.*|_build|out|cmake-build-.*|\.build)$/i;

export interface Found {
  /** Databases, the likeliest first. */
  paths: string[];
  /** What is there and was not taken. */
  ignored: Ignored[];
}

export interface Ignored {
  /** With the reason. */
  what: string;
  /** That the user may name, to have it taken. */
  directories: string[];
}

/** @param builtIn directories in which the running code was compiled, or that hold the running module
 * @param roots workspace folders: the search does not leave the one that holds the file */
export function searchDatabases(
  file: string,
  builtIn: readonly string[],
  roots: readonly string[],
  trust: Trust = createTrust(),
): Found {
  const found: Found = { paths: [], ignored: [] };
  const add = (path: string): boolean => {
    if (look(path)?.isFile() !== true) return false;
    const why = trust.ofFile(path);
    if (why === undefined) found.paths.push(path);
    else found.ignored.push({ what: `${path} (${why})`, directories: [dirname(path)] });
    return why === undefined;
  };
  for (const start of new Set([file, realPathOrSelf(file)]))
    for (const directory of upwards(dirname(start), roots, trust, found)) {
      add(join(directory, DATABASE_NAME));
      addBuildDirectories(directory, add);
    }
  for (const start of builtIn)
    for (const directory of upwards(start, roots, trust, found)) add(join(directory, DATABASE_NAME));
  const unique = new Map(found.paths.map((path) => [realPathOrSelf(path), path]));
  const ignored = new Map(found.ignored.map((one) => [one.what, one]));
  return { paths: [...unique.values()], ignored: [...ignored.values()] };
}

/** Generators with several configurations have one directory more: build/Debug, out/build/preset. */
function addBuildDirectories(directory: string, add: (path: string) => boolean): void {
  for (const name of subdirectories(directory, BUILD_DIRECTORY)) {
    if (add(join(directory, name, DATABASE_NAME))) continue;
    for (const inner of subdirectories(join(directory, name)))
      if (!add(join(directory, name, inner, DATABASE_NAME)) && inner === 'build')
        for (const preset of subdirectories(join(directory, name, inner)))
          add(join(directory, name, inner, preset, DATABASE_NAME));
  }
}

/** A directory and those above it, up to the workspace folder or the home directory, within one file system, and not
 * through one in which others may put things. */
function upwards(start: string, roots: readonly string[], trust: Trust, found: Found): string[] {
  const ends = new Set([...roots.map((path) => resolve(path)), homedir()]);
  const device = look(start)?.dev;
  const directories: string[] = [];
  for (let directory = resolve(start); ; directory = dirname(directory)) {
    const stats = look(directory);
    // One that is not there any more has nothing in it; those above it may be there.
    if (stats && device !== undefined && stats.dev !== device) break;
    const why = stats && trust.ofDirectory(directory);
    if (why !== undefined) {
      const directories = databasesIn(directory);
      if (directories.length > 0)
        found.ignored.push({ what: `what is in ${directory} (${why})`, directories });
      break;
    }
    directories.push(directory);
    if (ends.has(directory) || directory === dirname(directory)) break;
  }
  return directories;
}

/** Directories with a database: this one, and its build directories. */
function databasesIn(directory: string): string[] {
  const found: string[] = [];
  const see = (path: string): boolean => {
    const isThere = look(path)?.isFile() === true;
    if (isThere) found.push(dirname(path));
    return isThere;
  };
  see(join(directory, DATABASE_NAME));
  addBuildDirectories(directory, see);
  return found;
}

/** @param named only those with such names */
function subdirectories(directory: string, named = /^/): string[] {
  return namesIn(directory)
    .filter((name) => named.test(name) && look(join(directory, name))?.isDirectory() === true)
    .sort();
}
