// Which static variable of the process one of a function is, by declaration: the function and the name that it has in
// the source, which an edit of other functions does not touch; and which piece of a variable one is that the compiler
// split. Several of one name in one function are told apart by
// what unchanged code refers to (votes.ts), else by type and initial value; what is left is undecided.
import type { ElfSymbol } from '../elf/file';
import * as abi from '../elf/constants';
import { isConstant, type ObjectFile } from '../elf/object';
import type { Image, LiveImage, LiveSymbol } from '../live/live_image';
import { isWatched, sizeWithRedZone } from './address_sanitizer';

/** Bytes of a variable. */
interface Piece {
  start: number;
  length: number;
}

/** A static variable of a function as debug information declares it. */
export interface DeclaredStatic {
  name: string;
  /** Symbol of the function; empty for pieces of variables outside of functions. */
  owner: string;
  /** Of a variable that the compiler split: of which of its bytes this is the piece. */
  piece?: Piece;
  type: string;
  /** Virtual address; in an object the offset in `section`. */
  address: number;
  section?: number;
}

/** What debug information declares, in the order of lines; nothing without it. */
export interface Declarations {
  fresh: () => readonly DeclaredStatic[];
  /** Of this unit in the module or in a patch. */
  live: (image: Image) => readonly DeclaredStatic[];
  /** All variables of the unit, by function and name (nameIn), whether they have a place in memory or not, and how each
   * is made of what lies there: of the fresh one, and of the unit in the module or in a patch. */
  defined: { fresh: () => ReadonlyMap<string, string>; live: (image: Image) => ReadonlyMap<string, string> };
}

/** Of code without debug information of its own. */
export const NO_DECLARATIONS: Declarations = {
  fresh: () => [],
  live: () => [],
  defined: { fresh: () => new Map(), live: () => new Map() },
};

interface Fresh {
  symbol: ElfSymbol;
  traits: string;
}
interface Live {
  symbol: LiveSymbol;
  traits: string;
}

/** How compilers name the statics of functions: `counter.3`, `f.counter.1`, `_ZZ1fvE7counter_0`. A pointer to the
 * personality routine, which every unit has that catches exceptions, is none (`DW.ref.__gxx_personality_v0`). */
const COUNTED = /^_ZZ|^(?!DW\.ref\.)[\w$]+\.[\w$.]+$/;

/** Of a piece (`state.0`), the symbol of the variable. */
export const splitVariableOf = (piece: string): string => piece.replace(/\.\d+$/, '');

export class StaticVariables {
  private families: Map<ElfSymbol, string> | undefined;
  private readonly pieces = new Map<ElfSymbol, Piece>();
  private readonly freshOf = new Map<string, Fresh[]>();
  private readonly liveOf = new Map<string, Live[]>();
  private readonly declared = new Set<LiveSymbol>();

  constructor(
    private readonly object: ObjectFile,
    private readonly live: LiveImage,
    private readonly declarations: Declarations,
  ) {}

  /** Those of one name in one function, of the object and of the process; undefined when nothing declares the symbol. */
  family(symbol: ElfSymbol): { fresh: readonly Fresh[]; live: readonly Live[] } | undefined {
    const key = this.read().get(symbol);
    if (key === undefined) return undefined;
    return { fresh: this.freshOf.get(key) ?? [], live: this.liveOf.get(key) ?? [] };
  }

  /** Those that share their name in their function with others, now or in the process. */
  several(): ElfSymbol[] {
    return [...this.read().keys()].filter((symbol) => {
      const { fresh = [], live = [] } = this.family(symbol) ?? {};
      return live.length > 0 && fresh.length + live.length > 2;
    });
  }

  /** Of a piece of a variable that the compiler split: which of its bytes it has. */
  piece(symbol: ElfSymbol): Piece | undefined {
    return this.read().has(symbol) ? this.pieces.get(symbol) : undefined;
  }

  /** Is a variable of the process known to belong to a function, or to be a piece of another? */
  isDeclared(symbol: LiveSymbol): boolean {
    this.read();
    return this.declared.has(symbol);
  }

  private read(): ReadonlyMap<ElfSymbol, string> {
    if (this.families) return this.families;
    const families = (this.families = new Map<ElfSymbol, string>());
    if (!this.object.symbols.some((symbol) => this.mayBeCounted(symbol))) return families;
    for (const declared of this.declarations.fresh()) {
      const section = this.object.elf.sections[declared.section ?? 0];
      const symbol =
        section &&
        this.object.symbolsIn(section).find((other) => other.value === declared.address && isObject(other));
      if (!section || !symbol || isConstant(section)) continue;
      const key = keyOf(declared, symbol);
      families.set(symbol, key);
      if (declared.piece) this.pieces.set(symbol, declared.piece);
      const bytes =
        section.type === abi.SHT_NOBITS
          ? Buffer.alloc(symbol.size)
          : this.object.elf.data(section).subarray(symbol.value, symbol.value + symbol.size);
      add(this.freshOf, key, { symbol, traits: traitsOf(declared, bytes) });
    }
    this.readLive();
    return families;
  }

