// Constants without a symbol of their own: pieces of mergeable sections, and tables whose entries count from their start.
// The comparison and the selection of a patch must agree on where such a constant begins and ends.
import * as abi from './constants';
import type { ElfSymbol, Section } from './file';
import type { ObjectFile } from './object';

/** Entries of a relative lookup table (clang: `reltable.name`, offsets of strings from the table) count from the table's
 * start; those of language-specific exception data, and everything with a named target, from the field itself. */
export function isTableRelative(section: Section, target: ElfSymbol): boolean {
  const unnamed = target.type === abi.STT_SECTION || target.name.startsWith('.L');
  return unnamed && !section.name.startsWith('.gcc_except_table') && section.name !== '.eh_frame';
}

/** Is the section made of pieces that the linker may merge (gABI, SHF_MERGE)? With relocations it is left whole. */
export function isMergeable(object: ObjectFile, section: Section): boolean {
  return (section.flags & abi.SHF_MERGE) !== 0 && object.relocations(section).length === 0;
}

/** What a reference to an offset of a mergeable section means. Code may count from anywhere to a piece's address, also
 * from before its begin or behind its end (`lea .LC0+2`, later `-2(…)`); the symbol says which piece it is, as it does
 * for the linker. References to the section itself lie in their piece. */
export function anchorOf(symbol: ElfSymbol, offset: number): number {
  return symbol.type === abi.STT_SECTION ? offset : symbol.value;
}

/** The whole string or constant of a mergeable section that an offset lies in (gABI, SHF_MERGE and SHF_STRINGS). */
export function mergeablePiece(
  section: Section,
  data: Buffer,
  anchor: number,
): { start: number; end: number } | undefined {
  if (anchor < 0 || anchor >= data.length) return undefined;
  const width = Math.max(section.entrySize, 1);
  const unit = anchor - (anchor % width);
  if (!(section.flags & abi.SHF_STRINGS)) return { start: unit, end: Math.min(unit + width, data.length) };
  const terminates = (at: number): boolean => data.subarray(at, at + width).every((byte) => byte === 0);
  let start = unit;
  while (start >= width && !terminates(start - width)) start -= width;
  for (let end = unit; end + width <= data.length; end += width)
    if (terminates(end)) return { start, end: end + width };
  return undefined;
}
