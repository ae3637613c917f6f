// Reads debugging information entries (DWARF 4 and 5, section 7.5): unit headers, abbreviations, and the
// attributes of single entries. Entries that nobody asks for are skipped by their abbreviation. Must not
// interpret what an entry says about the program; units.ts and compare/ do.
import type { ElfFile } from '../elf/file';
import { afterLeb, sleb, uleb } from '../elf/leb128';
import { HotPatchError } from '../model/errors';
import * as dw from './constants';
import { DebugSections, type DebugSection } from './sections';

/** Shape of all entries with one abbreviation code, laid out for a unit's offset and address sizes. */
export interface Abbreviation {
  tag: number;
  hasChildren: boolean;
  attributes: number[];
  forms: number[];
  /** Values of DW_FORM_implicit_const, by attribute position. */
  constants: number[];
  readings: Reading[];
  /** How to pass the attributes without reading them: byte counts (>= 0) and SKIP_… codes. */
  skip: number[];
  /** Position of DW_AT_sibling, or -1, and how to pass what is before it. */
  sibling: number;
  skipToSibling: number[];
  /** An attribute refers to a type unit by its signature. */
  hasSignature: boolean;
}

const SKIP_LEB = -1;
const SKIP_STRING = -2;
const SKIP_BLOCK1 = -3;
const SKIP_BLOCK2 = -4;
const SKIP_BLOCK4 = -5;
const SKIP_BLOCK = -6;
const SKIP_INDIRECT = -7;

/** Header of a unit (7.5.1). Positions are offsets in `bytes`; addresses of entries are position + `base`. */
export interface UnitHeader {
  readonly index: number;
  readonly section: DebugSection;
  readonly bytes: Buffer;
  /** What makes positions in .debug_types differ from those in .debug_info. */
  readonly base: number;
  readonly start: number;
  readonly firstDie: number;
  readonly end: number;
  readonly version: number;
  readonly type: number;
  readonly offsetSize: 4 | 8;
  readonly addressSize: number;
  readonly abbreviationOffset: number;
  /** Type units: signature, and address of the type's entry. */
  readonly signature?: bigint;
  readonly typeAddress?: number;
  /** Skeleton and split units of DWARF 5. */
  readonly dwoId?: bigint;
  abbreviations?: Abbreviation[];
  stringOffsetsBase?: number;
  addressBase?: number;
}

const malformed = (path: string, what: string): HotPatchError =>
  new HotPatchError('unsupported-object', `${path}: its debug information ${what}`);

/** Runs a reader of malformed input: a read beyond the end of a section becomes an error with a code.
 * @throws HotPatchError `unsupported-object` */
export function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw malformed(path, 'ends in the middle of an entry');
    throw error;
  }
}

/** Little-endian 64-bit value as a number. Exact below 2^53; what is above is never an offset or a size. */
export function number64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
}

