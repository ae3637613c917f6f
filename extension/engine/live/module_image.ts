// The live side of a save for one module of one process: its image with the patches that are in it, and which body
// of each patched function runs now, as the runtime's status says. Used after discovery, before the
// comparison. Files that are mapped do not change: their images are kept from save to save.
import type { Cache } from '../caches';
import type { LiveModule } from '../context';
import { ElfFile } from '../elf/file';
import { HotPatchError } from '../model/errors';
import type { LoadedPatch, ProcessStatus } from '../model/result';
import { Image, LiveImage, requireSymbols } from './live_image';
import type { Bodies, Body, LiveFunction } from './functions';

const PAGE = 0x1000;

/** By load bias. */
const moduleImages = () => new Map<number, Image>();
/** By number of the patch. */
const patchImages = () => new Map<number, Image>();

export interface LiveProcess {
  image: LiveImage;
  bodies: Bodies;
}

/** Throws HotPatchError no-symbols, unsupported-object, patch-file-missing. */
export function readLiveProcess(
  patchFiles: Cache<ElfFile>,
  module: LiveModule,
  status: ProcessStatus,
): LiveProcess {
  const image = moduleImage(module);
  requireSymbols(image);
  const patches = status.patches
    .filter(
      (patch) => patch.kind === 'generated' && patch.state !== 'unmapped' && patch.module === module.path,
    )
    .sort((a, b) => a.id - b.id)
    .map((patch) => {
      const key = `${patch.file}@${patch.loadedAt}`;
      return patchImage(
        patchFiles.get(key, () => readPatch(patch, status.pid)),
        patch,
      );
    });
  const written = new Map(patches.flatMap(({ fixes }) => fixes.map((fix) => [fix.target, fix] as const)));
  const bodies = new Map<number, Pick<LiveFunction, 'current' | 'versions'>>();
  for (const fn of status.functions) {
    let current: Body | undefined;
    const versions = fn.versions.flatMap(({ version, address, size }): Body[] => {
      const fix = written.get(Number(address));
      // Version 0 is the original; of others the patch may be unmapped, or be a hand-written one.
      if (version === 0 || (!fix && version !== fn.version)) return [];
      const before = fix ? fix.body - fix.target : 0;
      const body = {
        address: Number(address) + before,
        size: size - before,
        preserved: fix?.preserved ?? 0,
      };
      if (version === fn.version) current = body;
      return [body];
    });
    bodies.set(Number(fn.address), { current, versions });
  }
  return { image: new LiveImage(image, patches), bodies };
}

function moduleImage(module: LiveModule): Image {
  const byBias = module.elf.derived(moduleImages);
  let image = byBias.get(module.bias);
  if (!image) byBias.set(module.bias, (image = new Image(module.elf, module.bias, module.path)));
  return image;
}

function patchImage(elf: ElfFile, { file, id }: LoadedPatch): Image {
  const byId = elf.derived(patchImages);
  let image = byId.get(id);
  if (!image) byId.set(id, (image = new Image(elf, 0, file, id)));
  return image;
}

/** A patch brings functions and variables that later edits refer to: without its file they cannot be known. No
 * descriptor is kept of it: its process may end, and others come.
 * Throws HotPatchError patch-file-missing. */
function readPatch(patch: LoadedPatch, pid: number): ElfFile {
  const { file, id, base, length } = patch;
  const missing = (why: string): HotPatchError =>
    new HotPatchError('patch-file-missing', `Patch ${id} of process ${pid} cannot be read: ${why}`, { pid });
  let elf: ElfFile;
  try {
    elf = ElfFile.openForEachSection(file);
  } catch (error) {
    if (error instanceof HotPatchError) throw missing(error.message);
    throw error;
  }
  const image = patchImage(elf, patch);
  const start = image.start - (image.start % PAGE);
  if (start !== Number(base) || image.end > start + length) throw missing(`${file} is another file now`);
  return elf;
}
