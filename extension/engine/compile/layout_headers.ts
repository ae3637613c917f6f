// Where the headers with the old and the new layout of a type are kept: in the user's cache, one directory for each program,
// so that a source can include one by the same path in every run. Those that nobody wrote for a month are removed.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { LayoutHeaders } from '../context';
import { lookAt, makeDirectory, namesIn, readTextIfThere, remove, writeWhole } from '../host';

/** Milliseconds. */
const KEPT = 30 * 24 * 3600 * 1000;

/** `$XDG_CACHE_HOME/hot-patch/layouts` (XDG Base Directory Specification). */
export function defaultLayoutDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const cache = environment['XDG_CACHE_HOME'];
  return join(cache && isAbsolute(cache) ? cache : join(homedir(), '.cache'), 'hot-patch', 'layouts');
}

/** @param now Unix milliseconds; for tests */
export function createLayoutHeaders(directory: string, now: () => number = Date.now): LayoutHeaders {
  return {
    write(program, type, text) {
      const hash = createHash('sha256').update(program).digest('hex').slice(0, 8);
      const own = join(directory, `${basename(program)}-${hash}`);
      const path = join(own, `${type.replace(/\W+/g, '_')}.h`);
      if (readTextIfThere(path) === text) return { path, written: lookAt(path)?.mtimeMs ?? now() };
      for (const above of [dirname(dirname(directory)), dirname(directory), directory, own])
        makeDirectory(above);
      for (const name of namesIn(directory)) sweep(join(directory, name), now());
      writeWhole(path, text);
      return { path, written: now() };
    },
  };
}

function sweep(directory: string, now: number): void {
  for (const name of namesIn(directory)) {
    const path = join(directory, name);
    if (now - (lookAt(path)?.mtimeMs ?? now) > KEPT) remove(path);
  }
}
