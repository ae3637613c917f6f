// The address space of a process: /proc/PID/maps as data, and the choice of a place for a patch in it.
// Reading is one function at the edge; parsing and choosing are pure.
import type { AddressLimits, Range } from '../arch/architecture';
import type { AddressSpace, LiveModule, Mapping } from '../context';
import { linkTarget, readProcess } from '../host';
import { processAccessError } from './memory';

const PAGE = 0x1000;
const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** vm.mmap_min_addr, as distributions set it. */
const LOWEST_ADDRESS = 0x1_0000;

/** proc(5): `start-end perms offset dev inode path`; blank and backslash-octal in paths as the kernel writes them. */
const LINE =
  /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([ps]) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) *(.*)$/;
const DELETED = ' (deleted)';

/** Lines of /proc/PID/maps that lie in user space, in their order (ascending addresses). */
export function parseMaps(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    if (!match) continue;
    const [, start = '', end = '', r, w, x, share, offset = '', device = '', inode = '', name = ''] = match;
    // The kernel's own page ([vsyscall]) lies where numbers are no longer exact.
    if (!Number.isSafeInteger(parseInt(end, 16))) continue;
    const deleted = name.endsWith(DELETED);
    const path = (deleted ? name.slice(0, -DELETED.length) : name).replace(/\\012/g, '\n');
    mappings.push({
      start: parseInt(start, 16),
      end: parseInt(end, 16),
      readable: r === 'r',
      writable: w === 'w',
      executable: x === 'x',
      shared: share === 's',
      offset: parseInt(offset, 16),
      device,
      inode: Number(inode),
      path,
      deleted,
    });
  }
  return mappings;
}

/** A generated patch, mapped from its control directory (docs/PROTOCOL.md, section 1). */
export function isPatchFile(path: string): boolean {
  return /\/hot_fix-\d+(\.\w+)?\/\d+\/patches\/[^/]+$/.test(path);
}

/** As the engine names patch files: time, who it is, a count, the source. Copies of hand-written ones have other names. */
export function isGeneratedName(name: string): boolean {
  return /^[0-9a-z]+-[\d.]+-\d+-.+\.so$/.test(name);
}

/** A path that /proc shows of a process, as the process itself has it: behind chroot it is shown with the root before it. */
export function pathInRoot(path: string, root: string | undefined): string {
  return root !== undefined && root !== '/' && path.startsWith(`${root}/`) ? path.slice(root.length) : path;
}

/** Paths are those that the process itself has for the files.
 * Throws HotPatchError process-gone, other-user, unreadable-file (the process hangs in the kernel). */
export async function readAddressSpace(pid: number): Promise<AddressSpace> {
  const root = linkTarget(`/proc/${pid}/root`);
  let text: string;
  try {
    text = (await readProcess(pid, 'maps')).toString('utf8');
  } catch (error) {
    throw processAccessError(pid, error, 'the memory map');
  }
  const mappings = parseMaps(text).map((mapping) => ({ ...mapping, path: pathInRoot(mapping.path, root) }));
  return { mappings, heapEnd: mappings.findLast((mapping) => mapping.path === '[heap]')?.end ?? 0 };
}

/** What `findGap` keeps free around what is mapped. */
const GUARD = 64 * KIB;
/** Room that `brk` and the main thread's stack may yet take, and where the kernel puts the next mappings (thread
 * stacks, arenas of 64 MiB, libraries): a patch there would sooner collide, or be in somebody's way. */
const HEAP_GROWTH = 1 * GIB;
const STACK_GROWTH = 16 * GIB;
const MAPPING_GROWTH = 256 * MIB;
/** A gap at least this large is one the kernel takes new mappings from. */
const LARGE_GAP = 4 * GIB;
/** The stack's own guard gap and the default limit of 8 MiB are within it; never placed there. */
const STACK_MINIMUM = 128 * MIB;
/** A free place for `length` bytes from where all of a module, and everything in the patch, is in reach.
 *
 * Executables: below them (the heap grows above). Shared libraries: beside them, away from where the kernel puts
 * the next mappings. Executables that are not position independent have absolute addresses in their code: below the
 * end of those, from the top downwards. All others: where breakpoints do least harm, if there is room.
 * @param limits of the processor
 * @param avoid further ranges to keep out of, e.g. one that the runtime found taken.
 * @returns a page-aligned address, or undefined when there is none. */
