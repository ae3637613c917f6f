// Makes a patch file from a selection: places the chunks at their final addresses beside the live module, resolves
// every relocation, and writes an ET_DYN that the runtime maps (docs/PROTOCOL.md, section 4).
// Because everything is placed absolutely, references to live `static` data are ordinary link-time constants and only
// library symbols are left to the process's loader. Pure: addresses in, bytes out.
import type { Architecture, RegisterKeeper } from '../arch/architecture';
import * as abi from '../elf/constants';
import type { ObjectFunction } from '../elf/object';
import { FIX_SIZE, GUARD_SIZE, NOTE_SIZE, OBJECT_SIZE } from '../patch_format/note';
import { debugSections } from './debug_info';
import { DynamicTables } from './dynamic';
import { Frames } from './frames';
import { Indirections } from './indirections';
import type { LinkInput } from './input';
import { Relocations } from './relocate';
import type { Chunk } from './select';
import { patchSymbols } from './symbols';
import { RuntimeTables } from './tables';
import { type OutputSection, PAGE, writeElf } from './write_elf';

interface LayoutSection {
  name: string;
  flags: number;
  type: number;
  alignment: number;
  /** Offset from the base, filled in by layOut. */
  offset: number;
  size: number;
  chunks: Chunk[];
  /** Of sections that are not made of chunks. */
  content?: () => Buffer;
}

/** One link: from a layout to the bytes of the file. */
export class Link {
  private readonly chunkOffsets = new Map<Chunk, number>();
  /** What stands before redirected functions. */
  private readonly keepers = new Map<ObjectFunction, RegisterKeeper>();
  private readonly dynamic: DynamicTables;
  private readonly indirections: Indirections;
  private readonly frames: Frames;
  private readonly tables: RuntimeTables;
  private readonly relocations: Relocations;
  private readonly sections: LayoutSection[];
  private readonly arch: Architecture;
  private base = 0;

  constructor(private readonly input: LinkInput) {
    this.arch = input.live.module.arch;
    const addressOf = (section: string): number => this.addressOf(section);
    for (const { fn, preserved } of input.fixes)
      if (preserved !== 0) this.keepers.set(fn, this.arch.registerKeeper(preserved));
    this.indirections = new Indirections(input, addressOf);
    this.frames = new Frames(input, this.keepers, this.indirections, addressOf);
    this.tables = new RuntimeTables(input, this.keepers, this.frames, addressOf);
    this.relocations = new Relocations(input, this.indirections);
    this.dynamic = new DynamicTables(input.imports);
    // So that the sizes of the loader's tables are known before the layout.
    this.indirections.addDynamic(this.dynamic);
    this.sections = this.layOut();
  }

  /** Bytes of address space that the patch takes, from its base. */
  get length(): number {
    const last = this.sections[this.sections.length - 1]!;
    return Math.ceil((last.offset + last.size) / PAGE) * PAGE;
  }

  /**
   * The patch file for a base address (page-aligned).
   * Throws HotPatchError out-of-reach, unsupported-relocation, unsupported-construct.
   */
  write(base: number): Buffer {
    this.base = base;
    for (const section of this.sections)
      for (const chunk of section.chunks)
        chunk.address = base + section.offset + (this.chunkOffsets.get(chunk) ?? 0);
    const output: OutputSection[] = this.sections.map((section) => ({
      name: section.name,
      type: section.type,
      flags: section.flags,
      alignment: section.alignment,
      address: base + section.offset,
      size: section.size,
      content: section.type === abi.SHT_NOBITS ? undefined : this.contentOf(section),
    }));
    return writeElf(
      this.arch,
      base,
      [...output, ...debugSections(this.input.selection)],
      patchSymbols(this.input, this.keepers, (chunk) => this.sectionOf(chunk)),
      this.dynamic.isEmpty ? undefined : base + this.offsetOf('.dynamic'),
    );
  }

  /** Where a function of the patch is, as it was written last, by one of its symbols; undefined when the patch has it not. */
  addressOfFunction(symbol: string): number | undefined {
    const { chunks } = this.input.selection;
    return chunks.find(({ fn }) => fn?.aliases.some(({ name }) => name === symbol))?.address;
  }

  // --- layout ----------------------------------------------------------------------------------------------------

