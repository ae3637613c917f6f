// One debugging information entry (7.5.2) and its attributes. Says what is written there and nothing about what it means.
import { number64 } from '../elf/integers';
import { afterLeb, sleb, uleb } from '../elf/leb128';
import type { Abbreviation } from './abbreviations';
import * as dw from './constants';
import { Reading, readingOf } from './forms';
import { malformed } from './malformed';
import type { UnitHeader } from './unit_headers';

/** What an entry takes from the file around it. */
export interface Tables {
  readonly path: string;
  abbreviations(unit: UnitHeader): Abbreviation[];
  stringAt(form: number, offset: number, unit: UnitHeader): string;
  /** Address of the entry at an offset of the .debug_info that belongs to a unit. */
  addressIn(unit: UnitHeader, offset: number): number;
  /** Undefined when the supplementary file was not found. */
  supplementaryString(offset: number): string | undefined;
  /** Address of an entry of the supplementary file; undefined when that was not found. */
  supplementaryAddress(offset: number): number | undefined;
  stringByIndex(unit: UnitHeader, index: number): string;
  addressByIndex(unit: UnitHeader, index: number): { address: number; section?: number } | undefined;
  typeUnit(signature: bigint): UnitHeader | undefined;
}

/** One entry. The same object can be filled again and again; what it returned stays valid. */
export class Die {
  unit!: UnitHeader;
  /** Address: unique in the file, above .debug_info's end for entries of .debug_types, and above both for those of a
   * supplementary file. */
  address = 0;
  tag = 0;
  hasChildren = false;
  abbreviation: Abbreviation | undefined;
  /** Position behind the attributes: the first child, or the next entry. */
  next = 0;
  private readonly values: number[] = [];
  private readonly lengths: number[] = [];

  constructor(private readonly dwarf: Tables) {}

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
        return this.dwarf.stringAt(form, value, this.unit);
      case dw.DW_FORM_GNU_strp_alt:
      case dw.DW_FORM_strp_sup:
        return this.dwarf.supplementaryString(value);
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
   * that was not found, or when its type unit is not in this file. */
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
        return this.dwarf.supplementaryAddress(value);
      case dw.DW_FORM_ref_addr:
        return this.dwarf.addressIn(this.unit, value);
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

/** A string that ends with a zero byte. */
export function textAt(bytes: Buffer, offset: number): string {
  if (offset >= bytes.length) return '';
  const end = bytes.indexOf(0, offset);
  return bytes.toString('utf8', offset, end < 0 ? bytes.length : end);
}