/** Debug information of one ELF file (or .dwo file). */
export class Dwarf {
  readonly sections: DebugSections;
  readonly path: string;
  readonly split: boolean;
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
  }

  private static readonly known = new WeakMap<ElfFile, Dwarf>();

  /** The debug information of a file; the same object each time it is asked for. */
  static of(elf: ElfFile): Dwarf {
    let dwarf = this.known.get(elf);
    if (!dwarf) this.known.set(elf, (dwarf = new Dwarf(elf)));
    return dwarf;
  }

  /** Contents of a section by its plain name; of a .dwo file, the split one. */
  bytes(name: string): Buffer {
    return this.sections.bytes(name + this.suffix);
  }

  /** Headers of all units, .debug_info before .debug_types, in file order.
   * Throws HotPatchError `unsupported-object` when they are malformed. */
  get units(): readonly UnitHeader[] {
    if (this.unitList) return this.unitList;
    const units: UnitHeader[] = [];
    const info = this.sections.get(`.debug_info${this.suffix}`);
    if (info) this.readHeaders(info, 0, false, units);
    const types = this.sections.get(`.debug_types${this.suffix}`);
    if (types) this.readHeaders(types, info?.bytes.length ?? 0, true, units);
    this.unitList = units;
    return units;
  }

  /** The unit that holds the entry at an address. */
  unitAt(address: number): UnitHeader {
    const recent = this.recentUnit;
    if (recent && address >= recent.base + recent.firstDie && address < recent.base + recent.end)
      return recent;
    const units = this.units;
    let low = 0;
    let high = units.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const unit = units[middle];
      if (unit && unit.base + unit.end <= address) low = middle + 1;
      else high = middle;
    }
    const unit = units[low];
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
    // Sizes of some forms depend on the unit's header, so the same table may be laid out more than once.
    const key = `${unit.abbreviationOffset}/${unit.version}/${unit.offsetSize}/${unit.addressSize}`;
    let table = this.tables.get(key);
    if (!table) this.tables.set(key, (table = this.readAbbreviations(unit)));
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

  /** A string of .debug_str or .debug_line_str. */
  stringAt(form: number, offset: number): string {
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

  private readHeaders(section: DebugSection, base: number, types: boolean, units: UnitHeader[]): void {
    const { bytes } = section;
    let at = 0;
    while (at + 11 <= bytes.length) {
      const start = at;
      let length = bytes.readUInt32LE(at);
      let offsetSize: 4 | 8 = 4;
      at += 4;
      if (length === 0xffffffff) {
        length = number64(bytes, at);
        offsetSize = 8;
        at += 8;
      }
      const end = at + length;
      // Linkers pad with zeros between units.
      if (length === 0) continue;
      if (end > bytes.length) throw malformed(this.path, `has a unit beyond the end of its section`);
      const version = bytes.readUInt16LE(at);
      at += 2;
      const offset = (): number => {
        const value = offsetSize === 8 ? number64(bytes, at) : bytes.readUInt32LE(at);
        at += offsetSize;
        return value;
      };
      let type = types ? dw.DW_UT_type : dw.DW_UT_compile;
      let addressSize: number;
      let abbreviationOffset: number;
      let signature: bigint | undefined;
      let typeAddress: number | undefined;
      let dwoId: bigint | undefined;
      if (version >= 2 && version <= 4) {
        abbreviationOffset = offset();
        addressSize = bytes.readUInt8(at++);
      } else if (version === 5) {
        type = bytes.readUInt8(at++);
        addressSize = bytes.readUInt8(at++);
        abbreviationOffset = offset();
        if (type === dw.DW_UT_skeleton || type === dw.DW_UT_split_compile) {
          dwoId = bytes.readBigUInt64LE(at);
          at += 8;
        }
      } else throw malformed(this.path, `is of DWARF version ${version}, which is not supported`);
      if (type === dw.DW_UT_type || type === dw.DW_UT_split_type) {
        signature = bytes.readBigUInt64LE(at);
        at += 8;
        typeAddress = base + start + offset();
      }
      units.push({
        index: units.length,
        section,
        bytes,
        base,
        start,
        firstDie: at,
        end,
        version,
        type,
        offsetSize,
        addressSize,
        abbreviationOffset,
        signature,
        typeAddress,
        dwoId,
      });
      at = end;
    }
  }

  private readAbbreviations(unit: UnitHeader): Abbreviation[] {
    const bytes = this.bytes('.debug_abbrev');
    const table: Abbreviation[] = [];
    let at = unit.abbreviationOffset;
    const uleb = (): number => {
      let value = 0;
      let factor = 1;
      for (;;) {
        const byte = bytes[at++];
        if (byte === undefined) throw malformed(this.path, 'has abbreviations beyond their section');
        value += (byte & 0x7f) * factor;
        if (byte < 0x80) return value;
        factor *= 128;
      }
    };
    for (;;) {
      const code = uleb();
      if (code === 0) return table;
      if (code > 0xffffff) throw malformed(this.path, `has abbreviation code ${code}`);
      const abbreviation: Abbreviation = {
        tag: uleb(),
        hasChildren: bytes[at++] === 1,
        attributes: [],
        forms: [],
        constants: [],
        readings: [],
        skip: [],
        sibling: -1,
        skipToSibling: [],
        hasSignature: false,
      };
      for (;;) {
        const attribute = uleb();
        const form = uleb();
        let constant = 0;
        if (form === dw.DW_FORM_implicit_const) {
          const start = at;
          uleb();
          constant = sleb(bytes, start);
        }
        if (attribute === 0 && form === 0) break;
        if (attribute === dw.DW_AT_sibling) {
          abbreviation.sibling = abbreviation.attributes.length;
          abbreviation.skipToSibling = [...abbreviation.skip];
        }
        if (form === dw.DW_FORM_ref_sig8) abbreviation.hasSignature = true;
        abbreviation.attributes.push(attribute);
        abbreviation.forms.push(form);
        abbreviation.constants.push(constant);
        const reading = readingOf(form, unit);
        if (reading === undefined) throw malformed(this.path, `uses form 0x${form.toString(16)}`);
        abbreviation.readings.push(reading);
        const size = skipOf(reading);
        const previous = abbreviation.skip.at(-1);
        if (size >= 0 && previous !== undefined && previous >= 0)
          abbreviation.skip[abbreviation.skip.length - 1] = previous + size;
        else if (size !== 0) abbreviation.skip.push(size);
      }
      table[code] = abbreviation;
    }
  }
}

