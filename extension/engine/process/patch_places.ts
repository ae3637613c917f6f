// Where the functions of loaded patches stand in the sources, by the debug information of the patch files: known
// also to an engine that did not make them. Adds to a status; a patch without debug information adds nothing. And which
// functions are not optimised for debugging.
import type { Caches } from '../caches';
import { functionLines, type FunctionPlace } from '../dwarf/functions';
import { readUnits } from '../dwarf/units';
import { ElfFile } from '../elf/file';
import type { DeoptimisedFunction, LoadedPatch, PatchedFunction, ProcessStatus } from '../model/result';
import { type Mark, marksThatRun, readCompanions, readMarks } from '../patch_format/marks';

interface PatchPlaces {
  sources: string[];
  /** By address: patch files have absolute ones. Static functions of C++ have no linkage name to go by. */
  functions: ReadonlyMap<number, FunctionPlace>;
  /** What is not optimised for debugging. */
  marks: readonly Mark[];
  /** Where the code of functions begins that only came along with those that were edited. */
  companions: ReadonlySet<number>;
  /** Lines of those, by symbol. */
  lines: ReadonlyMap<string, number>;
}

/** Small ones, of every patch of some processes. */
const KEPT = 4096;

const NOTHING: PatchPlaces = {
  sources: [],
  functions: new Map(),
  marks: [],
  companions: new Set(),
  lines: new Map(),
};

/** Leaves out functions that only came along with others for a while, and fills in `sources` of patches, and `file` and `line` of functions, from their newest version's patch. A patch file
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
    /** It has never run anything that was compiled for its own edit, and no longer matters. */
    const cameAlong = ({ address, version, versions }: PatchedFunction): boolean => {
      const patched = versions.filter(({ patch }) => patch !== null);
      const isInPatch = status.patches.some(
        ({ base, length }) => Number(address) >= Number(base) && Number(address) < Number(base) + length,
      );
      return (
        (version === 0 || isInPatch) &&
        patched.length > 0 &&
        patched.every(({ patch, address: start, size }) =>
          [...placesIn(files.get(patch!) ?? '').companions].some(
            (at) => at >= Number(start) && at < Number(start) + size,
          ),
        )
      );
    };
    const marks = marksThatRun(status, (patch) => placesIn(files.get(patch) ?? '').marks);
    const deoptimised = marks.map(({ unit, symbol }): DeoptimisedFunction => {
      const lines = status.patches.map(({ file }) => placesIn(file).lines.get(symbol));
      const line = lines.findLast((one) => one !== undefined);
      return { name: symbol, symbol, source: unit.replace(/#\d+$/, ''), ...(line && { line }) };
    });
    return {
      ...status,
      ...(deoptimised.length > 0 && { deoptimised }),
      patches: status.patches.map((patch): LoadedPatch => {
        const { sources } = placesIn(patch.file);
        return sources.length > 0 ? { ...patch, sources } : patch;
      }),
      functions: status.functions
        .filter((entry) => !cameAlong(entry))
        .map((entry) => {
          const place = placeOf(entry);
          const isDeoptimised =
            entry.version > 0 && deoptimised.some(({ symbol }) => symbol === entry.symbol);
          return {
            ...entry,
            ...(place && { file: place.file, ...(place.line > 0 && { line: place.line }) }),
            ...(isDeoptimised && { deoptimised: true }),
          };
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
    const marks = readMarks(elf);
    const lines = new Map<string, number>();
    for (const { name, value } of marks.length > 0 ? elf.symbols() : []) {
      const line = functions.get(value)?.line;
      if (line) lines.set(name, line);
    }
    const sources = [...new Set(units.map(({ path }) => path))];
    return { sources, functions, marks, companions: readCompanions(elf), lines };
  } finally {
    elf.close();
  }
}
