// The live side of a save for one module of one process: its image with the patches that are in it, and which body
// of each patched function runs now, as the runtime's status says. Used after discovery, before the
// comparison. Caches the symbol indexes of modules and patches across saves; mapped files do not change.
import type { LiveModule } from '../context';
import { ElfFile } from '../elf/file';
import { HotPatchError } from '../model/errors';
import type { LoadedPatch, ProcessStatus } from '../model/result';
import { Image, LiveImage, requireSymbols } from './live_image';
import type { Bodies, Body, LiveFunction } from './functions';

const moduleImages = new WeakMap<ElfFile, Map<number, Image>>();
/** By file, the one that was asked for longest ago first. */
const patchImages = new Map<string, { image: Image; close: () => void; asked: number }>();
/** Patch indexes are small, but an editor runs all day. */
const KEPT_PATCHES = 512;
const PAGE = 0x1000;
/** One that was asked for in this time (milliseconds) may be in use by a save. */
const IN_USE = 10 * 60 * 1000;

export interface LiveProcess {
  image: LiveImage;
  bodies: Bodies;
}

/** Throws HotPatchError no-symbols, unsupported-object, patch-file-missing. */
export function readLiveProcess(module: LiveModule, status: ProcessStatus): LiveProcess {
  const image = moduleImage(module);
  requireSymbols(image);
  const patches = status.patches
    .filter(
      (patch) => patch.kind === 'generated' && patch.state !== 'unmapped' && patch.module === module.path,
    )
    .sort((a, b) => a.id - b.id)
    .map((patch) => patchImage(patch, status.pid));
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
  let byBias = moduleImages.get(module.elf);
  if (!byBias) moduleImages.set(module.elf, (byBias = new Map<number, Image>()));
  let image = byBias.get(module.bias);
  if (!image) byBias.set(module.bias, (image = new Image(module.elf, module.bias, module.path)));
  return image;
}

/** Throws HotPatchError patch-file-missing. */
function patchImage(patch: LoadedPatch, pid: number): Image {
  const { file, loadedAt } = patch;
  const key = `${file}@${loadedAt}`;
  const now = Date.now();
  const known = patchImages.get(key);
  if (known) {
    patchImages.delete(key);
    patchImages.set(key, { ...known, asked: now });
    return known.image;
  }
  const { elf, image } = openPatch(patch, pid);
  for (const [oldest, { close, asked }] of patchImages) {
    if (patchImages.size < KEPT_PATCHES || now - asked < IN_USE) break;
    close();
    patchImages.delete(oldest);
  }
  patchImages.set(key, { image, close: () => elf.close(), asked: now });
  return image;
}

/** A patch brings functions and variables that later edits refer to: without its file they cannot be known. */
function openPatch(
  { file, id, base, length }: LoadedPatch,
  pid: number,
): { elf: ReturnType<typeof ElfFile.open>; image: Image } {
  const missing = (why: string): HotPatchError =>
    new HotPatchError('patch-file-missing', `Patch ${id} of process ${pid} cannot be read: ${why}`, { pid });
  let elf: ReturnType<typeof ElfFile.open>;
  try {
    elf = ElfFile.open(file);
  } catch (error) {
    if (error instanceof HotPatchError) throw missing(error.message);
    throw error;
  }
  try {
    const image = new Image(elf, 0, file, id);
    const start = image.start - (image.start % PAGE);
    if (start !== Number(base) || image.end > start + length) throw missing(`${file} is another file now`);
    return { elf, image };
  } catch (error) {
    elf.close();
    throw error;
  }
}