/** One entry. The same object can be filled again and again; what it returned stays valid. */
export class Die {
  unit!: UnitHeader;
  /** Address: unique in the file, above .debug_info's end for entries of .debug_types. */
  address = 0;
  tag = 0;
  hasChildren = false;
  abbreviation: Abbreviation | undefined;
  /** Position behind the attributes: the first child, or the next entry. */
  next = 0;
  private readonly values: number[] = [];
  private readonly lengths: number[] = [];

  constructor(readonly dwarf: Dwarf) {}

  /** Fills this from the entry at a position of the unit's bytes. */
  read(unit: UnitHeader, position: number): void {
    const { bytes } = unit;
    this.unit = unit;
    this.address = position + unit.base;
    let at = position;
    let code = bytes[at++] ?? 0;
    if (code >= 0x80) {
      at = position;
      code = uleb(bytes, at);
      at = afterLeb(bytes, at);
    }
    if (code === 0) {
      this.tag = 0;
      this.hasChildren = false;
      this.abbreviation = undefined;
      this.next = at;
      return;
    }
    const abbreviation = this.dwarf.abbreviations(unit)[code];
    if (!abbreviation) throw malformed(this.dwarf.path, `uses abbreviation ${code}, which does not exist`);
    this.abbreviation = abbreviation;
    this.tag = abbreviation.tag;
    this.hasChildren = abbreviation.hasChildren;
    const { readings } = abbreviation;
    for (let i = 0; i < readings.length; i++) at = this.readValue(i, readings[i] as Reading, at);
    this.next = at;
  }

  has(attribute: number): boolean {
    return this.abbreviation !== undefined && this.abbreviation.attributes.includes(attribute);
  }

  /** Form of an attribute, 0 when the entry does not have it. */
  form(attribute: number): number {
    const index = this.abbreviation?.attributes.indexOf(attribute) ?? -1;
    return index < 0 ? 0 : (this.abbreviation?.forms[index] ?? 0);
  }

  /** Value of a constant, flag, section offset or reference (as address); undefined when not present. */
  number(attribute: number): number | undefined {
    const index = this.abbreviation?.attributes.indexOf(attribute) ?? -1;
    if (index < 0) return undefined;
    return this.values[index];
  }

  flag(attribute: number): boolean {
    return (this.number(attribute) ?? 0) !== 0;
  }

  /** Content of a block or expression; undefined when the attribute is absent or of another class. */
  block(attribute: number): Buffer | undefined {
    const index = this.abbreviation?.attributes.indexOf(attribute) ?? -1;
    const length = index < 0 ? -1 : (this.lengths[index] ?? -1);
    if (length < 0) return undefined;
    const start = this.values[index] as number;
    return this.unit.bytes.subarray(start, start + length);
  }

  string(attribute: number): string | undefined {
    const index = this.abbreviation?.attributes.indexOf(attribute) ?? -1;
    if (index < 0) return undefined;
    const value = this.values[index] as number;
    const form = this.abbreviation?.forms[index] ?? 0;
    switch (form) {
      case dw.DW_FORM_string:
        return textAt(this.unit.bytes, value);
      case dw.DW_FORM_strp:
      case dw.DW_FORM_line_strp:
        return this.dwarf.stringAt(form, value);
      case dw.DW_FORM_strx:
      case dw.DW_FORM_strx1:
      case dw.DW_FORM_strx2:
      case dw.DW_FORM_strx3:
      case dw.DW_FORM_strx4:
      case dw.DW_FORM_GNU_str_index:
        return this.dwarf.stringByIndex(this.unit, value);
      default:
        return undefined;
    }
  }

