// SQLite of the distribution as the one file that its own makefile makes of its sources: a quarter of a million lines.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { debianSource } from './debian_source';

/** Directory with sqlite3.c and sqlite3.h. */
export function buildSqlite(): string {
  const source = debianSource('sqlite3', 'sqlite3');
  if (!existsSync(join(source, 'sqlite3.c'))) {
    const run = (command: string, args: string[]) =>
      execFileSync(command, args, { cwd: source, stdio: ['ignore', 'ignore', 'inherit'] });
    run('./configure', ['-q', '--disable-tcl', '--disable-readline']);
    run('make', ['-s', 'sqlite3.c']);
  }
  return source;
}
