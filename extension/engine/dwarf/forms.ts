// How the value of an attribute is encoded (7.5.6): by what it is read, and by what it is passed without being read.
import { afterLeb, uleb } from '../elf/leb128';
import * as dw from './constants';

/** What the size of a form depends on: a unit's version and its sizes of offsets and addresses. */
export interface Encoding {
  readonly version: number;
  readonly offsetSize: 4 | 8;
  readonly addressSize: number;
}

/** The bytes of a unit. */
export interface Extent extends Encoding {
  readonly bytes: Buffer;
  /** Positions in `bytes`. */
  readonly start: number;
  readonly end: number;
}

const SKIP_LEB = -1;
const SKIP_STRING = -2;
const SKIP_BLOCK1 = -3;
const SKIP_BLOCK2 = -4;
const SKIP_BLOCK4 = -5;
const SKIP_BLOCK = -6;
const SKIP_INDIRECT = -7;

/** How a form's value is read: forms of one encoding share one way, told apart by the attribute's form later. */
export const enum Reading {
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
export function readingOf(form: number, unit: Encoding): Reading | undefined {
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
export function skipOf(reading: Reading): number {
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

/** Position behind values that are passed by these codes (`skipOf`). */
export function skipForms(skip: number[], unit: Extent, at: number): number {
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