  /** Address of the entry an attribute refers to. Undefined when absent, when it is in a supplementary file
   * (DW_FORM_GNU_ref_alt), or when its type unit is not in this file. */
  reference(attribute: number): number | undefined {
    const index = this.abbreviation?.attributes.indexOf(attribute) ?? -1;
    if (index < 0) return undefined;
    const value = this.values[index] as number;
    switch (this.abbreviation?.forms[index]) {
      case dw.DW_FORM_ref_sig8:
        return this.dwarf.typeUnit(this.unit.bytes.readBigUInt64LE(value))?.typeAddress;
      case dw.DW_FORM_GNU_ref_alt:
      case dw.DW_FORM_ref_sup4:
      case dw.DW_FORM_ref_sup8:
        return undefined;
      default:
        return value;
    }
  }

  /** Signatures of the type units that this entry refers to. */
  signatures(): bigint[] {
    const { forms } = this.abbreviation ?? { forms: [] };
    return forms.flatMap((form, i) =>
      form === dw.DW_FORM_ref_sig8 ? [this.unit.bytes.readBigUInt64LE(this.values[i])] : [],
    );
  }

  /** Value of an attribute of class address: resolved by index if need be, with its section in a relocatable file. */
  addressOf(attribute: number): { address: number; section?: number } | undefined {
    const index = this.abbreviation?.attributes.indexOf(attribute) ?? -1;
    if (index < 0) return undefined;
    const value = this.values[index] as number;
    switch (this.abbreviation?.forms[index]) {
      case dw.DW_FORM_addr:
        return { address: number64(this.unit.bytes, value), section: this.unit.section.sectionOf(value) };
      case dw.DW_FORM_addrx:
      case dw.DW_FORM_addrx1:
      case dw.DW_FORM_addrx2:
      case dw.DW_FORM_addrx3:
      case dw.DW_FORM_addrx4:
      case dw.DW_FORM_GNU_addr_index:
        return this.dwarf.addressByIndex(this.unit, value);
      default:
        return undefined;
    }
  }

  /** Reads one attribute value and returns the position behind it. Blocks, addresses, inline strings and
   * signatures are kept as positions. */
  private readValue(i: number, reading: Reading, at: number): number {
    const { unit, values } = this;
    const { bytes } = unit;
    this.lengths[i] = -1;
    switch (reading) {
      case Reading.byte:
        values[i] = bytes[at] as number;
        return at + 1;
      case Reading.half:
        values[i] = bytes.readUInt16LE(at);
        return at + 2;
      case Reading.three:
        values[i] = bytes.readUIntLE(at, 3);
        return at + 3;
      case Reading.word:
        values[i] = bytes.readUInt32LE(at);
        return at + 4;
      case Reading.long:
        values[i] = number64(bytes, at);
        return at + 8;
      case Reading.unsigned:
        values[i] = uleb(bytes, at);
        return afterLeb(bytes, at);
      case Reading.signed:
        values[i] = sleb(bytes, at);
        return afterLeb(bytes, at);
      case Reading.present:
        values[i] = 1;
        return at;
      case Reading.constant:
        values[i] = this.abbreviation?.constants[i] ?? 0;
        return at;
      case Reading.byteReference:
        values[i] = unit.base + unit.start + (bytes[at] as number);
        return at + 1;
      case Reading.halfReference:
        values[i] = unit.base + unit.start + bytes.readUInt16LE(at);
        return at + 2;
      case Reading.wordReference:
        values[i] = unit.base + unit.start + bytes.readUInt32LE(at);
        return at + 4;
      case Reading.longReference:
        values[i] = unit.base + unit.start + number64(bytes, at);
        return at + 8;
      case Reading.unsignedReference:
        values[i] = unit.base + unit.start + uleb(bytes, at);
        return afterLeb(bytes, at);
      case Reading.position:
        values[i] = at;
        return at + 8;
      case Reading.wordPosition:
        values[i] = at;
        return at + 4;
      case Reading.block16:
        values[i] = at;
        this.lengths[i] = 16;
        return at + 16;
      case Reading.text: {
        values[i] = at;
        const end = bytes.indexOf(0, at);
        return end < 0 ? bytes.length : end + 1;
      }
      case Reading.byteBlock:
        return this.keepBlock(i, at + 1, bytes.readUInt8(at));
      case Reading.halfBlock:
        return this.keepBlock(i, at + 2, bytes.readUInt16LE(at));
      case Reading.wordBlock:
        return this.keepBlock(i, at + 4, bytes.readUInt32LE(at));
      case Reading.block:
        return this.keepBlock(i, afterLeb(bytes, at), uleb(bytes, at));
      case Reading.indirect: {
        const form = uleb(bytes, at);
        const inner = readingOf(form, unit);
        if (inner === undefined) throw malformed(this.dwarf.path, `uses form 0x${form.toString(16)}`);
        return this.readValue(i, inner, afterLeb(bytes, at));
      }
    }
  }