  /** Constants keep no state: a copy of one is as good as it. Debug information, which is long, is only read for others. */
  private mayBeCounted(symbol: ElfSymbol): boolean {
    if (symbol.type !== abi.STT_OBJECT || !COUNTED.test(symbol.name)) return false;
    const section = this.object.sectionOf(symbol);
    return section !== undefined && !isConstant(section);
  }

  /** Has a symbol but a piece of a variable? A red zone behind it is none of the variable. */
  private isNoMoreThan({ length }: Piece, { name, size }: LiveSymbol): boolean {
    if (size <= length) return true;
    return isWatched(this.object) && splitVariableOf(name) !== name && size === sizeWithRedZone(length);
  }

  /** Each save compiled the whole unit: the last image that declares a function's variables knows where all are. */
  private readLive(): void {
    for (const image of [this.live.module, ...this.live.patches]) {
      const found = new Map<string, Live[]>();
      for (const declared of this.declarations.live(image)) {
        const address = declared.address + image.bias;
        const symbol = this.live.symbolsAt(address).find(isObject);
        const bytes = symbol && this.live.bytes(address, symbol.size);
        if (!symbol || !bytes) continue;
        // Code of a patch has a piece of what is whole in the process.
        if (declared.piece && !this.isNoMoreThan(declared.piece, symbol)) continue;
        this.declared.add(symbol);
        add(found, keyOf(declared, symbol), { symbol, traits: traitsOf(declared, bytes) });
      }
      for (const [key, list] of found) this.liveOf.set(key, list);
    }
  }
}

function isObject({ type, size }: { type: number; size: number }): boolean {
  return type === abi.STT_OBJECT && size > 0;
}

function add<T>(lists: Map<string, T[]>, key: string, one: T): void {
  const list = lists.get(key);
  if (list) list.push(one);
  else lists.set(key, [one]);
}

/** The scope of a variable outside of functions is in its symbol, which clang gives a number for each piece. */
function keyOf({ owner, name, piece }: DeclaredStatic, symbol: { name: string }): string {
  const scope = owner === '' ? splitVariableOf(symbol.name) : owner;
  return piece === undefined ? `${scope}\n${name}` : `${scope}\n${name}\n${piece.start}`;
}

function traitsOf({ type }: DeclaredStatic, bytes: Buffer): string {
  return `${type} ${bytes.toString('hex')}`;
}

/**
 * Pairs variables of one name of one function.
 * @param voted what unchanged code says
 * @returns undefined for those that the process does not have; `undecided` when it cannot be told
 */
export function pairStatics(
  fresh: readonly Fresh[],
  live: readonly Live[],
  voted: (symbol: ElfSymbol) => number | undefined,
): { pairs: Map<ElfSymbol, LiveSymbol | undefined>; undecided: boolean } {
  const pairs = new Map<ElfSymbol, LiveSymbol | undefined>();
  const spoken = new Set<LiveSymbol>();
  for (const { symbol } of fresh) {
    const address = voted(symbol);
    const found = live.find((other) => other.symbol.address === address)?.symbol;
    if (!found) continue;
    pairs.set(symbol, found);
    spoken.add(found);
  }
  const left = fresh.filter(({ symbol }) => !pairs.has(symbol));
  const free = live.filter(({ symbol }) => !spoken.has(symbol));
  const take = (some: readonly Fresh[], others: readonly Live[]): void =>
    some.forEach(({ symbol }, i) => pairs.set(symbol, others[i]?.symbol));
  // As many as before, in their order: no more than an initialiser was edited, or nothing.
  const differing = left.filter(({ traits }, i) => traits !== free[i]?.traits).length;
  if (left.length === free.length && differing <= 1) {
    take(left, free);
    return { pairs, undecided: false };
  }
  let undecided = false;
  for (const traits of new Set(left.map((one) => one.traits))) {
    const some = left.filter((one) => one.traits === traits);
    const others = free.filter((one) => one.traits === traits);
    // Which of those that look alike is the new one?
    if (others.length > 0 && others.length !== some.length) undecided = true;
    take(some, others);
  }
  // One that is there no more and one that is new may be one whose initialiser was edited.
  const gone = free.some(({ symbol }) => ![...pairs.values()].includes(symbol));
  const isNew = left.some(({ symbol }) => pairs.get(symbol) === undefined);
  return { pairs, undecided: undecided || (gone && isNew) };
}
