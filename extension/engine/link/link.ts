// Makes a patch file from a selection: places the chunks at their final addresses beside the live module, resolves
// every relocation, and writes an ET_DYN that the runtime maps (docs/PROTOCOL.md, section 4).
// Because everything is placed absolutely, references to live `static` data are ordinary link-time constants and only
// library symbols are left to the process's loader. Pure: addresses in, bytes out.
import type { LiveImage } from '../live/live_image';
import * as abi from '../elf/constants';
import type { Relocation } from '../elf/file';
import { isRelative, type Reference, usesSlot } from '../compare/object_references';
import { LEFT_OUT, type Locate, type ObjectFile, type ObjectFunction } from '../elf/object';
import { HotPatchError } from '../model/errors';
import {
  GUARD_SIZE,
  FIX_SIZE,
  NOTE_SIZE,
  OBJECT_SIZE,
  encodeFix,
  encodeGuard,
  encodeNote,
  encodeObject,
  type Fix,
  type Guard,
  write64,
} from '../patch_format/note';
import { JUMP_SIZE, writeJump } from '../arch/x86_64/instructions';
import { type RegisterKeeper, registerKeeper } from '../arch/x86_64/register_keeper';
import type { ImportResolver } from './imports';
import type { Chunk, Selection, Target } from './select';
import { debugSections } from './debug_info';
import { plainCie, plainFde } from './eh_frame';
import { DynamicTables } from './dynamic';
import { type OutputSection, type OutputSymbol, PAGE, writeElf } from './write_elf';

/** A function to redirect; the linker fills in where its new version is. */
export type PlannedFix = Omit<Fix, 'target' | 'targetSize' | 'body'> & { fn: ObjectFunction };

/** Code that the runtime calls when the patch is loaded, or has called at exit. */
export interface PlannedObject {
  fn: ObjectFunction;
  when: 'start' | 'exit';
  /** Its entry in the process, when the patch has no code of it. */
  live: number | undefined;
  /** What it is for, to be shown when it fails. */
  name: string;
}

export interface LinkInput {
  selection: Selection;
  fixes: readonly PlannedFix[];
  guards: readonly Guard[];
  /** In the order in which they are called. */
  objects: readonly PlannedObject[];
  live: LiveImage;
  modulePath: string;
  buildId: string | undefined;
  imports: ImportResolver;
  locate: Locate;
}

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

const STUB_SIZE = 8;

/** One link: from a layout to the bytes of the file. */
export class Link {
  private readonly stubs = new Map<string, number>();
  private readonly slots = new Map<string, number>();
  private slotBytes = 0;
  private readonly chunkOffsets = new Map<Chunk, number>();
  /** What stands before redirected functions. */
  private readonly keepers = new Map<ObjectFunction, RegisterKeeper>();
  private readonly dynamic: DynamicTables;
  private readonly sections: LayoutSection[];
  private readonly names = new Map<string, number>();
  private nameBytes = 0;
  private base = 0;
  private frames: Buffer = Buffer.alloc(0);
  private readonly keeperFrames: { at: number; fn: ObjectFunction }[] = [];
  private frameFields: { at: number; object: ObjectFile; relocation: Relocation; fn: ObjectFunction }[] = [];

  constructor(private readonly input: LinkInput) {
    this.dynamic = new DynamicTables(input.imports);
    for (const { fn, preserved } of input.fixes)
      if (preserved !== 0) this.keepers.set(fn, registerKeeper(preserved));
    this.collectIndirections();
    this.frames = this.collectFrames();
    for (const text of [
      input.modulePath,
      ...input.fixes.map((fix) => fix.symbol),
      ...input.guards.map((guard) => guard.name),
      ...input.objects.map((object) => object.name),
    ])
      if (!this.names.has(text)) {
        this.names.set(text, this.nameBytes);
        this.nameBytes += Buffer.byteLength(text) + 1;
      }
    this.sections = this.layOut();
  }

  /** Bytes of address space that the patch takes, from its base. */
  get length(): number {
    const last = this.sections[this.sections.length - 1]!;
    return Math.ceil((last.offset + last.size) / PAGE) * PAGE;
  }

