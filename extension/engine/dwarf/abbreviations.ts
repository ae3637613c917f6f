// Abbreviations (7.5.3): the shape of entries, and how entries that nobody asks for are passed.
import { afterLeb, sleb, uleb } from '../elf/leb128';
import * as dw from './constants';
import { type Encoding, type Extent, type Reading, readingOf, skipForms, skipOf } from './forms';
import { malformed } from './malformed';

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

/** The table at an offset of .debug_abbrev, laid out for the units of one encoding, by code.
 * @throws HotPatchError `unsupported-object` */
export function readAbbreviations(
  path: string,
  bytes: Buffer,
  offset: number,
  encoding: Encoding,
): Abbreviation[] {
  const table: Abbreviation[] = [];
  let at = offset;
  const uleb = (): number => {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw malformed(path, 'has abbreviations beyond their section');
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
  };
  for (;;) {
    const code = uleb();
    if (code === 0) return table;
    if (code > 0xffffff) throw malformed(path, `has abbreviation code ${code}`);
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
      const reading = readingOf(form, encoding);
      if (reading === undefined) throw malformed(path, `uses form 0x${form.toString(16)}`);
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

/** Position behind an entry's attributes, without reading them. `at` is behind the abbreviation code. */
export function skipAttributes(abbreviation: Abbreviation, unit: Extent, at: number): number {
  return skipForms(abbreviation.skip, unit, at);
}

/** Position behind an entry and all of its children. `at` is behind the abbreviation code. */
export function skipTree(
  abbreviations: Abbreviation[],
  abbreviation: Abbreviation,
  unit: Extent,
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
