// The modules (executable, shared libraries) of a process, with their ELF files. Files are cached by identity, so
// that repeated saves open and parse nothing. Knows nothing of sources or of the runtime.
import type { Stats } from 'node:fs';
import type { Caches } from '../caches';
import type { LiveModule, Mapping } from '../context';
import { ET_EXEC, PT_LOAD } from '../elf/constants';
import { ElfFile } from '../elf/file';
import {
  debugFilesOf,
  isStripped,
  joinDebugFile,
  joinSupplement,
  supplementsOf,
  type DebugFile,
  type Joined,
} from '../elf/separate_debug';
import { linkTarget, look } from '../host';
import { HotPatchError } from '../model/errors';
import { isPatchFile, pathInRoot, readAddressSpace } from './maps';
import { processAccessError } from './memory';

const PAGE = 0x1000;
interface OpenFile {
  /** With what was taken out of it, when its debug file was found. */
  elf: ElfFile;
  buildId: string | undefined;
  /** Unix milliseconds. */
  modified: number;
  key: string;
  /** Why the debug file that is there was not taken. */
  problem?: string;
  close: () => void;
}

/** Where a mapped file lies for the process. */
interface Place {
  pid: number;
  path: string;
  isLibrary: boolean;
}

/** A run of mappings of one file that the loader made: they begin at offset 0 and some are executable. */
export interface MappedFile {
  path: string;
  deleted: boolean;
  inode: number;
  first: Mapping;
  last: Mapping;
}

/** Does a program come with the system? Such were built elsewhere, and are looked at only when they have debug
 * information; the debug files of such libraries are not looked for. */
export const isOfSystem = (path: string): boolean =>
  /^\/(usr\/)?(bin|sbin|lib|lib32|lib64|libexec|share)\//.test(path);

/** Mapped files that can be modules: no data files, no patches of ours. */
export function mappedFiles(mappings: readonly Mapping[]): MappedFile[] {
  const runs: (MappedFile & { code: boolean })[] = [];
  const open = new Map<string, (typeof runs)[number]>();
  for (const mapping of mappings) {
    if (!mapping.path.startsWith('/') || isPatchFile(mapping.path)) continue;
    const identity = `${mapping.device} ${mapping.inode} ${mapping.path}`;
    let run = open.get(identity);
    if (!run || (mapping.offset === 0 && run.code && !mapping.writable)) {
      const { path, deleted, inode } = mapping;
      run = { path, deleted, inode, first: mapping, last: mapping, code: false };
      open.set(identity, run);
      runs.push(run);
    } else if (mapping.offset === 0 && !run.code && mapping.start !== run.last.end) {
      // What came before was the file mapped as data. Segments that lld lays into one page of the file follow each other.
      run.first = mapping;
    }
    run.last = mapping;
    run.code ||= mapping.executable;
  }
  return runs.filter((run) => run.code);
}

/** Load bias and range of a file mapped with its first PT_LOAD at `first`; undefined when they do not agree. */
export function placement(
  elf: Pick<ElfFile, 'segments'>,
  first: Pick<Mapping, 'start' | 'offset'>,
): { bias: number; start: number; end: number } | undefined {
  const loads = elf.segments.filter((segment) => segment.type === PT_LOAD);
  const floor = (address: number): number => address - (address % PAGE);
  const load = loads.find((segment) => floor(segment.offset) === first.offset);
  if (!load) return undefined;
  const bias = first.start - floor(load.address);
  const end = Math.max(...loads.map((segment) => segment.address + segment.memorySize));
  return { bias, start: first.start, end: Math.ceil((bias + end) / PAGE) * PAGE };
}

/** Is the file at a path another build than the one with this build id? Files without ids differ if they are
 * different files. */
function isOtherBuild(path: string, mapped: Stats, buildId: string | undefined): boolean {
  const present = look(path);
  if (!present) return false; // removed, not replaced: what runs is still the last build
  if (present.ino === mapped.ino && present.dev === mapped.dev) return false;
  if (buildId === undefined) return true;
  try {
    const file = ElfFile.open(path);
    try {
      return file.buildId() !== buildId;
    } finally {
      file.close();
    }
  } catch {
    return true; // half-written by a linker at this moment
  }
}

/** Was the program of a process built with debug information, as one that somebody works on is?
 * @param path of the program */
export function hasDebugInformation(pid: number, path: string): boolean {
  try {
    const file = ElfFile.open(`/proc/${pid}/exe`);
    try {
      if (file.section('.debug_info') !== undefined) return true;
      return !isOfSystem(path) && debugFilesOf(file, path, [`/proc/${pid}/root`, ''], []).length > 0;
    } finally {
      file.close();
    }
  } catch {
    return false; // ended meanwhile, or not ours to look at
  }
}

/** The link to the executable of a process says nothing: it has ended, or is not ours. */
function notReadable(pid: number): HotPatchError {
  return look(`/proc/${pid}`)
    ? new HotPatchError('other-user', `No permission for the executable of process ${pid}`, { pid })
    : new HotPatchError('process-gone', `Process ${pid} has ended`, { pid });
}

