// Are constants of the fresh object the same in the process: content, and what their pointers refer to? Named ones
// reach over their symbol, strings of mergeable sections to their terminator, others to the next place that anything
// refers to. Part of the comparison of unit.ts; what pointers refer to is reference_comparison.ts's to say.
import * as abi from '../elf/constants';
import type { ElfSymbol, Relocation, Section } from '../elf/file';
import { anchorOf, isMergeable, isTableRelative, mergeablePiece } from '../elf/mergeable';
import type { ObjectFile } from '../elf/object';
import type { Image, LiveImage } from '../live/live_image';
import type { Expectation } from './match';
import type { ObjectReferences } from './object_references';

/** Names whose address is their identity; what they hold follows from the type, which the layout check compares. */
export const IDENTITY = /^(_ZT[VTISC]|_ZGV|_ZGR|DW\.ref\.)/;

/** Does symbol + offset of the object lie at that address of the process? */
export type SameTarget = (
  symbol: ElfSymbol,
  offset: number,
  address: number,
  expectations: Expectation[],
) => boolean;

/** Does live code of the unit refer to an address of a range (`from` and `to` included)? */
export type IsReferred = (from: number, to: number) => boolean;

/** What is known about a named constant at a live address. */
interface Known {
  same: boolean;
  expectations: Expectation[];
  /** The outermost constant being compared that this one refers to: both are the same, or neither is. */
  circle: Known | undefined;
}

export class ConstantComparison {
  private readonly constants = new Map<string, Known>();
  /** Those being compared, outermost first. */
  private readonly open: Known[] = [];

  constructor(
    private readonly object: ObjectFile,
    private readonly references: ObjectReferences,
    private readonly live: LiveImage,
    private readonly sameTarget: SameTarget,
    private readonly isReferred: IsReferred,
  ) {}

  /** Is the constant that a reference to symbol + something, at an offset of its section, means the same live? */
  sameConstantAt(
    section: Section,
    named: ElfSymbol,
    offset: number,
    address: number,
    expectations: Expectation[],
  ): boolean {
    const data = this.object.elf.data(section);
    if (isMergeable(this.object, section)) {
      const piece = mergeablePiece(section, data, anchorOf(named, offset));
      if (!piece) return false;
      const live = this.live.bytes(address - (offset - piece.start), piece.end - piece.start);
      return live !== undefined && data.compare(live, 0, live.length, piece.start, piece.end) === 0;
    }
    const { symbol } = this.object.place(section, offset);
    if (symbol && symbol.size > 0) {
      const start = address - (offset - symbol.value);
      if (symbol.binding !== abi.STB_LOCAL) {
        // An edit may have given patched code a copy; whether it is this one is a matter of content.
        const homes = this.homesOf(symbol);
        if (homes.length > 0 && !homes.includes(start)) return false;
        if (homes.length > 0 && IDENTITY.test(symbol.name)) return true;
      }
      return this.sameConstant(section, symbol, start, expectations);
    }
    const whole = this.references.describedAt(section, offset);
    if (whole)
      return this.sameContent(
        section,
        whole.start,
        whole.end,
        address - (offset - whole.start),
        false,
        expectations,
      );
    // A table whose first index is not 0 may be addressed from before its begin.
    const start = Math.max(offset, 0);
    const end = this.references.endOfAnonymous(section, start);
    return this.sameContent(section, start, end, address + (start - offset), true, expectations);
  }

  /** Addresses of a global constant: of the module's, and of the copies in patches. */
  private homesOf({ name }: ElfSymbol): number[] {
    const module = this.live.module.global(name);
    const patched = this.live.patches.flatMap((patch) => patch.global(name) ?? []);
    return [...(module ? [module] : []), ...patched].map(({ address }) => address);
  }

  /** Has a named constant the same content at a live address? */
  sameConstant(section: Section, symbol: ElfSymbol, address: number, expectations: Expectation[]): boolean {
    const key = `${symbol.index}@${address}`;
    let known = this.constants.get(key);
    if (known) this.noteCircle(known);
    else {
      // Constants may refer to each other in a circle: while one is being compared it counts as the same.
      known = { same: true, expectations: [], circle: undefined };
      this.constants.set(key, known);
      this.open.push(known);
      const same = this.sameContent(
        section,
        symbol.value,
        symbol.value + symbol.size,
        address,
        false,
        known.expectations,
      );
      this.open.pop();
      // What was found the same meanwhile may have been so only because this one was taken for it.
      if (!same)
        for (const [other, { circle }] of this.constants) if (circle === known) this.constants.delete(other);
      known.same = same;
      if (known.circle) known.circle.expectations.push(...known.expectations);
    }
    if (known.same) expectations.push(...(known.circle ?? known).expectations);
    return known.same;
  }

