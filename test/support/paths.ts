// Where things are, for tests: the repository, the build, the command line. Found from the bundle's own place, so
// that it does not matter from where a test is run.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function findRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error(`no package.json above ${__dirname}`);
  return findRoot(parent);
}

export const root = findRoot(__dirname);
export const dist = join(root, 'dist');
export const cli = join(dist, 'cli.js');
export const samples = join(root, 'test', 'samples');

/** The file of a name that lies nearest to a directory. */
export function findFile(directory: string, name: string): string {
  // Other than readdir, it minds no directory of a process that is gone meanwhile.
  const { stdout } = spawnSync('find', [directory, '-name', name, '-type', 'f'], { encoding: 'utf8' });
  const [path] = stdout
    .trim()
    .split('\n')
    .sort((one, other) => one.length - other.length);
  if (!path) throw new Error(`there is no ${name} in ${directory}`);
  return path;
}
