// Statics of functions that code initialises when the function is first called: did an edit change that code? A variable
// whose guard is set keeps its value (Itanium C++ ABI, 3.3.3, "Once-time initialization of function-local statics"), so
// the new code does not run. Compares the code between the calls of __cxa_guard_acquire and __cxa_guard_release, or, with
// -fno-threadsafe-statics, between the first and the last use of the guard. Part of variables.ts.
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import type { ObjectFunction } from '../elf/object';
import type { Image, LiveSymbol } from '../live/live_image';
import type { UnitComparison } from './unit';

/** Static variables of functions, and their guards (Itanium C++ ABI, 5.1.4.1 and 5.1.6). */
const LOCAL = /^_ZZ/;
const GUARD = /^_ZGV(?=Z)/;

/** Bytes before a call in which its argument is formed. */
const BEFORE_CALL = 16;

interface Range {
  start: number;
  end: number;
}

interface LiveCode {
  image: Image;
  address: number;
  bytes: Buffer;
}

/** Where a piece of code uses a guard: the ends of the fields. */
interface Uses {
  guard: readonly number[];
  acquire: readonly number[];
  release: readonly number[];
}

/** How the code that initialises a variable differs. */
export type Initialisation =
  | 'changed'
  /** Its end is not known, so that the difference may lie behind it. */
  | 'perhaps changed'
  /** There was none, because the initialiser was a constant. */
  | 'new'
  /** There is none now. */
  | 'gone';

/** Variables that the process has and that functions which changed initialise in another way, by symbol. */
export function changedInitialisations(comparison: UnitComparison): ReadonlyMap<string, Initialisation> {
  const { object } = comparison;
  const found = new Map<string, Initialisation>();
  const differing = comparison.functions.filter(({ status }) => status === 'changed' || status === 'new');
  if (differing.length === 0) return found;
  const guards = object.symbols.filter(({ name }) => GUARD.test(name));
  for (const guard of guards) {
    const name = guard.name.replace(GUARD, '_Z');
    const live = comparison.variable(guard);
    // clang makes variables of the members (`name.0`).
    if (!live) {
      const isKnown = (symbol: ElfSymbol): boolean =>
        (symbol.name === name || symbol.name.startsWith(`${name}.`)) &&
        comparison.variable(symbol) !== undefined;
      if (object.symbols.some(isKnown)) found.set(name, 'new');
      continue;
    }
    const ranges = differing.flatMap(({ fn }) => rangesIn(usesIn(comparison, fn, guard), fn));
    if (ranges.length === 0) continue;
    const known = liveRanges(comparison, live);
    const other = ranges.find(
      ({ of, ...range }) =>
        !known.some(({ bytes, address }) => comparison.sameRange(of, range, bytes, address)),
    );
    if (other) found.set(name, other.isExact ? 'changed' : 'perhaps changed');
  }
  for (const variable of object.symbols) {
    if (!LOCAL.test(variable.name) || variable.type !== abi.STT_OBJECT) continue;
    if (guards.some(({ name }) => name === guardName(variable))) continue;
    const live = comparison.variable(variable);
    if (live?.image.named(guardName(live)).some(({ group }) => group === live.group))
      found.set(variable.name, 'gone');
  }
  return found;
}

const guardName = ({ name }: { name: string }): string => `_ZGV${name.slice(2)}`;

/** The code that initialises, with the uses of the guard that enclose it. */
function rangesIn<T>({ guard, acquire, release }: Uses, of: T): (Range & { of: T; isExact: boolean })[] {
  const start = acquire.find((call) => guard.some((use) => use < call && use >= call - BEFORE_CALL));
  const end = start === undefined ? undefined : release.find((call) => call > start);
  if (start !== undefined && end !== undefined) return [{ start, end, of, isExact: true }];
  return acquire.length === 0 && guard.length > 1
    ? [{ start: guard[0]!, end: guard.at(-1)!, of, isExact: false }]
    : [];
}

function usesIn({ object, references }: UnitComparison, fn: ObjectFunction, guard: ElfSymbol): Uses {
  const ends = (isMeant: (symbol: ElfSymbol, offset: number) => boolean): number[] =>
    references.of(fn).flatMap(({ symbol: index, offset, addend, beyond }) => {
      const symbol = object.symbol(index);
      return isMeant(symbol, symbol.value + addend + beyond) ? [offset + 4 - fn.offset] : [];
    });
  return {
    guard: ends((symbol, at) => symbol === guard || (symbol.section === guard.section && at === guard.value)),
    acquire: ends(({ name }) => name === '__cxa_guard_acquire'),
    release: ends(({ name }) => name === '__cxa_guard_release'),
  };
}

/** The code that initialises a variable with this guard, in all functions of the unit that the process has. */
function liveRanges(comparison: UnitComparison, guard: LiveSymbol): LiveCode[] {
  return comparison.functions
    .flatMap(({ fn, live }) => liveCode(comparison, fn, live))
    .flatMap((code) =>
      rangesIn(liveUses(code, guard), code).map(({ start, end }) => ({
        image: code.image,
        address: code.address + start,
        bytes: code.bytes.subarray(start, end),
      })),
    );
}

/** What runs now; of the parts of functions, whose place is not known, all that have the name. */
function liveCode(
  comparison: UnitComparison,
  fn: ObjectFunction,
  live: UnitComparison['functions'][number]['live'],
): LiveCode[] {
  const places = comparison.parentOf(fn)
    ? comparison.correlation.candidates(fn.symbol)
    : live
      ? [live.current ?? { address: live.entry, size: live.size }]
      : [];
  return places.flatMap(({ address, size }) => {
    const image = comparison.live.imageAt(address);
    const bytes = image?.bytes(address, size);
    return image && bytes ? [{ image, address, bytes }] : [];
  });
}

/** Fields of 32 bits are looked at wherever they may lie: another value that is by chance the one looked for is no use of
 * a guard before a call. */
function liveUses({ image, address, bytes }: LiveCode, guard: LiveSymbol): Uses {
  const uses = { guard: [] as number[], acquire: [] as number[], release: [] as number[] };
  for (let at = 0; at + 4 <= bytes.length; at++) {
    const relative = address + at + 4 + bytes.readInt32LE(at);
    const isGuard =
      relative === guard.address ||
      bytes.readUInt32LE(at) === guard.address ||
      // `cmpb $0,guard(%rip)`: an immediate lies behind the field.
      relative + 1 === guard.address ||
      holds(image, relative, guard);
    if (isGuard) uses.guard.push(at + 4);
    const callee = calleeAt(image, relative);
    if (callee === '__cxa_guard_acquire') uses.acquire.push(at + 4);
    else if (callee === '__cxa_guard_release') uses.release.push(at + 4);
  }
  return uses;
}

/** Is it a slot of the GOT with the guard's address? */
function holds(image: Image, slot: number, guard: LiveSymbol): boolean {
  if (!/^\.got/.test(image.sectionAt(slot)?.name ?? '')) return false;
  const held = image.pointerAt(slot);
  return held !== undefined && ('name' in held ? held.name === guard.name : held.address === guard.address);
}

/** The function at an address: its own name, or that of a stub or slot of the GOT which leads to it. */
function calleeAt(image: Image, address: number): string | undefined {
  const stub = image.stubTarget(address);
  if (stub !== undefined) return stub;
  const dynamic = image.dynamicAt(address)?.name;
  if (dynamic) return dynamic;
  return image.symbolsAt(address).find(({ type }) => type === abi.STT_FUNC)?.name;
}
