// Which live symbol a symbol of the fresh object is: by name for globals, by name within the unit's FILE group for
// locals, by name stem for the numbered ones (`foo.constprop.0`, `counter.3`), whose numbers mean nothing.
// Answers candidates only; contents are compared in unit.ts. Knows nothing of relocations.
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import type { ObjectFile } from '../elf/object';
import type { Image, LiveImage, LiveSymbol } from '../live/live_image';
import { FIRST_COUNTERS, isCounters } from './coverage';

/** Does a compiler count this name (`name.12`, `foo.part.0.cold`), so that the number may differ next time? */
export function isNumbered(name: string): boolean {
  return name === FIRST_COUNTERS || /\.\d+(?=\.|$)/.test(name);
}

/** The name without the compiler's counters: `foo.part.0.cold` → `foo.part.#.cold`. */
export function stem(name: string): string {
  return name === FIRST_COUNTERS ? `${name}.#` : name.replace(/\.\d+(?=\.|$)/g, '.#');
}

/** The name of the function that an unlikely part belongs to. */
export function withoutCold(name: string): string {
  return name.replace(/\.cold(\.\d+)?$/, '');
}

/** The parent function's name if `name` is a compiler-generated part, else undefined: `.cold` for cold blocks;
 * `.actor`/`.destroy` (gcc, after the type of the frame) and `.resume`/`.cleanup` (clang) for coroutine bodies. */
export function ownerOf(name: string): string | undefined {
  const whole = withoutCold(name);
  const coroutine =
    /\d(_Z\w+)\.Frame\.(?:actor|destroy)$/.exec(whole) ?? /^(.+)\.(?:resume|destroy|cleanup)$/.exec(whole);
  const owner = coroutine?.[1] ?? whole;
  return owner === name ? undefined : owner;
}

/** Is a function the body of a coroutine, or part of it? */
export function isCoroutinePart(name: string): boolean {
  return /\.Frame\.(actor|destroy)(\.|$)|\.(resume|destroy|cleanup)(\.|$)/.test(name);
}

export class Correlation {
  /** Local symbols of this unit in the module. */
  private readonly moduleGroup: readonly LiveSymbol[];
  private readonly moduleLocals: Map<string, LiveSymbol[]>;
  private readonly moduleStems: Map<string, LiveSymbol[]>;
  /** Per patch, oldest first: local symbols that this unit brought. */
  private readonly patchLocals: {
    image: Image;
    byName: Map<string, LiveSymbol[]>;
    byStem: Map<string, LiveSymbol[]>;
  }[];

  /**
   * @param ownedAddresses entries of the unit's functions in the process, from its debug information; tells apart
   *   two units of the same file name. Undefined without debug information.
   */
  constructor(
    readonly object: ObjectFile,
    readonly live: LiveImage,
    ownedAddresses: () => ReadonlySet<number> | undefined,
  ) {
    this.moduleGroup = this.chooseGroup(ownedAddresses);
    this.moduleLocals = indexBy(this.moduleGroup, (name) => name);
    this.moduleStems = indexBy(this.moduleGroup, stem);
    this.patchLocals = live.patches.map((image) => {
      const symbols = image.groups
        .filter((group) => group.name === object.identity)
        .flatMap((group) => group.symbols);
      return { image, byName: indexBy(symbols, (name) => name), byStem: indexBy(symbols, stem) };
    });
  }

  /** Live symbols that this one may be, in the order they should be tried: the module's first, then those that
   * patches introduced, oldest first. Types must agree (function, object, TLS). */
  candidates(symbol: ElfSymbol): LiveSymbol[] {
    const numbered = isNumbered(symbol.name) && symbol.binding === abi.STB_LOCAL;
    const fits = (candidate: LiveSymbol): boolean =>
      kindOf(candidate.type) === kindOf(symbol.type) &&
      (candidate.size === symbol.size || !isCounters(symbol));
    if (symbol.binding !== abi.STB_LOCAL) {
      const found: LiveSymbol[] = [];
      const own = this.live.module.global(symbol.name);
      if (own) found.push(own);
      for (const patch of this.live.patches)
        found.push(...patch.named(symbol.name).filter((candidate) => candidate.binding !== abi.STB_LOCAL));
      return found.filter(fits);
    }
    const found: LiveSymbol[] = [];
    const take = (byName: Map<string, LiveSymbol[]>, byStem: Map<string, LiveSymbol[]>): void => {
      const exact = byName.get(symbol.name) ?? [];
      found.push(...exact);
      if (numbered)
        for (const candidate of byStem.get(stem(symbol.name)) ?? [])
          if (!exact.includes(candidate)) found.push(candidate);
    };
    take(this.moduleLocals, this.moduleStems);
    for (const patch of this.patchLocals) take(patch.byName, patch.byStem);
    return found.filter(fits);
  }

