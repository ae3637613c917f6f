// Constants without a symbol of their own: pieces of mergeable sections, and tables whose entries count from their start.
// The comparison and the selection of a patch must agree on where such a constant begins and ends.
import * as abi from './constants';
import type { ElfSymbol, Section } from './file';

/** Entries of a relative lookup table (clang: `reltable.name`, offsets of strings from the table) count from the table's
 * start; those of language-specific exception data, and everything with a named target, from the field itself. */
export function isTableRelative(section: Section, target: ElfSymbol): boolean {
  const unnamed = target.type === abi.STT_SECTION || target.name.startsWith('.L');
  return unnamed && !section.name.startsWith('.gcc_except_table') && section.name !== '.eh_frame';
}

/** The string or constant of a mergeable section that an offset points into (gABI, SHF_MERGE and SHF_STRINGS). */
export function mergeablePiece(
  section: Section,
  data: Buffer,
  offset: number,
): { start: number; end: number } | undefined {
  if (offset < 0 || offset >= data.length) return undefined;
  const width = Math.max(section.entrySize, 1);
  if (!(section.flags & abi.SHF_STRINGS)) {
    const start = offset - (offset % width);
    return { start, end: Math.min(start + width, data.length) };
  }
  // The tail of a string is a string: what counts is from the offset to the terminator.
  for (let end = offset; end + width <= data.length; end += width)
    if (data.subarray(end, end + width).every((byte) => byte === 0))
      return { start: offset, end: end + width };
  return undefined;
}