  /**
   * The patch file for a base address (page-aligned).
   * Throws HotPatchError out-of-reach, unsupported-relocation.
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
      base,
      [...output, ...debugSections(this.input.selection)],
      this.symbols(),
      this.dynamic.isEmpty ? undefined : base + this.offsetOf('.dynamic'),
    );
  }

  // --- what is needed --------------------------------------------------------------------------------------------

  /** GOT slots and PLT stubs that the chunks' relocations ask for. */
  private collectIndirections(): void {
    for (const chunk of this.input.selection.chunks)
      for (const relocation of this.input.selection.referencesOf(chunk)) {
        const target = this.input.selection.targetOf(chunk, relocation);
        const name = chunk.object.symbol(relocation.symbol).name;
        switch (relocation.type) {
          case abi.R_X86_64_GOTPCREL:
          case abi.R_X86_64_GOTPCRELX:
          case abi.R_X86_64_REX_GOTPCRELX:
          case abi.R_X86_64_GOTTPOFF:
            this.slot(slotKey(relocation.type, target, name), 1);
            break;
          case abi.R_X86_64_TLSGD:
            this.slot(slotKey(relocation.type, target, name), 2);
            break;
          case abi.R_X86_64_TLSLD:
            this.slot('module', 2);
            break;
          default:
            if (target.kind === 'import' && needsStub(relocation.type, target)) this.stub(target.name);
        }
      }
    // The personality routine, where frames name it directly (code that is not position-independent).
    for (const chunk of this.input.selection.chunks) {
      if (!chunk.fn) continue;
      for (const { symbol, offset } of this.input.selection.unwinds.get(chunk.object)?.references(chunk.fn) ??
        []) {
        const target = this.input.selection.target(chunk.object, symbol, offset);
        if (target.kind === 'import' && target.isFunction) this.stub(target.name);
      }
    }
  }

  private slot(key: string, words: number): number {
    const known = this.slots.get(key);
    if (known !== undefined) return known;
    const offset = this.slotBytes;
    this.slotBytes += words * 8;
    this.slots.set(key, offset);
    return offset;
  }
  private stub(name: string): number {
    const known = this.stubs.get(name);
    if (known !== undefined) return known;
    const offset = this.stubs.size * STUB_SIZE;
    this.stubs.set(name, offset);
    this.slot(`import:${name}`, 1);
    return offset;
  }

  private collectFrames(): Buffer {
    const pieces: Buffer[] = [];
    let at = 0;
    const cies = new Map<Buffer, number>();
    const emit = (
      bytes: Buffer,
      relocations: Relocation[],
      object: ObjectFile,
      fn: ObjectFunction,
    ): number => {
      const start = at;
      const copy = Buffer.from(bytes);
      pieces.push(copy);
      at += copy.length;
      for (const relocation of relocations)
        this.frameFields.push({ at: start + relocation.offset, object, relocation, fn });
      return start;
    };
    for (const chunk of this.input.selection.chunks) {
      if (!chunk.fn) continue;
      for (const { cie, fde } of this.input.selection.unwinds.get(chunk.object)?.of(chunk.fn) ?? []) {
        let start = cies.get(cie.bytes);
        if (start === undefined) {
          start = emit(cie.bytes, cie.relocations, chunk.object, chunk.fn);
          cies.set(cie.bytes, start);
        }
        const fdeStart = emit(fde.bytes, fde.relocations, chunk.object, chunk.fn);
        pieces[pieces.length - 1]!.writeUInt32LE(fdeStart + 4 - start, 4);
      }
    }
    if (this.keepers.size > 0) {
      const start = at;
      pieces.push(plainCie());
      at += pieces[pieces.length - 1]!.length;
      for (const [fn, keeper] of this.keepers) {
        const fde = plainFde(at + 4 - start, keeper.code.length, keeper.frame);
        this.keeperFrames.push({ at: at + 8, fn });
        pieces.push(fde);
        at += fde.length;
      }
    }
    if (pieces.length === 0) return Buffer.alloc(0);
    return Buffer.concat([...pieces, Buffer.alloc(4)]);
  }

  // --- layout ----------------------------------------------------------------------------------------------------

