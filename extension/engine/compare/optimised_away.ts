// Variables of which one side has no memory: compilers leave a static out to which nothing writes (its initial value
// stands in the code), or which nobody reads. An edit that removes the last write, or adds the first or a read, makes the
// value that the process has (or never had) worth nothing. Part of variables.ts; known by debug information, which
// declares such variables all the same.
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import { isConstant, type ObjectFile } from '../elf/object';
import { nameIn, THREAD_LOCAL } from '../dwarf/function_statics';
import type { LiveSymbol } from '../live/live_image';
import { isWatched, sizeWithRedZone } from './address_sanitizer';
import { LiveReferences, running } from './live_references';
import type { Declarations, DeclaredStatic } from './static_variables';
import type { ComparedFunction } from './facts';
import type { UnitComparison } from './unit';

/** A variable, by its symbol: of which the fresh code has the initial value (`folded`), of which the process has no value
 * because the code that it was built of had no use for one (`revived`), of which it has pieces in several places, while the
 * fresh code has it in one (`split`), or of which it holds another representation: clang makes one bit of a variable of two
 * values (`encoded`). */
export interface OptimisedAway {
  symbol: string;
  /** It is a piece of a variable that the compiler split. */
  isPiece?: boolean;
  change: 'folded' | 'revived' | 'split' | 'encoded';
}

/** Bytes of such a bit. */
const BIT = 1;

/** Under AddressSanitizer the size alone does not tell: clang ends the names of such bits in `.b`. */
function isBit({ name, size }: ElfSymbol, object: ObjectFile): boolean {
  return size === BIT || (name.endsWith('.b') && isWatched(object) && size === sizeWithRedZone(BIT));
}

export function optimisedAway(comparison: UnitComparison): OptimisedAway[] {
  const differing = comparison.functions.filter(({ status }) => status === 'changed');
  if (differing.length === 0 || comparison.object.isReduced) return [];
  const fresh = comparison.object.symbols.filter((symbol) => isVariable(symbol, comparison));
  const pairs = new Map(fresh.map((symbol) => [symbol, comparison.variable(symbol)] as const));
  const all = [
    ...revived(comparison, pairs),
    ...encoded(comparison, pairs, differing),
    ...folded(comparison, pairs, differing),
  ];
  // Of one that has another symbol now, both ends are found.
  return [...new Map(all.reverse()).values()];
}

/** Thread-local ones that the compiler split in another way than in the process: the numbers of their pieces tell nothing,
 * so that functions may seem the same that use another piece. */
export function splitThreadLocals({ object, live, declarations }: UnitComparison): string[] {
  const symbols = object.symbols.filter(
    ({ type, binding, section }) =>
      type === abi.STT_TLS && binding === abi.STB_LOCAL && section !== abi.SHN_UNDEF,
  );
  if (symbols.length === 0) return [];
  const fresh = declarations.defined.fresh();
  return symbols.flatMap(({ name: symbol }) => {
    const name = nameOf(symbol, undefined, fresh);
    if (name === undefined) return [];
    // The last that was compiled says what code of the process uses.
    const form = [live.module, ...live.patches]
      .flatMap((image) => declarations.defined.live(image).get(name) ?? [])
      .findLast((one) => one.startsWith(THREAD_LOCAL));
    return form === undefined || form === fresh.get(name) ? [] : [symbol];
  });
}

type Pairs = ReadonlyMap<ElfSymbol, LiveSymbol | undefined>;
/** Of a variable's name. */
type Found = readonly [name: string, away: OptimisedAway];

/** New ones that the unit had before. */
function revived({ live, declarations }: UnitComparison, pairs: Pairs): Found[] {
  const symbols = [...pairs.keys()].filter((symbol) => !pairs.get(symbol));
  if (symbols.length === 0) return [];
  const defined = declarations.defined.live(live.module);
  const split = new Set(
    [live.module, ...live.patches]
      .flatMap((image) => declarations.live(image))
      .flatMap(({ owner, name, piece }) => (piece === undefined ? [] : [nameIn(owner, name)])),
  );
  return symbols.flatMap((symbol): Found[] => {
    const declared = declaredAt(symbol, declarations);
    const name = nameOf(symbol.name, declared, defined);
    if (name === undefined) return [];
    const isPiece = declared?.piece !== undefined;
    const change = !isPiece && split.has(name) ? 'split' : 'revived';
    return [[name, { symbol: symbol.name, isPiece, change }]];
  });
}