export interface ModuleCache {
  /** As ProcessContext.modules. */
  modules: (pid: number) => Promise<LiveModule[]>;
  /** The executable of a process alone: no reading of its memory map. `rebuilt` as in LiveModule.
   * Throws HotPatchError unsupported-module, process-gone, other-user. */
  executable: (pid: number) => { elf: ElfFile; key: string; rebuilt: boolean };
}

/** @param debugDirectories where debug files are, besides the system's own */
export function createModuleCache(caches: Caches, debugDirectories: readonly string[] = []): ModuleCache {
  // Each has its debug information with it: none is kept that no process is seen with.
  const files = caches.create<OpenFile>({ limit: 0, release: ({ close }) => close() });

  const fileOf = (path: string, stats: Stats, place: Place): OpenFile => {
    const identity = `${stats.dev}:${stats.ino}:${stats.mtimeMs}:${stats.size}`;
    const own = files.get(identity, () => {
      const elf = ElfFile.open(path);
      const buildId = elf.buildId();
      const key = `${identity}:${buildId ?? ''}`;
      return { elf, buildId, modified: stats.mtimeMs, key, close: () => elf.close() };
    });
    if (place.isLibrary && isOfSystem(place.path)) return own;
    // Looked for each time: they may come later than the program.
    const find = (of: typeof debugFilesOf, { elf }: OpenFile): DebugFile[] =>
      of(elf, place.path, [`/proc/${place.pid}/root`, ''], debugDirectories);
    const whole = isStripped(own.elf) ? joined(own, find(debugFilesOf, own), joinDebugFile) : own;
    return joined(whole, find(supplementsOf, whole), joinSupplement);
  };

  const joined = (
    file: OpenFile,
    others: readonly DebugFile[],
    join: (elf: ElfFile, others: readonly DebugFile[]) => Joined,
  ): OpenFile => {
    if (others.length === 0) return file;
    const key = [file.key, ...others.map(({ stamp }) => stamp)].join(' ');
    return files.get(key, () => {
      const found = join(file.elf, others);
      if ('problem' in found) return { ...file, problem: found.problem, close: () => undefined };
      return { ...file, elf: found.elf, key, close: () => found.other.close() };
    });
  };

  const executable = (pid: number): { file: OpenFile; path: string; rebuilt: boolean; stats: Stats } => {
    const link = `/proc/${pid}/exe`;
    try {
      const target = linkTarget(link)?.replace(/ \(deleted\)$/, '');
      const stats = look(link);
      if (target === undefined || !stats) throw notReadable(pid);
      const path = pathInRoot(target, linkTarget(`/proc/${pid}/root`));
      // Opened through the link: that is the mapped file even after it was replaced.
      const file = fileOf(link, stats, { pid, path, isLibrary: false });
      return { file, path, stats, rebuilt: isOtherBuild(`/proc/${pid}/root${path}`, stats, file.buildId) };
    } catch (error) {
      if (error instanceof HotPatchError && error.code === 'unsupported-object')
        throw new HotPatchError('unsupported-module', `${error.message} (executable of process ${pid})`, {
          pid,
        });
      throw processAccessError(pid, error, 'the executable');
    }
  };

  /** The file behind a library's mapping, if it can still be opened. */
  const library = (pid: number, mapped: MappedFile): { file: OpenFile; rebuilt: boolean } | undefined => {
    const through = [
      ...(mapped.deleted ? [] : [`/proc/${pid}/root${mapped.path}`]),
      // Needs CAP_CHECKPOINT_RESTORE, but is right whatever happened to the path.
      `/proc/${pid}/map_files/${mapped.first.start.toString(16)}-${mapped.first.end.toString(16)}`,
      mapped.path,
    ];
    for (const path of through) {
      try {
        const stats = look(path);
        if (!stats) continue;
        const file = fileOf(path, stats, { pid, path: mapped.path, isLibrary: true });
        const isOther = () =>
          path === mapped.path || isOtherBuild(`/proc/${pid}/root${mapped.path}`, stats, file.buildId);
        return { file, rebuilt: mapped.deleted && isOther() };
      } catch {
        continue; // not ELF, not there, no permission: the next way, else not a module that can be patched
      }
    }
    return undefined;
  };

  return {
    executable(pid) {
      const { file, rebuilt } = executable(pid);
      return { elf: file.elf, key: file.key, rebuilt };
    },

    async modules(pid) {
      const { mappings } = await readAddressSpace(pid);
      const main = executable(pid);
      const modules: LiveModule[] = [];
      for (const mapped of mappedFiles(mappings)) {
        const isMain = mapped.path === main.path && !modules.some(({ kind }) => kind === 'executable');
        const found = isMain ? main : library(pid, mapped);
        const place = found && placement(found.file.elf, mapped.first);
        if (!found || !place) continue;
        const { elf, buildId, modified, key, problem } = found.file;
        modules.push({
          path: mapped.path,
          kind: isMain ? 'executable' : 'shared-library',
          positionIndependent: elf.type !== ET_EXEC,
          ...place,
          buildId,
          elf,
          key,
          modified,
          rebuilt: found.rebuilt,
          ...(problem !== undefined && { debugFileProblem: problem }),
        });
      }
      return modules.sort((a, b) => Number(b.kind === 'executable') - Number(a.kind === 'executable'));
    },
  };
}
