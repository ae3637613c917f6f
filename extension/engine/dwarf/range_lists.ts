// Range lists of DWARF 5 (2.17.3, 7.25) in a patch: the ranges of code that the patch does not have become empty. Left
// as they are they would begin at address 0, and lldb, which keeps one range from the lowest to the highest address of
// a unit with a size of 32 bits (DWARFDebugAranges.h), would no longer find the unit of an address in the patch.
// Changes lengths in place; their encodings stay as long as they were.
import { afterLeb, uleb } from '../elf/leb128';
import * as dw from './constants';

const ADDRESS = 8;
/** Sizes of the headers of .debug_addr and .debug_rnglists, with lengths and offsets of 32 bits (7.27, 7.28). */
const ADDRESSES_HEADER = 8;
const LISTS_HEADER = 12;

/**
 * @param lists one object's .debug_rnglists, relocated
 * @param addresses its .debug_addr, relocated; both have 0 for what is not in the patch
 */
export function emptyAbsentRanges(lists: Buffer, addresses: Buffer | undefined): void {
  const isAbsent = (bytes: Buffer | undefined, at: number): boolean =>
    bytes !== undefined && at + ADDRESS <= bytes.length && bytes.readBigUInt64LE(at) === 0n;
  for (let start = 0; start + LISTS_HEADER <= lists.length;) {
    const end = Math.min(lists.length, start + 4 + lists.readUInt32LE(start));
    let at = start + LISTS_HEADER + 4 * lists.readUInt32LE(start + 8);
    while (at < end) {
      const kind = lists[at++]!;
      if (kind === dw.DW_RLE_startx_length) {
        const index = uleb(lists, at);
        if (isAbsent(addresses, ADDRESSES_HEADER + index * ADDRESS)) clear(lists, afterLeb(lists, at));
      } else if (kind === dw.DW_RLE_start_length && isAbsent(lists, at)) clear(lists, at + ADDRESS);
      at = operandsEnd(lists, kind, at);
    }
    start = end;
  }
}

/** Where the entry whose operands begin at `at` ends. */
function operandsEnd(bytes: Buffer, kind: number, at: number): number {
  switch (kind) {
    case dw.DW_RLE_end_of_list:
      return at;
    case dw.DW_RLE_base_addressx:
      return afterLeb(bytes, at);
    case dw.DW_RLE_startx_endx:
    case dw.DW_RLE_startx_length:
    case dw.DW_RLE_offset_pair:
      return afterLeb(bytes, afterLeb(bytes, at));
    case dw.DW_RLE_base_address:
      return at + ADDRESS;
    case dw.DW_RLE_start_end:
      return at + 2 * ADDRESS;
    case dw.DW_RLE_start_length:
      return afterLeb(bytes, at + ADDRESS);
    default:
      return bytes.length; // of a later version of DWARF: nothing behind it can be told
  }
}

/** Makes it 0, in as many bytes. */
function clear(bytes: Buffer, start: number): void {
  const end = Math.min(afterLeb(bytes, start), bytes.length);
  for (let at = start; at < end; at++) bytes[at]! &= 0x80;
}
