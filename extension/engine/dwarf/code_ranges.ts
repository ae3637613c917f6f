// Which unit of a linked file brought the code at an address. Linkers keep one copy of a function that several units
// have (ELF gABI, "Section Groups": the first one), and GNU ld lets the debug information of every unit whose copy had
// the same size refer to the copy that it kept. Debug information lies in the order in which units were linked, so the
// first unit with code at an address is the one that brought it. Reads root entries and range lists, no other entries.
import * as abi from '../elf/constants';
import type { ElfFile } from '../elf/file';
import { afterLeb, uleb } from '../elf/leb128';
import * as dw from './constants';
import { number64 } from '../elf/integers';
import type { Die } from './die';
import { Dwarf } from './dwarf';
import { reading } from './malformed';
import type { UnitHeader } from './unit_headers';
import { headerOf, readUnits, type Unit } from './units';
import { lowerBound } from '../shared/search';

interface Range {
  start: number;
  /** First address behind it. */
  end: number;
}

interface OwnedRange extends Range {
  /** Position of the unit in the file. */
  order: number;
}

/**
 * The unit that brought the code at a virtual address of a linked file; undefined when no unit says so.
 * @throws HotPatchError `unsupported-object` when the debug information is malformed or compressed in an unknown way.
 */
export function unitWithCode(elf: ElfFile, address: number): Unit | undefined {
  const ranges = elf.derived(ownedRanges);
  const behind = lowerBound(ranges.length, (i) => ranges[i]!.start <= address);
  // Copies begin alike; those of other units do not overlap.
  let first: OwnedRange | undefined;
  for (let i = behind - 1; i >= 0 && ranges[i]!.start === ranges[behind - 1]!.start; i--)
    if (address < ranges[i]!.end && (!first || ranges[i]!.order < first.order)) first = ranges[i];
  return first && readUnits(elf)[first.order];
}

/** Has a unit any code in the file? Linkers leave the debug information of what they left out. */
export function hasCode(elf: ElfFile, unit: Unit): boolean {
  return reading(elf.path, () => presentRanges(elf, unit)).length > 0;
}

/** By ascending start. */
function ownedRanges(elf: ElfFile): OwnedRange[] {
  return reading(elf.path, () =>
    readUnits(elf)
      .flatMap((unit, order) => presentRanges(elf, unit).map((range) => ({ ...range, order })))
      .sort((a, b) => a.start - b.start),
  );
}

/** Those of a unit's ranges that are in the file; the others lie at 0, or nearly so (lld writes 1). */
function presentRanges(elf: ElfFile, unit: Unit): Range[] {
  const code = elf.sections.filter((section) => section.flags & abi.SHF_EXECINSTR);
  const lowest = Math.min(...code.map(({ address }) => address));
  return rangesOf(Dwarf.of(elf), headerOf(elf, unit)).filter(
    ({ start, end }) => start >= lowest && end > start,
  );
}

/** The ranges of a unit's code (3.1.1), as its root entry names them. */
function rangesOf(dwarf: Dwarf, header: UnitHeader): Range[] {
  const root = dwarf.root(header);
  const low = root.addressOf(dw.DW_AT_low_pc)?.address;
  const list = root.number(dw.DW_AT_ranges);
  if (list === undefined) {
    if (low === undefined) return [];
    const high = root.addressOf(dw.DW_AT_high_pc)?.address ?? low + (root.number(dw.DW_AT_high_pc) ?? 0);
    return [{ start: low, end: high }];
  }
  return header.version >= 5
    ? readRangeList(dwarf, header, listOffset(dwarf, root, list), low ?? 0)
    : readOldRanges(dwarf, list, low ?? 0);
}

/** Offset in .debug_rnglists: given, or by index into the table that the root entry names (7.28). */
function listOffset(dwarf: Dwarf, root: Die, value: number): number {
  if (root.form(dw.DW_AT_ranges) !== dw.DW_FORM_rnglistx) return value;
  const base = root.number(dw.DW_AT_rnglists_base) ?? 0;
  const { offsetSize } = root.unit;
  const lists = dwarf.bytes('.debug_rnglists');
  const at = base + value * offsetSize;
  return base + (offsetSize === 8 ? number64(lists, at) : lists.readUInt32LE(at));
}

/** A list of .debug_rnglists (2.17.3). */
function readRangeList(dwarf: Dwarf, header: UnitHeader, offset: number, unitBase: number): Range[] {
  const bytes = dwarf.bytes('.debug_rnglists');
  const ranges: Range[] = [];
  let at = offset;
  let base = unitBase;
  const leb = (): number => {
    const value = uleb(bytes, at);
    at = afterLeb(bytes, at);
    return value;
  };
  const word = (): number => {
    at += 8;
    return number64(bytes, at - 8);
  };
  const indexed = (): number => dwarf.addressByIndex(header, leb())?.address ?? 0;
  const add = (start: number, end: number): void => void ranges.push({ start, end });
  while (at < bytes.length) {
    switch (bytes[at++]) {
      case dw.DW_RLE_base_addressx:
        base = indexed();
        break;
      case dw.DW_RLE_startx_endx:
        add(indexed(), indexed());
        break;
      case dw.DW_RLE_startx_length: {
        const start = indexed();
        add(start, start + leb());
        break;
      }
      case dw.DW_RLE_offset_pair: {
        const start = leb();
        const end = leb();
        // Else it counts from code that is not in the file.
        if (base !== 0) add(base + start, base + end);
        break;
      }
      case dw.DW_RLE_base_address:
        base = word();
        break;
      case dw.DW_RLE_start_end:
        add(word(), word());
        break;
      case dw.DW_RLE_start_length: {
        const start = word();
        add(start, start + leb());
        break;
      }
      default: // the end of the list, or of a later version of DWARF
        return ranges;
    }
  }
  return ranges;
}

/** A list of .debug_ranges (DWARF 4, 2.17.3): pairs that count from a base, ended by a pair of zeros. */
function readOldRanges(dwarf: Dwarf, offset: number, unitBase: number): Range[] {
  const bytes = dwarf.bytes('.debug_ranges');
  const ranges: Range[] = [];
  let base = unitBase;
  for (let at = offset; at + 16 <= bytes.length; at += 16) {
    const isBase = bytes.readBigUInt64LE(at) === 0xffff_ffff_ffff_ffffn;
    const start = number64(bytes, at);
    const end = number64(bytes, at + 8);
    if (isBase) base = end;
    else if (start === 0 && end === 0) break;
    else ranges.push({ start: base + start, end: base + end });
  }
  return ranges;
}
