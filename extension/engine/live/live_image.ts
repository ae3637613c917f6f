// The live side of the comparison: the module as the linker made it and the patches that came since, addressed
// as in the process. Answers what lies at an address: bytes, symbols, imports behind PLT stubs and GOT slots.
// Reads files only (code is not modified but at redirected entries, whose original bytes are the file's);
// decides nothing.
import type { Architecture, DynamicKind } from '../arch/architecture';
import { architectureOf } from '../arch/choose';
import * as abi from '../elf/constants';
import type { ElfFile, ElfSymbol, Section } from '../elf/file';
import { number64, signed64 } from '../elf/integers';
import { packedRelocations } from '../elf/packed_relocations';
import { type ImportedSymbol, readImports } from '../elf/symbol_versions';
import { readFixes, type WrittenFix } from '../patch_format/note';
import { HotPatchError } from '../model/errors';
import { lowerBound } from '../shared/search';

export interface LiveSymbol {
  name: string;
  /** Address in the process; for TLS symbols the offset in the module's TLS image. */
  address: number;
  size: number;
  type: number;
  binding: number;
  image: Image;
  /** Index of the FILE group (ELF gABI: local symbols follow their STT_FILE symbol); -1 for globals. */
  group: number;
  sectionIndex: number;
}

/** Local symbols of one object file that was linked in. */
export interface FileGroup {
  name: string;
  symbols: LiveSymbol[];
}

/** What the dynamic loader writes at a place. */
export interface DynamicRelocation {
  kind: DynamicKind;
  name: string;
  addend: number;
}

/** What a stub leads to that GNU ld made for an undefined weak function in a static executable. */
export const NOBODY = '';

/** One linked file in the process: the module (image 0) or a patch. */
export class Image {
  readonly symbols: LiveSymbol[] = [];
  readonly groups: FileGroup[] = [];
  readonly arch: Architecture;
  readonly start: number;
  readonly end: number;
  /** PT_TLS of the module: size and alignment decide local-exec offsets (psABI, "Thread-Local Storage"). */
  readonly tls: { size: number; alignment: number } | undefined;
  /** Of a patch: the entries that it redirects, and what to. */
  readonly fixes: readonly WrittenFix[];
  private readonly names = new Map<string, LiveSymbol[]>();
  private sorted: LiveSymbol[] | undefined;
  private dynamic: Map<number, DynamicRelocation> | undefined;
  private dynamicNames: Set<string> | undefined;
  private importTable: Map<string, ImportedSymbol> | undefined;
  private readonly stubs = new Map<number, string | undefined>();
  private readonly chunks = new Map<number, Buffer>();
  private readonly executable: Section[];
  private leavesZeros: boolean | undefined;

  /**
   * @param bias load bias: address in the process − address in the file
   * @param patch id of the patch, or undefined for the module
   */
  constructor(
    readonly elf: ElfFile,
    readonly bias: number,
    readonly path: string,
    readonly patch?: number,
  ) {
    this.arch = architectureOf(elf);
    const loads = elf.segments.filter((segment) => segment.type === abi.PT_LOAD);
    this.start = bias + Math.min(...loads.map((segment) => segment.address));
    this.end = bias + Math.max(...loads.map((segment) => segment.address + segment.memorySize));
    const tls = elf.segments.find((segment) => segment.type === abi.PT_TLS);
    this.tls = tls && { size: tls.memorySize, alignment: Math.max(tls.alignment, 1) };
    this.executable = elf.sections.filter((section) => section.flags & abi.SHF_EXECINSTR);
    this.fixes = patch === undefined ? [] : readFixes(elf);
    this.readSymbols(elf.symbols());
  }

  named(name: string): readonly LiveSymbol[] {
    return this.names.get(name) ?? [];
  }

  /** Global (or made local by the linker: hidden) definition of a name that other objects could refer to. */
  global(name: string): LiveSymbol | undefined {
    const all = this.names.get(name);
    if (!all) return undefined;
    const global = all.find((symbol) => symbol.binding !== abi.STB_LOCAL);
    if (global) return global;
    // GNU ld turns hidden globals into locals behind a FILE symbol without a name; lld and mold leave them
    // behind the last file. A name that only one local symbol has is it as well.
    return (
      all.find((symbol) => symbol.group >= 0 && this.groups[symbol.group]!.name === '') ??
      (all.length === 1 ? all[0] : undefined)
    );
  }

  /** Symbols (functions and objects) that begin at an address. */
  symbolsAt(address: number): LiveSymbol[] {
    const sorted = this.byAddress();
    const found: LiveSymbol[] = [];
    for (let i = firstAtOrAbove(sorted, address); i < sorted.length && sorted[i]!.address === address; i++)
      found.push(sorted[i]!);
    return found;
  }

