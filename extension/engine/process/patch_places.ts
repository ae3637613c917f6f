// Where the functions of loaded patches stand in the sources, by the debug information of the patch files: known
// also to an engine that did not make them. Adds to a status; a patch without debug information adds nothing.
import type { Caches } from '../caches';
import { functionLines, type FunctionPlace } from '../dwarf/functions';
import { readUnits } from '../dwarf/units';
import { ElfFile } from '../elf/file';
import type { LoadedPatch, PatchedFunction, ProcessStatus } from '../model/result';

interface PatchPlaces {
  sources: string[];
  /** By address: patch files have absolute ones. Static functions of C++ have no linkage name to go by. */
  functions: ReadonlyMap<number, FunctionPlace>;
}

/** Small ones, of every patch of some processes. */
const KEPT = 4096;

const NOTHING: PatchPlaces = { sources: [], functions: new Map() };

/** Fills in `sources` of patches, and `file` and `line` of functions, from their newest version's patch. A patch file
 * is never overwritten, so each is read once.
 * @param log a file that cannot be read is a line in the log: its process may just have ended */
export function createPatchPlaces(
  caches: Caches,
  log: (message: string) => void,
): (status: ProcessStatus) => ProcessStatus {
  const known = caches.create<PatchPlaces>({ limit: KEPT });

  const placesIn = (file: string): PatchPlaces =>
    known.get(file, () => {
      try {
        return readPlaces(file);
      } catch (error) {
        log(`debug information of ${file}: ${String(error)}`);
        return NOTHING;
      }
    });

  return (status) => {
    const files = new Map(status.patches.map(({ id, file }) => [id, file]));
    const placeOf = ({ versions }: PatchedFunction): FunctionPlace | undefined => {
      const newest = versions.findLast(({ patch }) => patch !== null && files.has(patch));
      return newest && placesIn(files.get(newest.patch!)!).functions.get(Number(newest.address));
    };
    return {
      ...status,
      patches: status.patches.map((patch): LoadedPatch => {
        const { sources } = placesIn(patch.file);
        return sources.length > 0 ? { ...patch, sources } : patch;
      }),
      functions: status.functions.map((entry) => {
        const place = placeOf(entry);
        return place ? { ...entry, file: place.file, ...(place.line > 0 && { line: place.line }) } : entry;
      }),
    };
  };
}

function readPlaces(file: string): PatchPlaces {
  const elf = ElfFile.open(file);
  try {
    const units = readUnits(elf);
    const functions = new Map<number, FunctionPlace>();
    for (const unit of units)
      for (const place of functionLines(elf, unit)) if (place.address) functions.set(place.address, place);
    return { sources: [...new Set(units.map(({ path }) => path))], functions };
  } finally {
    elf.close();
  }
}
