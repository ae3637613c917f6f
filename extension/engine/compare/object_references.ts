// What the code of an object refers to: relocations, and the fields that the assembler resolved itself because they stay
// in their section. Comparison, selection and link read references here and nowhere else, so that none is forgotten.
// Decodes code; knows nothing of the process.
import { type Architecture, isRelative, type Meaning } from '../arch/architecture';
import { architectureOf } from '../arch/choose';
import * as abi from '../elf/constants';
import type { Relocation, Section } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { lowerBound } from '../shared/search';

/** A field of code that refers to something: a relocation, or a field that the assembler resolved itself because what it
 * refers to lies in the same section. A patch lays the functions of a section anew, so both need to be known. */
export interface Reference extends Relocation {
  meaning: Meaning;
  /** What the value counts from, as a distance from the field: on x86-64 the end of the instruction; 0 for an address. What
   * the reference means is its symbol + addend + beyond, of every type. Of a slot of the GOT that is its symbol: the addend
   * is no offset into it, but the way from what the value counts from back to the field. */
  beyond: number;
}

/** A part of a section. */
export interface Extent {
  start: number;
  /** Behind its last byte. */
  end: number;
}

const DESCRIPTIONS = /^\.data(\.rel(\.local)?)?\.\.LASAN0$/;
/** Bytes. */
const DESCRIPTION = 64;

export class ObjectReferences {
  private readonly references = new Map<ObjectFunction, readonly Reference[]>();
  private described: ReadonlyMap<number, readonly Extent[]> | undefined;
  private anchors: ReadonlyMap<number, readonly number[]> | undefined;
  readonly arch: Architecture;

  constructor(private readonly object: ObjectFile) {
    this.arch = architectureOf(object.elf);
  }

  /** Everything that the code of a function refers to outside of itself, and its own address, by ascending offset. */
  of(fn: ObjectFunction): readonly Reference[] {
    const known = this.references.get(fn);
    if (known) return known;
    const references = this.read(fn);
    this.references.set(fn, references);
    return references;
  }

  /** Where an anonymous constant begins that covers an offset: at the last place that anything refers to. */
  startOfAnonymous(section: Section, offset: number): number {
    const anchors = this.anchorsIn(section);
    return anchors[behind(anchors, offset) - 1] ?? 0;
  }

  /** Where it ends: at the next place that anything refers to, or at the section's end. */
  endOfAnonymous(section: Section, offset: number): number {
    const anchors = this.anchorsIn(section);
    return anchors[behind(anchors, offset)] ?? section.size;
  }

  /** The object without a symbol that an offset belongs to, where AddressSanitizer describes it: code may hold only the
   * address of its end, or another one in it. */
  describedAt(section: Section, offset: number): Extent | undefined {
    this.described ??= this.readDescriptions();
    return this.described.get(section.index)?.find(({ start, end }) => offset >= start && offset <= end);
  }

  /** gcc's `.LASAN0`: an array of `struct __asan_global` (compiler-rt, asan_interface_internal.h), of which the first words are
   * address and size. */
  private readDescriptions(): Map<number, readonly Extent[]> {
    const found = new Map<number, Extent[]>();
    for (const array of this.object.elf.sections) {
      if (!DESCRIPTIONS.test(array.name) || array.type !== abi.SHT_PROGBITS) continue;
      const sizes = this.object.elf.data(array);
      for (const { offset, symbol: index, addend } of this.object.relocations(array)) {
        if (offset % DESCRIPTION !== 0) continue;
        const symbol = this.object.symbol(index);
        const start = symbol.value + addend;
        const all = found.get(symbol.section);
        const extent = { start, end: start + Number(sizes.readBigUInt64LE(offset + 8)) };
        if (all) all.push(extent);
        else found.set(symbol.section, [extent]);
      }
    }
    return found;
  }

  /** Offsets of a section that code or data refers to, ascending. */
  private anchorsIn(section: Section): readonly number[] {
    this.anchors ??= this.readAnchors();
    return this.anchors.get(section.index) ?? [];
  }

  /** Those of all sections, by their indices: a large unit has many sections, and more references. */
  private readAnchors(): Map<number, readonly number[]> {
    const { sections } = this.object.elf;
    const found = new Map<number, Set<number>>();
    const add = ({ symbol: index, addend }: Relocation, beyond: number): void => {
      const symbol = this.object.symbol(index);
      const section = sections[symbol.section];
      if (!section) return;
      let offsets = found.get(section.index);
      if (!offsets) found.set(section.index, (offsets = new Set()));
      // What counts from its own place, as in clang's tables of counters, may name a place far behind the section.
      offsets.add(Math.min(symbol.value + addend + beyond, section.size));
    };
    for (const fn of this.object.functions)
      for (const reference of this.of(fn)) add(reference, reference.beyond);
    for (const other of sections)
      if (other.flags & abi.SHF_ALLOC && !(other.flags & abi.SHF_EXECINSTR))
        for (const relocation of this.object.relocations(other)) add(relocation, 0);
    return new Map([...found].map(([index, offsets]) => [index, [...offsets].sort((a, b) => a - b)]));
  }

  private read(fn: ObjectFunction): readonly Reference[] {
    const relocations = this.object.relocationsIn(fn.section, fn.offset, fn.offset + fn.size);
    const code = this.object.code(fn);
    // Decoding is what takes the time: most functions are alone in their section and have no operand that counts from
    // an instruction's end.
    const decoded =
      this.object.functionsIn(fn.section).length > 1 ||
      this.arch.mayAddressItself(code) ||
      relocations.some(({ offset }) => this.arch.isInstructionRelative(code, offset - fn.offset))
        ? this.arch.relativeFields(code)
        : [];
    const fields = new Map(decoded.map((field) => [field.offset + fn.offset, field]));
    const references: Reference[] = relocations.map((relocation) => {
      const meaning = this.arch.meaning(relocation.type);
      if (meaning.via === 'got') return { ...relocation, meaning, beyond: -relocation.addend };
      const { beyond } = fields.get(relocation.offset) ?? { beyond: meaning.origin };
      return { ...relocation, meaning, beyond: isRelative(meaning) ? beyond : 0 };
    });
    const relocated = new Set(relocations.map(({ offset }) => offset));
    for (const [offset, { target, beyond, width, use }] of fields) {
      if (relocated.has(offset)) continue;
      const at = fn.offset + target;
      const other = this.object.functionAt(fn.section, at) !== fn;
      // Its own address is known to others, for whom a function is its entry; a call or loop is its own affair.
      if (!other && !(target === 0 && use === 'operand')) continue;
      const type = this.arch.resolvedType(width);
      const symbol = this.object.sectionSymbol(fn.section);
      references.push({
        offset,
        type,
        meaning: this.arch.meaning(type),
        symbol: symbol.index,
        addend: at - symbol.value - beyond,
        beyond,
      });
    }
    return references.sort((a, b) => a.offset - b.offset);
  }
}

/** The place of the first anchor behind an offset. */
const behind = (anchors: readonly number[], offset: number): number =>
  lowerBound(anchors.length, (index) => anchors[index]! <= offset);