/** Bits that changed functions refer to, which mean something else now. */
function encoded(
  { object, live, references, declarations }: UnitComparison,
  pairs: Pairs,
  differing: readonly ComparedFunction[],
): Found[] {
  const refersTo = ({ section, value }: ElfSymbol): boolean =>
    differing.some(({ fn }) =>
      references.of(fn).some(({ symbol: index, addend, beyond }) => {
        const target = object.symbol(index);
        return target.section === section && target.value + addend + beyond === value;
      }),
    );
  return [...pairs].flatMap(([symbol, other]): Found[] => {
    if (!other || !isBit(symbol, object) || !refersTo(symbol)) return [];
    const defined = declarations.defined.fresh();
    const name = nameOf(symbol.name, declaredAt(symbol, declarations), defined);
    if (name === undefined) return [];
    // The last that was compiled says what the process holds.
    const form = [live.module, ...live.patches]
      .flatMap((image) => declarations.defined.live(image).get(name) ?? [])
      .at(-1);
    return form === undefined || form === defined.get(name)
      ? []
      : [[name, { symbol: symbol.name, change: 'encoded' }]];
  });
}

/** Those of the process that the code of changed functions uses, and that the unit still defines without memory. */
function folded(
  { live, correlation, declarations }: UnitComparison,
  pairs: Pairs,
  differing: readonly ComparedFunction[],
): Found[] {
  const known = new Set([...pairs.values()].map((symbol) => symbol?.address));
  const gone = correlation
    .unitSymbols()
    .filter((symbol) => isLiveVariable(symbol) && !known.has(symbol.address));
  if (gone.length === 0) return [];
  const used = new LiveReferences(live, () => differing.flatMap(running));
  const defined = declarations.defined.fresh();
  return gone.flatMap(({ name: symbol, address, size, image }): Found[] => {
    if (!used.includes(address, address + size - 1)) return [];
    const declared = declarations.live(image).find((each) => each.address + image.bias === address);
    const name = nameOf(symbol, declared, defined);
    return name === undefined ? [] : [[name, { symbol, change: 'folded' }]];
  });
}

function declaredAt({ section, value }: ElfSymbol, { fresh }: Declarations): DeclaredStatic | undefined {
  return fresh().find((each) => each.section === section && each.address === value);
}

function isVariable({ type, size, binding, name, section }: ElfSymbol, { object }: UnitComparison): boolean {
  const home = object.elf.sections[section];
  return (
    type === abi.STT_OBJECT &&
    binding === abi.STB_LOCAL &&
    size > 0 &&
    !name.startsWith('_ZGV') &&
    home !== undefined &&
    (home.flags & abi.SHF_WRITE) !== 0 &&
    !isConstant(home)
  );
}

function isLiveVariable({ type, size, name, sectionIndex, image }: LiveSymbol): boolean {
  const home = image.elf.sections[sectionIndex];
  return (
    type === abi.STT_OBJECT &&
    size > 0 &&
    !name.startsWith('_ZGV') &&
    home !== undefined &&
    (home.flags & abi.SHF_WRITE) !== 0 &&
    !isConstant(home)
  );
}

/** The name by which the other side defines a variable; undefined when it does not. */
function nameOf(
  symbol: string,
  declared: { owner: string; name: string } | undefined,
  defined: ReadonlyMap<string, string>,
): string | undefined {
  if (declared) {
    const name = nameIn(declared.owner, declared.name);
    return defined.has(name) ? name : undefined;
  }
  // Of no function: the name, or the last one of a mangled name (Itanium C++ ABI, 5.1.2). clang appends what it made of
  // a variable (`total.b`, `total.0`).
  const plain = symbol.replace(/\.\w+$/, '');
  return [...defined.keys()].find((name) => {
    if (!name.startsWith('\n')) return false;
    const own = name.slice(1);
    const mangled = `${own.length}${own}`;
    return (
      plain === own || plain === `_ZL${mangled}` || (plain.startsWith('_ZN') && plain.endsWith(`${mangled}E`))
    );
  });
}