  private keepBlock(i: number, start: number, length: number): number {
    this.values[i] = start;
    this.lengths[i] = length;
    return start + length;
  }
}

/** How a form's value is read: forms of one encoding share one way, told apart by the attribute's form later. */
const enum Reading {
  byte,
  half,
  three,
  word,
  long,
  unsigned,
  signed,
  present,
  constant,
  byteReference,
  halfReference,
  wordReference,
  longReference,
  unsignedReference,
  position,
  wordPosition,
  block16,
  text,
  byteBlock,
  halfBlock,
  wordBlock,
  block,
  indirect,
}

/** Undefined for a form that is in no standard. Sizes of offsets and addresses are the unit's (7.5.6). */
function readingOf(form: number, unit: UnitHeader): Reading | undefined {
  switch (form) {
    case dw.DW_FORM_flag_present:
      return Reading.present;
    case dw.DW_FORM_implicit_const:
      return Reading.constant;
    case dw.DW_FORM_data1:
    case dw.DW_FORM_flag:
    case dw.DW_FORM_strx1:
    case dw.DW_FORM_addrx1:
      return Reading.byte;
    case dw.DW_FORM_data2:
    case dw.DW_FORM_strx2:
    case dw.DW_FORM_addrx2:
      return Reading.half;
    case dw.DW_FORM_strx3:
    case dw.DW_FORM_addrx3:
      return Reading.three;
    case dw.DW_FORM_data4:
    case dw.DW_FORM_strx4:
    case dw.DW_FORM_addrx4:
    case dw.DW_FORM_ref_sup4:
      return Reading.word;
    case dw.DW_FORM_data8:
    case dw.DW_FORM_ref_sup8:
      return Reading.long;
    case dw.DW_FORM_data16:
      return Reading.block16;
    case dw.DW_FORM_addr:
      return unit.addressSize === 4 ? Reading.wordPosition : Reading.position;
    case dw.DW_FORM_ref_sig8:
      return Reading.position;
    case dw.DW_FORM_ref_addr:
      // DWARF 2 gave it the size of an address, all later versions that of an offset.
      return (unit.version === 2 ? unit.addressSize : unit.offsetSize) === 8 ? Reading.long : Reading.word;
    case dw.DW_FORM_strp:
    case dw.DW_FORM_line_strp:
    case dw.DW_FORM_sec_offset:
    case dw.DW_FORM_strp_sup:
    case dw.DW_FORM_GNU_ref_alt:
    case dw.DW_FORM_GNU_strp_alt:
      return unit.offsetSize === 8 ? Reading.long : Reading.word;
    case dw.DW_FORM_sdata:
      return Reading.signed;
    case dw.DW_FORM_udata:
    case dw.DW_FORM_strx:
    case dw.DW_FORM_addrx:
    case dw.DW_FORM_loclistx:
    case dw.DW_FORM_rnglistx:
    case dw.DW_FORM_GNU_addr_index:
    case dw.DW_FORM_GNU_str_index:
      return Reading.unsigned;
    case dw.DW_FORM_ref1:
      return Reading.byteReference;
    case dw.DW_FORM_ref2:
      return Reading.halfReference;
    case dw.DW_FORM_ref4:
      return Reading.wordReference;
    case dw.DW_FORM_ref8:
      return Reading.longReference;
    case dw.DW_FORM_ref_udata:
      return Reading.unsignedReference;
    case dw.DW_FORM_string:
      return Reading.text;
    case dw.DW_FORM_block1:
      return Reading.byteBlock;
    case dw.DW_FORM_block2:
      return Reading.halfBlock;
    case dw.DW_FORM_block4:
      return Reading.wordBlock;
    case dw.DW_FORM_block:
    case dw.DW_FORM_exprloc:
      return Reading.block;
    case dw.DW_FORM_indirect:
      return Reading.indirect;
    default:
      return undefined;
  }
}

