// Source files that processes were built from: whether any is in a folder, and which were written since their module was
// linked, so that the process may not run them yet. Whether it does is for a check to say. Reads unit headers and file tables, once for each module file.
// Headers that only define macros are not in them.
import { sep } from 'node:path';
import type { LiveModule } from '../context';
import { readUnits, sourceFilesOf } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import { look, realPathOrSelf } from '../host';
import type { ChangedSource } from '../model/result';
import { HotPatchError } from '../model/errors';

/** Units whose files are read before other work of the engine has its turn. */
const UNITS_AT_A_TIME = 32;

/**
 * @param roots folders that the files are wanted of; none: no file is
 * @returns for a process, the files under `roots` that its modules were built from and that were written after their
 * module was linked, spelled below `roots`. A module without debug information has none.
 */
export function createChangedSources(
  modulesOf: (pid: number) => Promise<LiveModule[]>,
  roots: readonly string[],
): (pid: number) => Promise<ChangedSource[]> {
  const inFolder = spelledIn(roots);
  return async (pid) => {
    if (roots.length === 0) return [];
    const changed = new Map<string, number>();
    for (const { elf, modified } of await modulesOf(pid)) {
      for (const path of await elf.derived(readSources)) {
        const file = inFolder(path);
        const stats = file === undefined ? undefined : look(file);
        if (file !== undefined && stats?.isFile() && stats.mtimeMs > modified)
          changed.set(file, stats.mtimeMs);
      }
    }
    return [...changed].map(([file, at]) => ({ file, at })).sort((a, b) => a.file.localeCompare(b.file));
  };
}

/** @returns whether a process has a module that lies in one of the folders, or was built from a file there */
export function createOrigins(
  modulesOf: (pid: number) => Promise<LiveModule[]>,
): (pid: number, folders: readonly string[]) => Promise<boolean> {
  return async (pid, folders) => {
    const inFolder = spelledIn(folders);
    const modules = await modulesOf(pid);
    if (modules.some(({ path }) => inFolder(path) !== undefined)) return true;
    for (const { elf } of modules)
      for (const path of await elf.derived(readSources)) if (inFolder(path) !== undefined) return true;
    return false;
  };
}

/** The path of a file as its folder is spelled; undefined outside of them. */
function spelledIn(roots: readonly string[]): (path: string) => string | undefined {
  const folders = roots.map((root) => ({ root: withSlash(root), real: withSlash(realPathOrSelf(root)) }));
  return (path) => {
    for (const { root, real } of folders) {
      if (path.startsWith(root)) return path;
      if (path.startsWith(real)) return root + path.slice(real.length);
    }
    return undefined;
  };
}

/** All source files of a module; those that were read before it turned out malformed, which a save says. */
async function readSources(elf: ElfFile): Promise<ReadonlySet<string>> {
  const sources = new Set<string>();
  try {
    let count = 0;
    for (const unit of readUnits(elf)) {
      if (++count % UNITS_AT_A_TIME === 0) await new Promise((resolve) => setImmediate(resolve));
      sources.add(unit.path);
      for (const path of sourceFilesOf(elf, unit)) sources.add(path);
    }
  } catch (error) {
    if (!(error instanceof HotPatchError)) throw error;
  }
  return sources;
}

function withSlash(folder: string): string {
  return folder.endsWith(sep) ? folder : folder + sep;
}
