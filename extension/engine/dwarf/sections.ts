// Contents of the debug sections, with relocations applied where the file is a relocatable object: the ground
// the DWARF reader stands on. Several sections of one name (type units in COMDAT groups) become one. Knows
// nothing of what the sections mean, and never changes the bytes that the ELF reader hands out.
import { architectureOf } from '../arch/choose';
import type { ElfFile, Section } from '../elf/file';
import * as elfConstants from '../elf/constants';
import { lowerBound } from '../shared/search';

const SYMBOL_SIZE = 24;
const RELA_SIZE = 24;

/** One debug section, all of its parts behind each other. */
export interface DebugSection {
  readonly bytes: Buffer;
  /** Section that the address field at this offset points into; undefined in linked files, where a field is an address. */
  sectionOf(offset: number): number | undefined;
}

/** Reads the debug sections of one file; each is read, decompressed and relocated when it is first asked for. */
export class DebugSections {
  private readonly known = new Map<string, DebugSection | undefined>();
  private partOffsets: Map<number, number> | undefined;

  constructor(private readonly elf: ElfFile) {}

  /** A section by name, e.g. `.debug_info`; undefined when the file has none.
   * Throws HotPatchError `unsupported-object` when it is compressed by a method that is not supported. */
  get(name: string): DebugSection | undefined {
    if (!this.known.has(name)) this.known.set(name, this.read(name));
    return this.known.get(name);
  }

  /** Bytes of a section, empty when the file has none. */
  bytes(name: string): Buffer {
    return this.get(name)?.bytes ?? EMPTY;
  }

  private read(name: string): DebugSection | undefined {
    const parts = this.elf.sections.filter(
      (section) => section.name === name && section.type !== elfConstants.SHT_NOBITS,
    );
    const [only] = parts;
    if (!only) return undefined;
    const pieces = parts.map((part) => this.elf.data(part));
    if (this.elf.type !== elfConstants.ET_REL)
      return { bytes: parts.length === 1 ? this.elf.data(only) : Buffer.concat(pieces), sectionOf: nowhere };
    const bytes = Buffer.concat(pieces);
    const addressFields: number[] = [];
    const addressSections: number[] = [];
    let start = 0;
    parts.forEach((part, i) => {
      this.relocate(part, bytes, start, addressFields, addressSections);
      start += pieces[i]?.length ?? 0;
    });
    return { bytes, sectionOf: lookup(addressFields, addressSections) };
  }

  /** Applies the relocations of one part, which lies at `start` of `bytes`: those that give S + A, as nearly all do. */
  private relocate(part: Section, bytes: Buffer, start: number, fields: number[], targets: number[]): void {
    const table = this.elf.sections.find(
      (section) => section.type === elfConstants.SHT_RELA && section.info === part.index,
    );
    const symbolTable = table && this.elf.sections[table.link];
    if (!table || !symbolTable) return;
    const relocations = this.elf.data(table);
    const symbols = this.elf.data(symbolTable);
    const extended = this.elf.sections.find(
      (section) => section.type === elfConstants.SHT_SYMTAB_SHNDX && section.link === symbolTable.index,
    );
    const indices = extended && this.elf.data(extended);
    const offsets = this.offsetsOfParts();
    const arch = architectureOf(this.elf);
    const view = new DataView(relocations.buffer, relocations.byteOffset, relocations.length);
    const last = bytes.length - 4;
    for (let at = 0; at + RELA_SIZE <= relocations.length; at += RELA_SIZE) {
      const { via, width } = arch.meaning(view.getUint32(at + 8, true));
      if (via !== 'absolute') continue;
      const field = start + view.getUint32(at, true);
      const symbol = view.getUint32(at + 12, true) * SYMBOL_SIZE;
      if (field > last || symbol + SYMBOL_SIZE > symbols.length) continue;
      let section = symbols.readUInt16LE(symbol + 6);
      if (section === elfConstants.SHN_XINDEX && indices)
        section = indices.readUInt32LE((symbol / SYMBOL_SIZE) * 4);
      // Objects are below 4 GiB, so that symbol value and addend fit into 32 bits.
      const value =
        symbols.readUInt32LE(symbol + 8) + view.getInt32(at + 16, true) + (offsets.get(section) ?? 0);
      bytes.writeUInt32LE(value >>> 0, field);
      if (width !== 8 || field + 8 > bytes.length) continue;
      bytes.writeUInt32LE(value < 0 ? 0xffffffff : 0, field + 4);
      fields.push(field);
      targets.push(section);
    }
  }

  /** Where each debug section lies within the whole of its name, for those that are not the first. */
  private offsetsOfParts(): Map<number, number> {
    if (this.partOffsets) return this.partOffsets;
    const offsets = new Map<number, number>();
    const ends = new Map<string, number>();
    const count = new Map<string, number>();
    const debug = this.elf.sections.filter(
      (section) => section.name.startsWith('.debug_') && section.type !== elfConstants.SHT_NOBITS,
    );
    for (const { name } of debug) count.set(name, (count.get(name) ?? 0) + 1);
    for (const section of debug) {
      if (count.get(section.name) === 1) continue;
      const end = ends.get(section.name) ?? 0;
      offsets.set(section.index, end);
      ends.set(section.name, end + this.elf.data(section).length);
    }
    this.partOffsets = offsets;
    return offsets;
  }
}

const EMPTY = Buffer.alloc(0);
const nowhere = (): undefined => undefined;

/** Finds the target of a field by bisection; assemblers write relocations in order, but need not. */
function lookup(fields: number[], targets: number[]): (offset: number) => number | undefined {
  if (fields.some((field, i) => i > 0 && field < (fields[i - 1] ?? 0))) {
    const byField = new Map(fields.map((field, i) => [field, targets[i]]));
    return (offset) => byField.get(offset);
  }
  return (offset) => {
    const i = lowerBound(fields.length, (at) => fields[at]! < offset);
    return fields[i] === offset ? targets[i] : undefined;
  };
}
