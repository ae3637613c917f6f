// Source files that were written since the module was linked that was built from them: what a process may not run yet.
// Whether it does is for a check to say. Reads unit headers and file tables, once for each module file.
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
  const folders = roots.map((root) => ({ root: withSlash(root), real: withSlash(realPathOrSelf(root)) }));
  const known = new WeakMap<ElfFile, Promise<readonly string[]>>();

  /** The path of a file as its folder is spelled; undefined outside of them. */
  const inFolder = (path: string): string | undefined => {
    for (const { root, real } of folders) {
      if (path.startsWith(root)) return path;
      if (path.startsWith(real)) return root + path.slice(real.length);
    }
    return undefined;
  };

  const sourcesOf = (elf: ElfFile): Promise<readonly string[]> => {
    let sources = known.get(elf);
    if (!sources) known.set(elf, (sources = readSources(elf)));
    return sources;
  };

  const readSources = async (elf: ElfFile): Promise<readonly string[]> => {
    const sources = new Set<string>();
    try {
      let count = 0;
      for (const unit of readUnits(elf)) {
        if (++count % UNITS_AT_A_TIME === 0) await new Promise((resolve) => setImmediate(resolve));
        for (const path of [unit.path, ...sourceFilesOf(elf, unit)]) {
          const file = inFolder(path);
          if (file !== undefined) sources.add(file);
        }
      }
    } catch (error) {
      // Closed meanwhile, or malformed: a save says so.
      if (!(error instanceof HotPatchError)) throw error;
    }
    return [...sources];
  };

  return async (pid) => {
    if (folders.length === 0) return [];
    const changed = new Map<string, number>();
    for (const { elf, modified } of await modulesOf(pid)) {
      for (const file of await sourcesOf(elf)) {
        const stats = look(file);
        if (stats?.isFile() && stats.mtimeMs > modified) changed.set(file, stats.mtimeMs);
      }
    }
    return [...changed].map(([file, at]) => ({ file, at })).sort((a, b) => a.file.localeCompare(b.file));
  };
}

function withSlash(folder: string): string {
  return folder.endsWith(sep) ? folder : folder + sep;
}