  /** Local symbols of this unit in the process, the module's first. */
  unitSymbols(): readonly LiveSymbol[] {
    return [...this.moduleGroup, ...this.patchLocals.flatMap(({ byName }) => [...byName.values()].flat())];
  }

  /** Is a live symbol a global one, or was it one that is hidden, which linkers make local? */
  isGlobal(symbol: LiveSymbol): boolean {
    if (symbol.binding !== abi.STB_LOCAL) return true;
    return this.object.definition(symbol.name) !== undefined && symbol.image.global(symbol.name) === symbol;
  }

  /** May a live symbol be one of the unit's? A local symbol of another file's group is not. */
  isOwn(symbol: LiveSymbol): boolean {
    if (this.isGlobal(symbol)) return true;
    if (symbol.image.patch === undefined) return this.moduleGroup.includes(symbol);
    return symbol.image.groups[symbol.group]?.name === this.object.identity;
  }

  /** Symbols of the fresh object that share the stem of a numbered one, by their number. */
  siblings(symbol: ElfSymbol): ElfSymbol[] {
    const wanted = stem(symbol.name);
    return this.object.symbols
      .filter(
        (other) =>
          other.binding === abi.STB_LOCAL &&
          kindOf(other.type) === kindOf(symbol.type) &&
          stem(other.name) === wanted,
      )
      .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  }

  private chooseGroup(ownedAddresses: () => ReadonlySet<number> | undefined): readonly LiveSymbol[] {
    const { object } = this;
    const groups = this.live.module.groups.filter((group) => group.name === object.fileName);
    if (groups.length <= 1) return groups[0]?.symbols ?? [];
    const owned = ownedAddresses();
    const locals = new Set(
      object.symbols
        .filter((symbol) => symbol.binding === abi.STB_LOCAL && symbol.name)
        .map((symbol) => stem(symbol.name)),
    );
    // Sections of one object lie together, so a file of the same name elsewhere has its functions elsewhere.
    const anchors = object.functions
      .filter((fn) => fn.symbol.binding === abi.STB_GLOBAL)
      .flatMap((fn) => this.live.module.global(fn.symbol.name)?.address ?? []);
    const score = (symbols: readonly LiveSymbol[]): number => {
      let points = 0;
      for (const symbol of symbols) {
        if (owned?.has(symbol.address)) points += 1000;
        if (locals.has(stem(symbol.name))) points += 1;
      }
      const functions = symbols.filter((symbol) => symbol.type === abi.STT_FUNC);
      if (functions.length && anchors.length) {
        const distance = Math.min(
          ...functions.flatMap((fn) => anchors.map((anchor) => Math.abs(anchor - fn.address))),
        );
        points += 1 / (1 + distance);
      }
      return points;
    };
    return groups
      .map((group) => ({ group, points: score(group.symbols) }))
      .sort((a, b) => b.points - a.points)[0]!.group.symbols;
  }
}

function indexBy(symbols: readonly LiveSymbol[], key: (name: string) => string): Map<string, LiveSymbol[]> {
  const index = new Map<string, LiveSymbol[]>();
  for (const symbol of symbols) {
    const list = index.get(key(symbol.name));
    if (list) list.push(symbol);
    else index.set(key(symbol.name), [symbol]);
  }
  return index;
}

function kindOf(type: number): 'function' | 'thread-local' | 'object' {
  if (type === abi.STT_FUNC || type === abi.STT_GNU_IFUNC) return 'function';
  if (type === abi.STT_TLS) return 'thread-local';
  return 'object';
}