  private layOut(): LayoutSection[] {
    const { selection, fixes, guards, objects } = this.input;
    const of = (kind: Chunk['kind']): Chunk[] => selection.chunks.filter((chunk) => chunk.kind === kind);
    this.collectDynamic();
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
        bytes += chunk.end - chunk.start + this.islandsOf(chunk).length * JUMP_SIZE;
        alignment = Math.max(alignment, chunk.alignment);
      }
      if (bytes === 0 && name !== '.text') return;
      // The last function may be short: what fills the gap is part of its entry, should it be redirected in turn.
      if (chunks.some(({ kind }) => kind === 'code')) bytes = Math.ceil(bytes / 16) * 16;
      sections.push({ name, flags, type, alignment, offset: 0, size: bytes, chunks, content });
    };
    const R = abi.SHF_ALLOC;
    add('.note.hot_fix', R, 20 + NOTE_SIZE, () => this.note(), abi.SHT_NOTE, 4);
    for (const table of this.dynamic.tables((name) => this.addressOf(name)))
      add(table.name, R, table.size, table.content, table.type);
    add('.hot_fix.fixes', R, fixes.length * FIX_SIZE, () => this.fixTable());
    add('.hot_fix.guards', R, guards.length * GUARD_SIZE, () => this.guardTable());
    add('.hot_fix.objects', R, objects.length * OBJECT_SIZE, () => this.objectTable());
    add('.hot_fix.names', R, this.nameBytes, () =>
      Buffer.from([...this.names.keys()].map((name) => `${name}\0`).join('')),
    );
    add('.eh_frame', R, this.frames.length, () => this.frameBytes());
    add('.rodata', R, of('constant'));
    add('.text', R | abi.SHF_EXECINSTR, of('code'), undefined, abi.SHT_PROGBITS, 16);
    add(
      '.plt',
      R | abi.SHF_EXECINSTR,
      this.stubs.size * STUB_SIZE,
      () => this.stubBytes(),
      abi.SHT_PROGBITS,
      16,
    );
    add('.got', R | abi.SHF_WRITE, this.slotBytes, () => this.slotContents());
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

  private offsetOf(name: string): number {
    const section = this.sections.find((candidate) => candidate.name === name);
    if (!section) throw new Error(`the patch has no section ${name}`);
    return section.offset;
  }

  private addressOf(name: string): number {
    return this.base + this.offsetOf(name);
  }

  /** Everything the loader has to fill in, so that the tables' sizes are known before the layout. */
  private collectDynamic(): void {
    for (const [key, offset] of this.slots) {
      const [kind, name] = splitKey(key);
      const place = (): number => this.addressOf('.got') + offset;
      if (kind === 'import') this.dynamic.add(place, abi.R_X86_64_GLOB_DAT, name, 0);
      else if (kind === 'import-tpoff') this.dynamic.add(place, abi.R_X86_64_TPOFF64, name, 0);
      else if (kind === 'import-gd') {
        this.dynamic.add(place, abi.R_X86_64_DTPMOD64, name, 0);
        this.dynamic.add(() => place() + 8, abi.R_X86_64_DTPOFF64, name, 0);
      } else if (kind === 'module' || kind === 'gd')
        this.dynamic.add(place, abi.R_X86_64_DTPMOD64, undefined, 0);
    }
    for (const chunk of this.input.selection.chunks)
      for (const relocation of this.input.selection.referencesOf(chunk)) {
        if (relocation.type !== abi.R_X86_64_64) continue;
        const target = this.input.selection.targetOf(chunk, relocation);
        if (target.kind === 'import')
          this.dynamic.add(
            () => chunk.address + relocation.offset - chunk.start,
            abi.R_X86_64_64,
            target.name,
            relocation.addend,
          );
      }
  }

  // --- contents --------------------------------------------------------------------------------------------------

  private contentOf(section: LayoutSection): Buffer {
    if (section.content) return section.content();
    const bytes = Buffer.alloc(section.size, section.flags & abi.SHF_EXECINSTR ? 0xcc : 0);
    for (const chunk of section.chunks) {
      const at = this.chunkOffsets.get(chunk)!;
      chunk.object.elf.data(chunk.section).copy(bytes, at, chunk.start, chunk.end);
      for (const relocation of this.input.selection.referencesOf(chunk))
        this.apply(bytes, at + relocation.offset - chunk.start, chunk, relocation);
      const keeper = this.keeperOf(chunk);
      if (keeper) {
        const start = at - keeper.code.length;
        keeper.code.copy(bytes, start);
        bytes.writeInt32LE(keeper.code.length - keeper.callField - 4, start + keeper.callField);
      }
    }
    return bytes;
  }

  private keeperOf(chunk: Chunk): RegisterKeeper | undefined {
    return chunk.fn && this.keepers.get(chunk.fn);
  }

  /** Short branches to what was near in the object and is not here (a thunk's to its function): each leads to a jump
   * behind its function. */
  private islandsOf(chunk: Chunk): Reference[] {
    return this.input.selection.referencesOf(chunk).filter(({ type }) => type === abi.R_X86_64_PC8);
  }

  private applyShort(bytes: Buffer, at: number, chunk: Chunk, reference: Reference): void {
    const number = this.islandsOf(chunk).indexOf(reference);
    const island = chunk.end + number * JUMP_SIZE;
    const displacement = island - (reference.offset + reference.beyond);
    if (displacement > 0x7f)
      throw new HotPatchError(
        'unsupported-construct',
        `${chunk.fn!.symbol.name} has a short branch to another function that cannot be made longer`,
        {
          ...this.input.locate(chunk.object, chunk.fn!.symbol.name),
          symbol: chunk.fn!.symbol.name,
        },
      );
    bytes.writeInt8(displacement, at);
    const from = at + island - reference.offset;
    writeJump(bytes, from);
    const place = chunk.address + island - chunk.start + JUMP_SIZE;
    const target = this.input.selection.targetOf(chunk, reference);
    this.writeRelative(bytes, from + JUMP_SIZE - 4, this.addressOfTarget(target) - place, chunk, reference);
  }

  private apply(bytes: Buffer, at: number, chunk: Chunk, relocation: Reference): void {
    const { selection } = this.input;
    const place = chunk.address + relocation.offset - chunk.start;
    const name = chunk.object.symbol(relocation.symbol).name;
    const target = selection.targetOf(chunk, relocation);
    // target has the addend and the way to the instruction's end in it: take the latter off for the field.
    const { beyond } = relocation;
    switch (relocation.type) {
      case abi.R_X86_64_NONE:
        return;
      case abi.R_X86_64_64:
        if (target.kind === 'import') return;
        write64(bytes, at, this.addressOfTarget(target));
        return;
      case abi.R_X86_64_32:
      case abi.R_X86_64_32S:
        this.writeAbsolute(bytes, at, this.directAddress(target, relocation.addend), relocation, chunk);
        return;
      case abi.R_X86_64_PC32:
      case abi.R_X86_64_PLT32:
        // An undefined weak function is never called, but the call is there; gABI gives it the value 0.
        if ((target.kind === 'absolute' && target.value === 0) || (target.kind === 'import' && target.weak)) {
          bytes.writeInt32LE(0, at);
          return;
        }
        this.writeRelative(
          bytes,
          at,
          this.directAddress(target, relocation.addend + beyond) - beyond - place,
          chunk,
          relocation,
        );
        return;
      case abi.R_X86_64_PC8:
        this.applyShort(bytes, at, chunk, relocation);
        return;
      case abi.R_X86_64_PC64:
        write64signed(bytes, at, this.addressOfTarget(target) - place);
        return;
      case abi.R_X86_64_GOTPCREL:
      case abi.R_X86_64_GOTPCRELX:
      case abi.R_X86_64_REX_GOTPCRELX:
      case abi.R_X86_64_GOTTPOFF:
      case abi.R_X86_64_TLSGD: {
        const slot = this.slots.get(slotKey(relocation.type, target, name));
        this.writeRelative(
          bytes,
          at,
          this.addressOf('.got') + slot! + relocation.addend - place,
          chunk,
          relocation,
        );
        return;
      }
      case abi.R_X86_64_TLSLD:
        this.writeRelative(
          bytes,
          at,
          this.addressOf('.got') + this.slots.get('module')! + relocation.addend - place,
          chunk,
          relocation,
        );
        return;
      case abi.R_X86_64_DTPOFF32:
        if (target.kind !== 'thread-local') throw this.unsupported(chunk, relocation);
        bytes.writeInt32LE(target.offset, at);
        return;
      case abi.R_X86_64_DTPOFF64:
        if (target.kind !== 'thread-local') throw this.unsupported(chunk, relocation);
        write64signed(bytes, at, target.offset);
        return;
      case abi.R_X86_64_TPOFF32:
        if (target.kind !== 'thread-local') throw this.unsupported(chunk, relocation);
        bytes.writeInt32LE(this.threadOffset(target.offset), at);
        return;
      default:
        throw this.unsupported(chunk, relocation);
    }
  }

  private addressOfTarget(target: Target): number {
    switch (target.kind) {
      case 'live':
        return target.address;
      case 'chunk':
        return target.chunk.address + target.offset;
      case 'absolute':
        return target.value;
      case 'import':
      case 'thread-local':
        throw new Error(`${target.kind} has no address of its own`);
    }
  }

  /** An address that code can hold directly: functions of libraries by their stub.
   * @param offset what of the target's offset belongs to the addressed place (imports have no place of their own) */
  private directAddress(target: Target, offset: number): number {
    if (target.kind !== 'import') return this.addressOfTarget(target);
    if (target.weak) return 0;
    const stub = this.stubs.get(target.name);
    if (stub !== undefined) return this.addressOf('.plt') + stub + offset;
    const address = this.input.imports.find(target.name)?.address;
    if (address === undefined) throw new Error(`${target.name} was given no stub`);
    return address + offset;
  }

  private threadOffset(offset: number): number {
    const { tls } = this.input.live.module;
    if (!tls) throw new Error('a thread-local variable in a module without PT_TLS');
    return offset - Math.ceil(tls.size / tls.alignment) * tls.alignment;
  }

  private writeRelative(bytes: Buffer, at: number, value: number, chunk: Chunk, relocation: Reference): void {
    if (value < -0x8000_0000 || value > 0x7fff_ffff) throw this.outOfReach(chunk, relocation);
    bytes.writeInt32LE(value, at);
  }

  private writeAbsolute(bytes: Buffer, at: number, value: number, relocation: Reference, chunk: Chunk): void {
    const signed = relocation.type === abi.R_X86_64_32S;
    if (value < (signed ? -0x8000_0000 : 0) || value > (signed ? 0x7fff_ffff : 0xffff_ffff))
      throw this.outOfReach(chunk, relocation);
    bytes.writeUInt32LE(value >>> 0, at);
  }

  private outOfReach(chunk: Chunk, relocation: Reference): HotPatchError {
    const symbol = chunk.object.symbol(relocation.symbol);
    const target = this.input.selection.targetOf(chunk, relocation);
    const name = symbol.name || chunk.section.name;
    if (target.kind === 'import')
      return new IndirectAccessNeeded(name, this.input.locate(chunk.object, chunk.fn?.symbol.name ?? name));
    return new HotPatchError('out-of-reach', `${name} is more than 2 GiB away from the patch`, {
      ...this.input.locate(chunk.object, chunk.fn?.symbol.name ?? name),
      symbol: name,
    });
  }

  private unsupported(chunk: Chunk, relocation: Reference): HotPatchError {
    const symbol = chunk.object.symbol(relocation.symbol);
    return new HotPatchError(
      'unsupported-relocation',
      `Relocation type ${relocation.type} against ${symbol.name || chunk.section.name} in ${chunk.section.name}`,
      { ...this.input.locate(chunk.object, chunk.fn?.symbol.name ?? symbol.name), symbol: symbol.name },
    );
  }

  private slotContents(): Buffer {
    const bytes = Buffer.alloc(this.slotBytes);
    const targets = this.slotTargets();
    for (const [key, offset] of this.slots) {
      const [kind] = splitKey(key);
      const target = targets.get(key);
      if (kind === 'address' && target) write64(bytes, offset, this.addressOfTarget(target));
      else if (kind === 'tpoff' && target?.kind === 'thread-local')
        write64signed(bytes, offset, this.threadOffset(target.offset));
      else if (kind === 'gd' && target?.kind === 'thread-local')
        write64signed(bytes, offset + 8, target.offset);
    }
    return bytes;
  }

  private slotTargets(): Map<string, Target> {
    const targets = new Map<string, Target>();
    for (const chunk of this.input.selection.chunks)
      for (const relocation of this.input.selection.referencesOf(chunk)) {
        if (!usesSlot(relocation.type)) continue;
        const target = this.input.selection.targetOf(chunk, relocation);
        targets.set(slotKey(relocation.type, target, chunk.object.symbol(relocation.symbol).name), target);
      }
    return targets;
  }

  private stubBytes(): Buffer {
    const bytes = Buffer.alloc(this.stubs.size * STUB_SIZE, 0xcc);
    for (const [name, offset] of this.stubs) {
      const slot = this.addressOf('.got') + this.slots.get(`import:${name}`)!;
      // jmp *slot(%rip)
      bytes.writeUInt16BE(0xff25, offset);
      bytes.writeInt32LE(slot - (this.addressOf('.plt') + offset + 6), offset + 2);
    }
    return bytes;
  }

  private frameBytes(): Buffer {
    const bytes = Buffer.from(this.frames);
    const start = this.addressOf('.eh_frame');
    for (const { at, object, relocation, fn } of this.frameFields) {
      const symbol = object.symbol(relocation.symbol);
      const section = object.sectionOf(symbol);
      let value: number;
      if (section && section.flags & abi.SHF_EXECINSTR) {
        const code = this.input.selection.codeOf(fn)!;
        value = code.address + symbol.value + relocation.addend - code.start;
      } else
        value = this.directAddress(
          this.input.selection.target(object, symbol, relocation.addend),
          relocation.addend,
        );
      if (isRelative(relocation.type)) bytes.writeInt32LE(value - (start + at), at);
      else if (relocation.type === abi.R_X86_64_64) write64(bytes, at, value);
      else if (relocation.type === abi.R_X86_64_PC64) write64signed(bytes, at, value - (start + at));
      else bytes.writeUInt32LE(value >>> 0, at);
    }
    for (const { at, fn } of this.keeperFrames) {
      const code = this.input.selection.codeOf(fn)!.address - this.keepers.get(fn)!.code.length;
      bytes.writeInt32LE(code - (start + at), at);
    }
    return bytes;
  }

  private nameAddress(name: string): number {
    return this.addressOf('.hot_fix.names') + this.names.get(name)!;
  }

  private note(): Buffer {
    const { fixes, guards, objects, selection } = this.input;
    return encodeNote({
      moduleBias: this.input.live.module.bias,
      modulePath: this.nameAddress(this.input.modulePath),
      buildId: this.input.buildId,
      fixes: fixes.length ? this.addressOf('.hot_fix.fixes') : 0,
      fixCount: fixes.length,
      guards: guards.length ? this.addressOf('.hot_fix.guards') : 0,
      guardCount: guards.length,
      permanent:
        objects.length > 0 ||
        selection.chunks.some((chunk) => chunk.kind !== 'code' || !this.isVersion(chunk)),
      ehFrame: this.frames.length ? this.addressOf('.eh_frame') : 0,
      ehFrameSize: this.frames.length,
      objects: objects.length ? this.addressOf('.hot_fix.objects') : 0,
      objectCount: objects.length,
      dsoHandle: this.input.live.module.global('__dso_handle')?.address ?? 0,
    });
  }

  /** Only reached through an entry that is redirected to it, or from such code: nobody else knows its address. */
  private isVersion(chunk: Chunk): boolean {
    return this.input.fixes.some(
      ({ fn }) => fn === chunk.fn || chunk.fn?.symbol.name.startsWith(`${fn.symbol.name}.cold`),
    );
  }

  private fixTable(): Buffer {
    return Buffer.concat(
      this.input.fixes.map((fix) => {
        const body = this.input.selection.codeOf(fix.fn)!.address;
        const before = this.keepers.get(fix.fn)?.code.length ?? 0;
        return encodeFix(
          { ...fix, target: body - before, targetSize: before + fix.fn.size, body },
          this.nameAddress(fix.symbol),
        );
      }),
    );
  }

  private guardTable(): Buffer {
    return Buffer.concat(this.input.guards.map((guard) => encodeGuard(guard, this.nameAddress(guard.name))));
  }

  private objectTable(): Buffer {
    return Buffer.concat(
      this.input.objects.map(({ fn, when, live, name }) => {
        const code = this.input.selection.codeOf(fn)?.address ?? live;
        if (code === undefined) throw new Error(`${fn.symbol.name} is nowhere to be called`);
        return encodeObject(
          when === 'start'
            ? { construct: code, argument: 0, destroy: 0 }
            : { construct: 0, argument: 0, destroy: code },
          this.nameAddress(name),
        );
      }),
    );
  }

  /** The patch's own functions and variables, locals under a FILE symbol that names their source. */
  private symbols(): OutputSymbol[] {
    const symbols: OutputSymbol[] = [];
    const sectionOf = (chunk: Chunk): string =>
      this.sections.find((section) => section.chunks.includes(chunk))!.name;
    const objects = new Set(this.input.selection.chunks.map((chunk) => chunk.object));
    const globals: OutputSymbol[] = [];
    for (const object of objects) {
      symbols.push({
        name: object.identity,
        value: 0,
        size: 0,
        type: abi.STT_FILE,
        binding: abi.STB_LOCAL,
        section: undefined,
      });
      // Later saves see by it that the debug information is not of the whole unit.
      if (object.isReduced)
        symbols.push({
          name: LEFT_OUT,
          value: 0,
          size: 0,
          type: abi.STT_NOTYPE,
          binding: abi.STB_LOCAL,
          section: undefined,
        });
      for (const chunk of this.input.selection.chunks) {
        if (chunk.object !== object) continue;
        const keeper = this.keeperOf(chunk);
        if (keeper)
          symbols.push({
            name: `${chunk.fn!.symbol.name}.keep`,
            value: chunk.address - keeper.code.length,
            size: keeper.code.length,
            type: abi.STT_FUNC,
            binding: abi.STB_LOCAL,
            section: sectionOf(chunk),
          });
        for (const symbol of object.symbolsIn(chunk.section)) {
          if (symbol.value < chunk.start || symbol.value >= chunk.end || symbol.type === abi.STT_NOTYPE)
            continue;
          const entry = {
            name: symbol.name,
            value: chunk.address + symbol.value - chunk.start,
            size: symbol.size,
            type: symbol.type,
            binding: symbol.binding,
            section: sectionOf(chunk),
          };
          (symbol.binding === abi.STB_LOCAL ? symbols : globals).push(entry);
        }
      }
    }
    return [...symbols, ...globals];
  }
}