/** Byte count, or SKIP_… code, by which a value is passed. */
function skipOf(reading: Reading): number {
  switch (reading) {
    case Reading.present:
    case Reading.constant:
      return 0;
    case Reading.byte:
    case Reading.byteReference:
      return 1;
    case Reading.half:
    case Reading.halfReference:
      return 2;
    case Reading.three:
      return 3;
    case Reading.word:
    case Reading.wordReference:
    case Reading.wordPosition:
      return 4;
    case Reading.long:
    case Reading.longReference:
    case Reading.position:
      return 8;
    case Reading.block16:
      return 16;
    case Reading.unsigned:
    case Reading.signed:
    case Reading.unsignedReference:
      return SKIP_LEB;
    case Reading.text:
      return SKIP_STRING;
    case Reading.byteBlock:
      return SKIP_BLOCK1;
    case Reading.halfBlock:
      return SKIP_BLOCK2;
    case Reading.wordBlock:
      return SKIP_BLOCK4;
    case Reading.block:
      return SKIP_BLOCK;
    case Reading.indirect:
      return SKIP_INDIRECT;
  }
}

/** Position behind an entry's attributes, without reading them. `at` is behind the abbreviation code. */
export function skipAttributes(abbreviation: Abbreviation, unit: UnitHeader, at: number): number {
  return skipForms(abbreviation.skip, unit, at);
}

function skipForms(skip: number[], unit: UnitHeader, at: number): number {
  const { bytes } = unit;
  for (let i = 0; i < skip.length; i++) {
    const size = skip[i] as number;
    if (size >= 0) at += size;
    else if (size === SKIP_LEB) while ((bytes[at++] as number) >= 0x80);
    else if (size === SKIP_BLOCK) at = afterLeb(bytes, at) + uleb(bytes, at);
    else if (size === SKIP_STRING) {
      const end = bytes.indexOf(0, at);
      at = end < 0 ? bytes.length : end + 1;
    } else if (size === SKIP_BLOCK1) at += 1 + bytes.readUInt8(at);
    else if (size === SKIP_BLOCK2) at += 2 + bytes.readUInt16LE(at);
    else if (size === SKIP_BLOCK4) at += 4 + bytes.readUInt32LE(at);
    else {
      const inner = readingOf(uleb(bytes, at), unit);
      if (inner === undefined) return bytes.length;
      at = skipForms([skipOf(inner)], unit, afterLeb(bytes, at));
    }
  }
  return at;
}

/** Position behind an entry and all of its children. `at` is behind the abbreviation code. */
export function skipTree(
  abbreviations: Abbreviation[],
  abbreviation: Abbreviation,
  unit: UnitHeader,
  at: number,
): number {
  if (!abbreviation.hasChildren) return skipAttributes(abbreviation, unit, at);
  if (abbreviation.sibling >= 0) {
    const form = abbreviation.forms[abbreviation.sibling];
    const field = skipForms(abbreviation.skipToSibling, unit, at);
    let next = 0;
    if (form === dw.DW_FORM_ref4) next = unit.start + unit.bytes.readUInt32LE(field);
    else if (form === dw.DW_FORM_ref2) next = unit.start + unit.bytes.readUInt16LE(field);
    else if (form === dw.DW_FORM_ref1) next = unit.start + unit.bytes.readUInt8(field);
    // Malformed information must not lead back, and so round and round.
    if (next > field) return next;
  }
  const { bytes } = unit;
  at = skipAttributes(abbreviation, unit, at);
  for (let depth = 1; depth > 0 && at < unit.end;) {
    const code = uleb(bytes, at);
    at = afterLeb(bytes, at);
    const child = code === 0 ? undefined : abbreviations[code];
    if (!child) depth--;
    else if (child.hasChildren && child.sibling >= 0) at = skipTree(abbreviations, child, unit, at);
    else {
      at = skipAttributes(child, unit, at);
      if (child.hasChildren) depth++;
    }
  }
  return at;
}

function textAt(bytes: Buffer, offset: number): string {
  if (offset >= bytes.length) return '';
  const end = bytes.indexOf(0, offset);
  return bytes.toString('utf8', offset, end < 0 ? bytes.length : end);
}
