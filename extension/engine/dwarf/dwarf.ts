// The debug information of one file (DWARF 4 and 5): its units, their entries, and the tables of strings and addresses
// that entries refer to. Must not interpret what an entry says about the program; units.ts and types/ do.
import type { ElfFile } from '../elf/file';
import { number64 } from '../elf/integers';
import { type Abbreviation, readAbbreviations } from './abbreviations';
import * as dw from './constants';
import { Die, textAt } from './die';
import { malformed } from './malformed';
import { DebugSections } from './sections';
import { readUnitHeaders, type UnitHeader } from './unit_headers';
import { lowerBound } from '../shared/search';

/** Debug information of one ELF file (or .dwo file). */
export class Dwarf {
  readonly sections: DebugSections;
  readonly path: string;
  readonly split: boolean;
  /** What this file has in common with others, in a file of its own (DWARF 5, 7.3.6; dwz), when that was found: its units
   * stand behind those of this file. */
  readonly supplement: Dwarf | undefined;
  private readonly suffix: string;
  private readonly tables = new Map<string, Abbreviation[]>();
  private unitList: UnitHeader[] | undefined;
  private recentUnit: UnitHeader | undefined;
  private skeleton: { dwarf: Dwarf; from: UnitHeader } | undefined;
  private bySignature: Map<bigint, UnitHeader> | undefined;
  /** Strings by offset: most names occur many times, and equal ones are then the same object. */
  private readonly strings = { bytes: undefined as Buffer | undefined, known: new Map<number, string>() };
  private readonly lineStrings = { bytes: undefined as Buffer | undefined, known: new Map<number, string>() };

  private constructor(readonly elf: ElfFile) {
    this.sections = new DebugSections(elf);
    this.path = elf.path;
    this.split = !elf.section('.debug_info') && elf.section('.debug_info.dwo') !== undefined;
    this.suffix = this.split ? '.dwo' : '';
    this.supplement = elf.supplement && Dwarf.of(elf.supplement);
  }

  private static readonly make = (elf: ElfFile): Dwarf => new Dwarf(elf);

  /** The debug information of a file; the same object each time it is asked for. */
  static of(elf: ElfFile): Dwarf {
    return elf.derived(Dwarf.make);
  }

  /** Contents of a section by its plain name; of a .dwo file, the split one. */
  bytes(name: string): Buffer {
    return this.sections.bytes(name + this.suffix);
  }

  /** Headers of all units, .debug_info before .debug_types before those of the supplementary file, in file order.
   * Throws HotPatchError `unsupported-object` when they are malformed. */
  get units(): readonly UnitHeader[] {
    if (this.unitList) return this.unitList;
    const units: UnitHeader[] = [];
    const info = this.sections.get(`.debug_info${this.suffix}`);
    if (info) readUnitHeaders(this.path, info, 0, false, units);
    const types = this.sections.get(`.debug_types${this.suffix}`);
    if (types) readUnitHeaders(this.path, types, info?.bytes.length ?? 0, true, units);
    const common = this.supplement?.sections.get('.debug_info');
    if (common) readUnitHeaders(this.supplement!.path, common, this.supplementBase, false, units);
    this.unitList = units;
    return units;
  }

  /** What makes positions in the supplementary file differ from those here. */
  private get supplementBase(): number {
    return this.bytes('.debug_info').length + this.bytes('.debug_types').length;
  }

  /** The debug information that the sections beside a unit are of: the supplementary file's, or this. */
  homeOf(unit: UnitHeader): Dwarf {
    return this.supplement && unit.base >= this.supplementBase ? this.supplement : this;
  }

  addressIn(unit: UnitHeader, offset: number): number {
    return this.homeOf(unit) === this ? offset : unit.base + offset;
  }

  supplementaryString(offset: number): string | undefined {
    return this.supplement?.stringAt(dw.DW_FORM_strp, offset);
  }

  supplementaryAddress(offset: number): number | undefined {
    return this.supplement && this.supplementBase + offset;
  }

  /** The unit that holds the entry at an address. */
  unitAt(address: number): UnitHeader {
    const recent = this.recentUnit;
    if (recent && address >= recent.base + recent.firstDie && address < recent.base + recent.end)
      return recent;
    const units = this.units;
    const unit = units[lowerBound(units.length, (i) => units[i]!.base + units[i]!.end <= address)];
    if (!unit || address < unit.base + unit.firstDie || address >= unit.base + unit.end)
      throw malformed(this.path, `refers to entry 0x${address.toString(16)}, which is in no unit`);
    this.recentUnit = unit;
    return unit;
  }