/** Code addresses a library's data directly, which only works within 2 GiB: compile the unit so that it goes
 * through the GOT (the pipeline does, once). */
export class IndirectAccessNeeded extends HotPatchError {
  constructor(name: string, place: { file: string; line?: number }) {
    super('out-of-reach', `${name} lies in a library more than 2 GiB away and is addressed directly`, {
      ...place,
      symbol: name,
    });
  }
}

function needsStub(type: number, target: Target & { kind: 'import' }): boolean {
  if (target.weak) return false;
  if (type === abi.R_X86_64_PLT32) return true;
  return (
    target.isFunction && (type === abi.R_X86_64_PC32 || type === abi.R_X86_64_32 || type === abi.R_X86_64_32S)
  );
}

/** Names a GOT slot: what it holds, so that equal ones are shared. */
function slotKey(type: number, target: Target, name: string): string {
  const thread = type === abi.R_X86_64_GOTTPOFF ? 'tpoff' : type === abi.R_X86_64_TLSGD ? 'gd' : undefined;
  switch (target.kind) {
    case 'import':
      return `${thread ? `import-${thread}` : 'import'}:${target.name}`;
    case 'thread-local':
      return `${thread ?? 'gd'}:${target.offset}`;
    case 'live':
      return `address:${target.address}`;
    case 'absolute':
      return `address:${target.value}`;
    case 'chunk':
      return `address:${target.chunk.object.identity}:${target.chunk.section.index}:${target.chunk.start}:${target.offset}:${name}`;
  }
}

function splitKey(key: string): [string, string] {
  const colon = key.indexOf(':');
  return colon < 0 ? [key, ''] : [key.slice(0, colon), key.slice(colon + 1)];
}

function write64signed(bytes: Buffer, offset: number, value: number): void {
  bytes.writeBigInt64LE(BigInt(value), offset);
}
