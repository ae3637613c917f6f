// Are constants of the fresh object the same in the process: content, and what their pointers refer to? Named ones
// reach over their symbol, strings of mergeable sections to their terminator, others to the next place that anything
// refers to. Part of the comparison of unit.ts; what pointers refer to is reference_comparison.ts's to say.
import * as abi from '../elf/constants';
import type { ElfSymbol, Relocation, Section } from '../elf/file';
import { isTableRelative, mergeablePiece } from '../elf/mergeable';
import type { ObjectFile } from '../elf/object';
import type { Image, LiveImage } from '../live/live_image';
import type { Expectation } from './match';

/** Names whose address is their identity; what they hold follows from the type, which the layout check compares. */
export const IDENTITY = /^(_ZT[VTISC]|_ZGV|_ZGR|DW\.ref\.)/;

/** Does symbol + offset of the object lie at that address of the process? */
export type SameTarget = (
  symbol: ElfSymbol,
  offset: number,
  address: number,
  expectations: Expectation[],
) => boolean;

export class ConstantComparison {
  private readonly constants = new Map<string, { same: boolean; expectations: Expectation[] }>();
  private readonly anchors = new Map<number, number[]>();

  constructor(
    private readonly object: ObjectFile,
    private readonly live: LiveImage,
    private readonly sameTarget: SameTarget,
  ) {}

  /** Is the constant that a section's offset lies in the same at a live address? */
  sameConstantAt(section: Section, offset: number, address: number, expectations: Expectation[]): boolean {
    const data = this.object.elf.data(section);
    if (section.flags & abi.SHF_MERGE && this.object.relocations(section).length === 0) {
      const piece = mergeablePiece(section, data, offset);
      if (!piece) return false;
      const live = this.live.bytes(address - (offset - piece.start), piece.end - piece.start);
      return live !== undefined && data.compare(live, 0, live.length, piece.start, piece.end) === 0;
    }
    const { symbol } = this.object.place(section, offset);
    if (symbol && symbol.size > 0) {
      const start = address - (offset - symbol.value);
      if (symbol.binding !== abi.STB_LOCAL) {
        const same = this.live.global(symbol.name);
        if (same && same.address !== start) return false;
        if (same && IDENTITY.test(symbol.name)) return true;
      }
      return this.sameConstant(section, symbol, start, expectations);
    }
    const end = this.endOfAnonymous(section, offset);
    return this.sameContent(section, offset, end, address, true, expectations);
  }

  /** Has a named constant the same content at a live address? */
  sameConstant(section: Section, symbol: ElfSymbol, address: number, expectations: Expectation[]): boolean {
    const key = `${symbol.index}@${address}`;
    let known = this.constants.get(key);
    if (!known) {
      // Constants may refer to each other in a circle: while one is being compared it counts as the same.
      known = { same: true, expectations: [] };
      this.constants.set(key, known);
      known.same =
        section.type === abi.SHT_NOBITS
          ? (this.live.bytes(address, symbol.size)?.every((byte) => byte === 0) ?? false)
          : this.sameContent(
              section,
              symbol.value,
              symbol.value + symbol.size,
              address,
              false,
              known.expectations,
            );
    }
    if (known.same) expectations.push(...known.expectations);
    return known.same;
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
    let at = start;
    for (const relocation of this.object.relocationsIn(section, start, end)) {
      const width = relocation.type === abi.R_X86_64_64 || relocation.type === abi.R_X86_64_PC64 ? 8 : 4;
      if (fresh.compare(live, at - start, relocation.offset - start, at, relocation.offset) !== 0)
        return false;
      if (!this.samePointer(section, relocation, image, live, start, address, anonymous, expectations))
        return false;
      at = relocation.offset + width;
    }
    if (at >= end) return true;
    // What follows the last table in a section is padding on one side and perhaps another object on the other.
    const stop = anonymous ? lastNonZero(fresh, at, end) : end;
    return fresh.compare(live, at - start, stop - start, at, stop) === 0;
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
    switch (relocation.type) {
      case abi.R_X86_64_64: {
        const pointer = image.pointerAt(address + within);
        if (!pointer) return false;
        return 'name' in pointer
          ? pointer.name === symbol.name && pointer.addend === relocation.addend
          : this.sameTarget(symbol, relocation.addend, pointer.address, expectations);
      }
      case abi.R_X86_64_PC32: {
        const value = live.readInt32LE(within);
        const target = this.object.sectionOf(symbol);
        // A jump table of position-independent code: each entry counts from the table's start.
        if ((anonymous && target && target.flags & abi.SHF_EXECINSTR) || isTableRelative(section, symbol))
          return this.sameTarget(symbol, relocation.addend - within, address + value, expectations);
        return this.sameTarget(symbol, relocation.addend, address + within + value, expectations);
      }
      case abi.R_X86_64_32:
      case abi.R_X86_64_32S:
        return this.sameTarget(symbol, relocation.addend, live.readUInt32LE(within), expectations);
      default:
        return false;
    }
  }

  /** An anonymous constant reaches to the next place that anything refers to, or to the section's end. */
  private endOfAnonymous(section: Section, offset: number): number {
    let anchors = this.anchors.get(section.index);
    if (!anchors) {
      const found = new Set<number>();
      for (const other of this.object.elf.sections) {
        if (!(other.flags & abi.SHF_ALLOC)) continue;
        for (const relocation of this.object.relocations(other)) {
          const symbol = this.object.symbol(relocation.symbol);
          if (symbol.section !== section.index) continue;
          const relative = relocation.type === abi.R_X86_64_PC32 && other.flags & abi.SHF_EXECINSTR;
          found.add(symbol.value + relocation.addend + (relative ? 4 : 0));
        }
      }
      anchors = [...found].sort((a, b) => a - b);
      this.anchors.set(section.index, anchors);
    }
    return anchors.find((anchor) => anchor > offset) ?? section.size;
  }
}

function lastNonZero(bytes: Buffer, start: number, end: number): number {
  let stop = end;
  while (stop > start && bytes[stop - 1] === 0) stop--;
  return stop;
}