  private layOut(): LayoutSection[] {
    const { selection, fixes, guards, objects } = this.input;
    const of = (kind: Chunk['kind']): Chunk[] => selection.chunks.filter((chunk) => chunk.kind === kind);
    const sections: LayoutSection[] = [];
    const add = (
      name: string,
      flags: number,
      size: number | Chunk[],
      content?: () => Buffer,
      type: number = abi.SHT_PROGBITS,
      alignment = 8,
    ): void => {
      const chunks = typeof size === 'number' ? [] : size;
      let bytes = typeof size === 'number' ? size : 0;
      for (const chunk of chunks) {
        bytes += this.keeperOf(chunk)?.code.length ?? 0;
        bytes = Math.ceil(bytes / chunk.alignment) * chunk.alignment;
        this.chunkOffsets.set(chunk, bytes);
        bytes += chunk.end - chunk.start + this.relocations.islandsOf(chunk).length * this.arch.jumpSize;
        alignment = Math.max(alignment, chunk.alignment);
      }
      if (bytes === 0 && name !== '.text') return;
      // The last function may be short: what fills the gap is part of its entry, should it be redirected in turn.
      if (chunks.some(({ kind }) => kind === 'code')) bytes = Math.ceil(bytes / 16) * 16;
      sections.push({ name, flags, type, alignment, offset: 0, size: bytes, chunks, content });
    };
    const R = abi.SHF_ALLOC;
    add('.note.hot_fix', R, 20 + NOTE_SIZE, () => this.tables.note(), abi.SHT_NOTE, 4);
    for (const table of this.dynamic.tables((name) => this.addressOf(name)))
      add(table.name, R, table.size, table.content, table.type);
    add('.hot_fix.fixes', R, fixes.length * FIX_SIZE, () => this.tables.fixTable());
    add('.hot_fix.guards', R, guards.length * GUARD_SIZE, () => this.tables.guardTable());
    add('.hot_fix.objects', R, objects.length * OBJECT_SIZE, () => this.tables.objectTable());
    add('.hot_fix.names', R, this.tables.nameSize, () => this.tables.nameTable());
    add('.eh_frame', R, this.frames.size, () => this.frames.content());
    add('.rodata', R, of('constant'));
    add('.text', R | abi.SHF_EXECINSTR, of('code'), undefined, abi.SHT_PROGBITS, 16);
    add(
      '.plt',
      R | abi.SHF_EXECINSTR,
      this.indirections.stubSize,
      () => this.indirections.stubBytes(),
      abi.SHT_PROGBITS,
      16,
    );
    add('.got', R | abi.SHF_WRITE, this.indirections.slotSize, () => this.indirections.slotContents());
    add('.data', R | abi.SHF_WRITE, of('data'));
    add('.bss', R | abi.SHF_WRITE, of('zero'), undefined, abi.SHT_NOBITS);
    // The ELF header and the program headers take the front of the first page.
    let offset = 64 + 56 * 8;
    let flags = R;
    for (const section of sections) {
      if (section.flags !== flags) {
        offset = Math.ceil(offset / PAGE) * PAGE;
        flags = section.flags;
      }
      section.offset = Math.ceil(offset / section.alignment) * section.alignment;
      offset = section.offset + section.size;
    }
    return sections;
  }

  private sectionOf(chunk: Chunk): string {
    return this.sections.find((section) => section.chunks.includes(chunk))!.name;
  }

  private offsetOf(name: string): number {
    const section = this.sections.find((candidate) => candidate.name === name);
    if (!section) throw new Error(`the patch has no section ${name}`);
    return section.offset;
  }

  private addressOf(name: string): number {
    return this.base + this.offsetOf(name);
  }

  // --- contents --------------------------------------------------------------------------------------------------

  private contentOf(section: LayoutSection): Buffer {
    if (section.content) return section.content();
    const isCode = (section.flags & abi.SHF_EXECINSTR) !== 0;
    const bytes = isCode ? this.arch.traps(section.size) : Buffer.alloc(section.size);
    for (const chunk of section.chunks) {
      const at = this.chunkOffsets.get(chunk)!;
      chunk.object.elf.data(chunk.section).copy(bytes, at, chunk.start, chunk.end);
      for (const relocation of this.input.selection.referencesOf(chunk))
        this.relocations.apply(bytes, at + relocation.offset - chunk.start, chunk, relocation);
      const keeper = this.keeperOf(chunk);
      keeper?.code.copy(bytes, at - keeper.code.length);
    }
    return bytes;
  }

  private keeperOf(chunk: Chunk): RegisterKeeper | undefined {
    return chunk.fn && this.keepers.get(chunk.fn);
  }
}