  /** The type unit with a signature (7.5.1.3); undefined when it is not in this file. */
  typeUnit(signature: bigint): UnitHeader | undefined {
    if (!this.bySignature) {
      this.bySignature = new Map();
      for (const unit of this.units) {
        const typed = unit.base > 0 || unit.type === dw.DW_UT_type || unit.type === dw.DW_UT_split_type;
        if (typed && unit.signature !== undefined) this.bySignature.set(unit.signature, unit);
      }
    }
    return this.bySignature.get(signature);
  }

  /** Reads the entry at an address into `die`, or into a new one. A null entry has tag 0. */
  die(address: number, die?: Die, unit: UnitHeader = this.unitAt(address)): Die {
    const result = die ?? new Die(this);
    result.read(unit, address - unit.base);
    return result;
  }

  /** Abbreviations of a unit (7.5.3), by code. */
  abbreviations(unit: UnitHeader): Abbreviation[] {
    if (unit.abbreviations) return unit.abbreviations;
    const home = this.homeOf(unit);
    if (home !== this) return home.abbreviations(unit);
    // Sizes of some forms depend on the unit's header, so the same table may be laid out more than once.
    const key = `${unit.abbreviationOffset}/${unit.version}/${unit.offsetSize}/${unit.addressSize}`;
    let table = this.tables.get(key);
    if (!table)
      this.tables.set(
        key,
        (table = readAbbreviations(this.path, this.bytes('.debug_abbrev'), unit.abbreviationOffset, unit)),
      );
    unit.abbreviations = table;
    // Indexed strings and addresses anywhere in the unit count from bases that its root entry names (3.1.1).
    const root = new Die(this);
    root.read(unit, unit.firstDie);
    unit.stringOffsetsBase = root.number(dw.DW_AT_str_offsets_base);
    unit.addressBase = root.number(dw.DW_AT_addr_base) ?? root.number(dw.DW_AT_GNU_addr_base);
    return table;
  }

  /** The entry of the unit itself: compile, partial, type or skeleton unit. */
  root(unit: UnitHeader): Die {
    const die = new Die(this);
    die.read(unit, unit.firstDie);
    return die;
  }

  /** A string of .debug_str or .debug_line_str.
   * @param unit that refers to it, when it may be one of the supplementary file */
  stringAt(form: number, offset: number, unit?: UnitHeader): string {
    const home = unit ? this.homeOf(unit) : this;
    if (home !== this) return home.stringAt(form, offset);
    const isLine = form === dw.DW_FORM_line_strp;
    const table = isLine ? this.lineStrings : this.strings;
    const known = table.known.get(offset);
    if (known !== undefined) return known;
    table.bytes ??= isLine ? this.sections.bytes('.debug_line_str') : this.bytes('.debug_str');
    const text = textAt(table.bytes, offset);
    table.known.set(offset, text);
    return text;
  }

  /** A string by index into .debug_str_offsets (7.26). */
  stringByIndex(unit: UnitHeader, index: number): string {
    const offsets = this.bytes('.debug_str_offsets');
    const base =
      unit.stringOffsetsBase ?? (this.split && unit.version >= 5 ? (unit.offsetSize === 8 ? 16 : 8) : 0);
    const at = base + index * unit.offsetSize;
    if (at + unit.offsetSize > offsets.length) return '';
    const offset = unit.offsetSize === 8 ? number64(offsets, at) : offsets.readUInt32LE(at);
    return this.stringAt(dw.DW_FORM_strp, offset);
  }

  /** An address by index into .debug_addr (7.27), with the section it is in when the file is relocatable. */
  addressByIndex(unit: UnitHeader, index: number): { address: number; section?: number } | undefined {
    const { dwarf, from } = this.skeleton ?? { dwarf: this, from: unit };
    const table = dwarf.sections.get('.debug_addr');
    dwarf.abbreviations(from);
    const at = (from.addressBase ?? 0) + index * from.addressSize;
    if (!table || at + from.addressSize > table.bytes.length) return undefined;
    return { address: number64(table.bytes, at), section: table.sectionOf(at) };
  }

  /** Has a .dwo file take its addresses from the file of its skeleton unit. */
  addressesFrom(dwarf: Dwarf, from: UnitHeader): void {
    this.skeleton = { dwarf, from };
  }
}
