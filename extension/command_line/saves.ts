// Notices saves of C and C++ files below a directory: what `hot-patch watch` waits for. Knows nothing of patching.
import { readdirSync, statSync, watch, type FSWatcher } from 'node:fs';
import { extname, join } from 'node:path';

const SOURCES = new Set(
  '.c .cc .cp .cpp .cxx .c++ .C .h .hh .hp .hpp .hxx .h++ .H .inc .inl .ipp .tcc .tpp .txx .def'.split(' '),
);
/** Never written to by a person. */
const IGNORED = /^(\.git|\.hg|\.svn|\.jj|node_modules|CMakeFiles|\.cache|\.ccls-cache)$/;
/** What build systems leave at the top of a build directory. */
const BUILD_MARKS = ['CMakeCache.txt', 'build.ninja', 'meson-info', '.ninja_log', 'config.status'];

/** Milliseconds: editors write a file in several steps, and "save all" writes several files. */
const SETTLE = 30;

/** Calls back with the files of each save, absolute. inotify watches directories, so that a file replaced by rename
 * (as most editors save) is noticed like one written in place.
 * @returns ends the watching. */
export function watchSaves(top: string, saved: (files: string[]) => void): () => void {
  const watchers = new Map<string, FSWatcher>();
  const handled = new Map<string, string>();
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  /** Changes only when the file was written: reading it, or its permissions, are no save. */
  const stampOf = (path: string): string | undefined => {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats?.isFile() ? `${stats.ino}:${stats.mtimeMs}:${stats.size}` : undefined;
  };

  const settle = (): void => {
    const files = [...changed].filter((path) => {
      const stamp = stampOf(path);
      if (stamp === undefined || handled.get(path) === stamp) return false;
      handled.set(path, stamp);
      return true;
    });
    changed.clear();
    if (files.length > 0) saved(files);
  };

  const add = (directory: string): void => {
    if (watchers.has(directory)) return;
    let names: { name: string; directory: boolean }[];
    try {
      const watcher = watch(directory, (_event, name) => {
        if (name === null) return;
        const path = join(directory, name);
        if (SOURCES.has(extname(name))) {
          changed.add(path);
          clearTimeout(timer);
          timer = setTimeout(settle, SETTLE);
        } else if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) enter(path, name);
      });
      watcher.on('error', () => {
        watcher.close();
        watchers.delete(directory);
      });
      watchers.set(directory, watcher);
      names = readdirSync(directory, { withFileTypes: true }).map((entry) => ({
        name: entry.name,
        directory: entry.isDirectory(),
      }));
    } catch {
      return; // removed meanwhile, or not readable: nobody saves there
    }
    for (const entry of names) {
      const path = join(directory, entry.name);
      if (entry.directory) enter(path, entry.name);
      else if (SOURCES.has(extname(entry.name))) handled.set(path, stampOf(path) ?? '');
    }
  };

  const enter = (path: string, name: string): void => {
    const isBuild = (): boolean =>
      BUILD_MARKS.some((mark) => statSync(join(path, mark), { throwIfNoEntry: false }) !== undefined);
    if (!IGNORED.test(name) && !isBuild()) add(path);
  };

  add(top);
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers.values()) watcher.close();
    watchers.clear();
  };
}