  /** Everything being compared inside of a constant that it refers to in turn stands or falls with that one. */
  private noteCircle(known: Known): void {
    const outer = known.circle ?? known;
    const begin = this.open.indexOf(outer);
    if (begin < 0) return;
    for (const inner of this.open.slice(begin + 1))
      if (!inner.circle || this.open.indexOf(inner.circle) > begin) inner.circle = outer;
  }

  private sameContent(
    section: Section,
    start: number,
    end: number,
    address: number,
    anonymous: boolean,
    expectations: Expectation[],
  ): boolean {
    const fresh = this.object.elf.data(section);
    const image = this.live.imageAt(address);
    const live = image?.bytes(address, end - start);
    if (!image || !live) return false;
    // Zeros, which have no bytes in the file.
    if (section.type === abi.SHT_NOBITS) return live.every((byte) => byte === 0);
    let at = start;
    for (const relocation of this.object.relocationsIn(section, start, end)) {
      const { width } = this.references.arch.meaning(relocation.type);
      if (fresh.compare(live, at - start, relocation.offset - start, at, relocation.offset) !== 0)
        return false;
      if (!this.samePointer(section, relocation, image, live, start, address, anonymous, expectations))
        return false;
      at = relocation.offset + width;
    }
    if (at >= end || fresh.compare(live, at - start, end - start, at, end) === 0) return true;
    if (!anonymous) return false;
    // Zeros before the next object may align it; in the process less of them may lie before an object. That code of the
    // unit refers to one there is the proof.
    const stop = Math.max(at, this.endWithoutPadding(section, start, end));
    if (fresh.compare(live, at - start, stop - start, at, stop) !== 0) return false;
    let differs = stop;
    while (fresh[differs] === live[differs - start]) differs++;
    return this.isReferred(address + Math.max(stop - start, 1), address + differs - start);
  }

  /** Where the bytes of an object end that may be followed by zeros up to `next`, which is aligned. */
  private endWithoutPadding(section: Section, start: number, next: number): number {
    if (next === section.size) return next;
    const fresh = this.object.elf.data(section);
    let alignment = 1;
    while (alignment < section.alignment && next % (alignment * 2) === 0) alignment *= 2;
    let stop = next;
    while (stop > start && next - stop < alignment - 1 && fresh[stop - 1] === 0) stop--;
    return stop;
  }

  /** Does a relocated field of data refer to the same thing in the process? */
  samePointer(
    section: Section,
    relocation: Relocation,
    image: Image,
    live: Buffer,
    start: number,
    address: number,
    anonymous: boolean,
    expectations: Expectation[],
  ): boolean {
    const symbol = this.object.symbol(relocation.symbol);
    const within = relocation.offset - start;
    const { via, width } = this.references.arch.meaning(relocation.type);
    if (via === 'absolute' && width === 8) {
      const pointer = image.pointerAt(address + within);
      if (!pointer) return false;
      return 'name' in pointer
        ? pointer.name === symbol.name && pointer.addend === relocation.addend
        : this.sameTarget(symbol, relocation.addend, pointer.address, expectations);
    }
    if (via === 'pc' && (width === 4 || width === 8)) {
      const value = width === 4 ? live.readInt32LE(within) : Number(live.readBigInt64LE(within));
      const target = this.object.sectionOf(symbol);
      // A jump table of position-independent code: each entry counts from the table's start.
      if ((anonymous && target && target.flags & abi.SHF_EXECINSTR) || isTableRelative(section, symbol))
        return this.sameTarget(symbol, relocation.addend - within, address + value, expectations);
      return this.sameTarget(symbol, relocation.addend, address + within + value, expectations);
    }
    if (via === 'absolute' && width === 4)
      return this.sameTarget(symbol, relocation.addend, live.readUInt32LE(within), expectations);
    return false;
  }
}
