// The debug sections of a patch: those of the units in it, with the addresses of the patch's functions and of the live
// variables, so that debuggers set breakpoints by line in patched code and show its locals (DWARF 5, chapter 7).
// Part of the link. Relocates; interprets no debug information entries. Functions that are not in the patch get
// address 0 or an empty range, which debuggers treat as discarded by the linker.
import * as abi from '../elf/constants';
import type { ElfSymbol, Section } from '../elf/file';
import type { ObjectFile } from '../elf/object';
import { write64 } from '../patch_format/note';
import { emptyAbsentRanges } from '../dwarf/range_lists';
import type { Chunk, Selection } from './select';
import type { OutputSection } from './write_elf';

/** Beyond this the debug information of a save is left out: the process maps it for its debuggers. */
const LARGEST = 32 << 20;

const NAMES = new Set([
  '.debug_info',
  '.debug_types',
  '.debug_abbrev',
  '.debug_line',
  '.debug_str',
  '.debug_line_str',
  '.debug_str_offsets',
  '.debug_addr',
  '.debug_ranges',
  '.debug_rnglists',
  '.debug_loc',
  '.debug_loclists',
]);

/** Sections without an address, to be appended to the file; chunks have their addresses already. */
export function debugSections(selection: Selection): OutputSection[] {
  const objects = [...new Set(selection.chunks.filter(({ fn }) => fn).map(({ object }) => object))];
  const inputs = objects.flatMap((object) =>
    object.elf.sections
      .filter(({ name, type }) => NAMES.has(name) && type !== abi.SHT_NOBITS)
      .map((section) => ({ object, section })),
  );
  if (inputs.reduce((sum, { section }) => sum + section.size, 0) > LARGEST) return [];
  // Where each input section begins in the output section of its name.
  const offsets = new Map<Section, number>();
  const sizes = new Map<string, number>();
  for (const { object, section } of inputs) {
    const offset = sizes.get(section.name) ?? 0;
    offsets.set(section, offset);
    sizes.set(section.name, offset + object.elf.data(section).length);
  }
  const contents = new Map([...sizes].map(([name, size]) => [name, Buffer.allocUnsafe(size)]));
  const pieces = new Map<ObjectFile, Map<string, Buffer>>(objects.map((object) => [object, new Map()]));
  for (const { object, section } of inputs) {
    const data = object.elf.data(section);
    const at = offsets.get(section)!;
    const piece = contents.get(section.name)!.subarray(at, at + data.length);
    data.copy(piece);
    relocate(piece, object, section, offsets, selection);
    pieces.get(object)!.set(section.name, piece);
  }
  for (const piece of pieces.values()) {
    const lists = piece.get('.debug_rnglists');
    if (lists) emptyAbsentRanges(lists, piece.get('.debug_addr'));
  }
  return [...contents].map(([name, content]) => ({
    name,
    type: abi.SHT_PROGBITS,
    flags: 0,
    alignment: 1,
    address: 0,
    size: content.length,
    content,
  }));
}

function relocate(
  bytes: Buffer,
  object: ObjectFile,
  section: Section,
  offsets: ReadonlyMap<Section, number>,
  selection: Selection,
): void {
  // An address of 0 would end a list of ranges before its end (DWARF 4, 2.17.3).
  const absent = section.name === '.debug_ranges' || section.name === '.debug_loc' ? 1 : 0;
  for (const relocation of object.relocations(section)) {
    const symbol = object.symbol(relocation.symbol);
    const target = object.sectionOf(symbol);
    const debug = target && offsets.get(target);
    const value =
      debug !== undefined
        ? debug + symbol.value + relocation.addend
        : (addressOf(selection, object, target, symbol, relocation.addend) ?? absent);
    const { via, width } = selection.live.module.arch.meaning(relocation.type);
    if (via !== 'absolute' && via !== 'module-offset') continue;
    if (width === 8) write64(bytes, relocation.offset, value);
    else bytes.writeUInt32LE(value >>> 0, relocation.offset);
  }
}

function addressOf(
  selection: Selection,
  object: ObjectFile,
  section: Section | undefined,
  symbol: ElfSymbol,
  addend: number,
): number | undefined {
  if (!section) return selection.live.global(symbol.name)?.address;
  const at = symbol.value + addend;
  const chunk = chunkAt(selection, section, at);
  if (chunk) return chunk.address + at - chunk.start;
  if (section.flags & abi.SHF_EXECINSTR) return undefined;
  const place = object.place(section, at);
  const live = place.symbol && selection.unit(object).comparison.variable(place.symbol);
  return live && live.address + at - place.symbol!.value;
}

/** The chunk that a place is in, or ends: the end of a function's code is one past it. */
function chunkAt(selection: Selection, section: Section, at: number): Chunk | undefined {
  return selection.chunksIn(section).find((chunk) => at >= chunk.start && at <= chunk.end);
}