  /** The function or object that covers an address. */
  covering(address: number): LiveSymbol | undefined {
    const sorted = this.byAddress();
    let i = firstAtOrAbove(sorted, address + 1) - 1;
    for (let steps = 0; i >= 0 && steps < 64; i--, steps++) {
      const symbol = sorted[i]!;
      if (address < symbol.address + symbol.size) return symbol;
    }
    return undefined;
  }

  /** The linker's padding after `end`: up to the next symbol of the section, or, after the last symbol, up to the next
   * section or the end of the page. */
  padding(end: number, most: number): Buffer {
    const section = this.sectionAt(end - 1);
    if (!section) return Buffer.alloc(0);
    const sectionEnd = this.bias + section.address + section.size;
    const sorted = this.byAddress();
    const next = sorted[firstAtOrAbove(sorted, end)]?.address ?? Infinity;
    const inside = Math.max(0, Math.min(next, sectionEnd, end + most) - end);
    const filled = this.withoutZeros(this.bytes(end, inside) ?? Buffer.alloc(0));
    if (next < sectionEnd || inside === most) return filled;
    const behind = this.elf.sections
      .filter(
        (other) =>
          other.flags & abi.SHF_ALLOC && other.size > 0 && other.address >= section.address + section.size,
      )
      .map((other) => other.address + this.bias);
    const limit = Math.min(...behind, Math.ceil(sectionEnd / 4096) * 4096, end + most);
    // Nobody runs it: it may as well be nops.
    return Buffer.concat([filled, this.arch.nops(Math.max(0, limit - sectionEnd))]);
  }

  /** mold leaves what is between the functions of two files at zero, where other linkers write instructions that do nothing. */
  private withoutZeros(padding: Buffer): Buffer {
    this.leavesZeros ??= this.elf.sections.some(
      (section) => section.name === '.comment' && this.elf.data(section).includes('mold '),
    );
    if (!this.leavesZeros) return padding;
    const behind = padding.findLastIndex((byte) => byte !== 0) + 1;
    return Buffer.concat([padding.subarray(0, behind), this.arch.nops(padding.length - behind)]);
  }

  sectionAt(address: number): Section | undefined {
    const value = address - this.bias;
    return this.elf.sections.find(
      (section) =>
        section.flags & abi.SHF_ALLOC &&
        !(section.flags & abi.SHF_TLS && section.type === abi.SHT_NOBITS) &&
        value >= section.address &&
        value < section.address + section.size,
    );
  }

  /** Bytes of the image as loaded from the file; undefined beyond its segments. Read in 64 KiB chunks and kept. */
  bytes(address: number, length: number): Buffer | undefined {
    const value = address - this.bias;
    const chunkSize = 0x10000;
    const index = Math.floor(value / chunkSize);
    if (Math.floor((value + length - 1) / chunkSize) !== index) return this.elf.loaded(value, length);
    let chunk = this.chunks.get(index);
    if (!chunk) {
      chunk = this.elf.loaded(index * chunkSize, chunkSize);
      if (!chunk) return this.elf.loaded(value, length);
      this.chunks.set(index, chunk);
    }
    const from = value - index * chunkSize;
    return chunk.subarray(from, from + length);
  }

  /** The dynamic relocation that applies at an address. */
  dynamicAt(address: number): DynamicRelocation | undefined {
    return this.dynamicRelocations().get(address - this.bias);
  }

  /** Does the module itself reach this name through the dynamic loader (so that another module may define it)? */
  bindsDynamically(name: string): boolean {
    if (!this.dynamicNames) {
      this.dynamicNames = new Set();
      for (const relocation of this.dynamicRelocations().values())
        if (relocation.name && relocation.kind !== 'copy') this.dynamicNames.add(relocation.name);
    }
    return this.dynamicNames.has(name);
  }

  /** What a pointer in data holds once the loader is done: an address, or an imported name. */
  pointerAt(address: number): { address: number } | { name: string; addend: number } | undefined {
    const relocation = this.dynamicAt(address);
    if (relocation) {
      if (relocation.name) return { name: relocation.name, addend: relocation.addend };
      if (relocation.kind === 'relative' || relocation.kind === 'resolver')
        return { address: relocation.addend + this.bias };
      return undefined;
    }
    // Nothing moves it with the image.
    const raw = this.bytes(address, 8);
    return raw && { address: number64(raw, 0) };
  }

  /** Imported name that a stub of the procedure linkage table at this address jumps to; NOBODY when the loader is told
   * nothing about it. */
  stubTarget(address: number): string | undefined {
    if (this.stubs.has(address)) return this.stubs.get(address);
    const name = this.decodeStub(address);
    this.stubs.set(address, name);
    return name;
  }

  /** Names this image imports, with the versions it was linked against. */
  imports(): ReadonlyMap<string, ImportedSymbol> {
    return (this.importTable ??= readImports(this.elf));
  }