export function findGap(
  limits: AddressLimits,
  space: AddressSpace,
  module: Pick<LiveModule, 'start' | 'end' | 'kind' | 'positionIndependent'>,
  length: number,
  avoid: readonly Range[] = [],
): number | undefined {
  const need = Math.ceil(length / PAGE) * PAGE;
  const reach: Range = {
    start: Math.max(LOWEST_ADDRESS, module.end - limits.reach),
    end: Math.min(
      module.positionIndependent ? limits.userSpaceEnd : limits.absoluteEnd,
      module.start + limits.reach,
    ),
  };
  const taken = [
    ...space.mappings.map(({ start, end }) => ({ start: start - GUARD, end: end + GUARD })),
    ...space.mappings
      .filter(({ path }) => path === '[stack]')
      .map(({ start }) => ({ start: start - STACK_MINIMUM, end: start })),
    ...avoid,
  ];
  const reserved = growthZones(space, module);
  const proof = limits.breakpointProof(module);
  const harmless: Range = {
    start: Math.max(reach.start, proof.start),
    end: module.positionIndependent ? Math.min(reach.end, proof.end) : 0,
  };
  return (
    closest(freeRanges(harmless, [...taken, ...reserved]), need, module, limits) ??
    closest(freeRanges(reach, [...taken, ...reserved]), need, module, limits) ??
    closest(freeRanges(reach, taken), need, module, limits)
  );
}

/** Ranges that are free but likely to be wanted by the process itself. */
function growthZones(space: AddressSpace, module: Pick<LiveModule, 'start' | 'kind'>): Range[] {
  const zones: Range[] = [];
  if (space.heapEnd > 0) zones.push({ start: space.heapEnd, end: space.heapEnd + HEAP_GROWTH });
  // Patches do not count as neighbours, else each would push the next one further away.
  const mappings = space.mappings.filter(({ path }) => !isPatchFile(path));
  mappings.forEach((mapping, index) => {
    if (mapping.path === '[stack]') zones.push({ start: mapping.start - STACK_GROWTH, end: mapping.start });
    const below = mappings[index - 1];
    if (!below || mapping.start - below.end < LARGE_GAP) return;
    zones.push({ start: below.end, end: below.end + MAPPING_GROWTH });
    if (module.kind === 'shared-library' || mapping.start !== module.start)
      zones.push({ start: mapping.start - MAPPING_GROWTH, end: mapping.start });
  });
  return zones;
}

/** What remains of `within` without `taken`, ascending. */
function freeRanges(within: Range, taken: readonly Range[]): Range[] {
  const free: Range[] = [];
  let from = within.start;
  for (const range of [...taken].sort((a, b) => a.start - b.start)) {
    if (range.start > from) free.push({ start: from, end: Math.min(range.start, within.end) });
    from = Math.max(from, range.end);
    if (from >= within.end) break;
  }
  if (from < within.end) free.push({ start: from, end: within.end });
  return free;
}

/** The best start for `need` bytes in one of the ranges, by the module's kind. */
function closest(
  free: readonly Range[],
  need: number,
  module: Pick<LiveModule, 'start' | 'end' | 'kind' | 'positionIndependent'>,
  { userSpaceEnd }: AddressLimits,
): number | undefined {
  const places = free.flatMap(({ start, end }) => {
    const first = Math.ceil(start / PAGE) * PAGE;
    const last = Math.floor(end / PAGE) * PAGE - need;
    return last >= first ? [first, last] : [];
  });
  const cost = (place: number): number => {
    if (!module.positionIndependent) return -place;
    if (place >= module.end) return place - module.end + (module.kind === 'executable' ? userSpaceEnd : 0);
    return module.start - (place + need);
  };
  return places.reduce<number | undefined>(
    (best, place) => (best === undefined || cost(place) < cost(best) ? place : best),
    undefined,
  );
}