  private decodeStub(address: number): string | undefined {
    const section = this.sectionAt(address);
    if (!section || !section.name.startsWith('.plt')) {
      if (section?.name !== '.iplt') return undefined;
    }
    // The last stub of a section may be shorter than the longest form.
    const end = this.bias + section.address + section.size;
    const bytes = this.bytes(address, Math.min(this.arch.longestStub, end - address));
    const slot = bytes && this.arch.slotOfStub(bytes, address);
    if (slot === undefined) return undefined;
    const relocation = this.dynamicAt(slot);
    if (!relocation) return NOBODY;
    if (relocation.name) return relocation.name;
    // An ifunc of the module itself: its resolver's own name.
    if (relocation.kind === 'resolver') return this.symbolsAt(relocation.addend + this.bias)[0]?.name;
    return undefined;
  }

  private dynamicRelocations(): Map<number, DynamicRelocation> {
    if (this.dynamic) return this.dynamic;
    const dynamic = new Map<number, DynamicRelocation>();
    const names = this.elf.symbols(abi.SHT_DYNSYM);
    for (const address of packedRelocations(this.elf)) {
      const addend = this.bytes(address + this.bias, 8);
      if (addend) dynamic.set(address, { kind: 'relative', name: '', addend: signed64(addend, 0) });
    }
    for (const section of this.elf.sections) {
      if (section.type !== abi.SHT_RELA || !(section.flags & abi.SHF_ALLOC)) continue;
      for (const relocation of this.elf.relocations(section))
        dynamic.set(relocation.offset, {
          kind: this.arch.dynamicKind(relocation.type),
          name: relocation.symbol ? (names[relocation.symbol]?.name ?? '') : '',
          addend: relocation.addend,
        });
    }
    return (this.dynamic = dynamic);
  }

  private byAddress(): LiveSymbol[] {
    return (this.sorted ??= this.symbols
      .filter((symbol) => symbol.type !== abi.STT_TLS)
      .sort((a, b) => a.address - b.address || a.size - b.size));
  }

  private readSymbols(table: ElfSymbol[]): void {
    let group = -1;
    for (const symbol of table) {
      if (symbol.type === abi.STT_FILE) {
        group = this.groups.push({ name: symbol.name, symbols: [] }) - 1;
        continue;
      }
      if (symbol.section === abi.SHN_UNDEF || symbol.type === abi.STT_SECTION || symbol.name === '') continue;
      const local = symbol.binding === abi.STB_LOCAL;
      const live: LiveSymbol = {
        name: symbol.name,
        address:
          symbol.type === abi.STT_TLS
            ? symbol.value
            : symbol.value + (symbol.section === abi.SHN_ABS ? 0 : this.bias),
        size: symbol.size,
        type: symbol.type,
        binding: symbol.binding,
        image: this,
        group: local ? group : -1,
        sectionIndex: symbol.section,
      };
      this.symbols.push(live);
      if (local && group >= 0) this.groups[group]!.symbols.push(live);
      const list = this.names.get(symbol.name);
      if (list) list.push(live);
      else this.names.set(symbol.name, [live]);
    }
  }

  /** Is the address in an executable section? */
  isCode(address: number): boolean {
    const value = address - this.bias;
    return this.executable.some(
      (section) => value >= section.address && value < section.address + section.size,
    );
  }
}

/** The module and its patches, oldest first, at one moment of one process. */
export class LiveImage {
  constructor(
    readonly module: Image,
    readonly patches: readonly Image[],
  ) {}

  imageAt(address: number): Image | undefined {
    if (address >= this.module.start && address < this.module.end) return this.module;
    return this.patches.find((patch) => address >= patch.start && address < patch.end);
  }

  bytes(address: number, length: number): Buffer | undefined {
    return this.imageAt(address)?.bytes(address, length);
  }

  stubTarget(address: number): string | undefined {
    return this.imageAt(address)?.stubTarget(address);
  }

  symbolsAt(address: number): LiveSymbol[] {
    return this.imageAt(address)?.symbolsAt(address) ?? [];
  }

  covering(address: number): LiveSymbol | undefined {
    return this.imageAt(address)?.covering(address);
  }

  /** The definition of a global name: the module's, else that of the first patch that introduced it. */
  global(name: string): LiveSymbol | undefined {
    const own = this.module.global(name);
    if (own) return own;
    for (const patch of this.patches) {
      const introduced = patch.named(name).find((symbol) => symbol.binding !== abi.STB_LOCAL);
      if (introduced) return introduced;
    }
    return undefined;
  }
}

function firstAtOrAbove(symbols: readonly LiveSymbol[], address: number): number {
  return lowerBound(symbols.length, (i) => symbols[i]!.address < address);
}

/** A module without symbols cannot be compared with.
 * Throws HotPatchError no-symbols. */
export function requireSymbols(image: Image): void {
  if (!image.symbols.some((symbol) => symbol.type === abi.STT_FUNC))
    throw new HotPatchError('no-symbols', `${image.path} has no symbol table: it was stripped`);
}
