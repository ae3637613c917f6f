// Reads an ELF64 little-endian file: headers, sections, symbols, relocations (ELF gABI, chapters 4 and 5).
// The first step after the compiler and after finding the live module; everything else works on what is
// returned here. Must not interpret code or debug information, and never trusts an offset or a count.
import * as zlib from 'node:zlib';
import { openFile } from '../host';
import { HotPatchError } from '../model/errors';
import * as abi from './constants';
import { number64, signed64 } from './integers';

export interface Section {
  index: number;
  name: string;
  type: number;
  flags: number;
  /** Virtual address (0 in a relocatable file). */
  address: number;
  offset: number;
  size: number;
  link: number;
  info: number;
  alignment: number;
  entrySize: number;
}

export interface Segment {
  type: number;
  flags: number;
  offset: number;
  address: number;
  fileSize: number;
  memorySize: number;
  alignment: number;
}

export interface ElfSymbol {
  index: number;
  name: string;
  value: number;
  size: number;
  type: number;
  binding: number;
  visibility: number;
  /** Section index; SHN_XINDEX is resolved already, SHN_UNDEF/ABS/COMMON are as in the file. */
  section: number;
}

export interface Relocation {
  offset: number;
  type: number;
  /** Index into the symbol table the relocation section is linked to. */
  symbol: number;
  addend: number;
}

const HEADER_SIZE = 64;
const SYMBOL_SIZE = 24;
const RELA_SIZE = 24;
/** Elf64_Chdr: type, reserved, size, alignment. */
const COMPRESSION_HEADER = 24;

/** Bytes. More than the largest real sections have: a file that claims more would only exhaust the memory. */
const LARGEST_SECTION = 2 ** 30;
/** 8 million symbols: Chromium has 3 million. */
const LARGEST_SYMBOL_TABLE = 192 * 2 ** 20;
/** Notes are some hundred bytes; core dumps, which have more, are not read. */
const LARGEST_NOTES = 2 ** 20;
const TABLE_OF_SYMBOLS: ReadonlySet<number> = new Set([abi.SHT_SYMTAB, abi.SHT_STRTAB, abi.SHT_SYMTAB_SHNDX]);
/** Of an object with a section for each function of a very large unit, several times over. */
const MOST_SECTIONS = 2 ** 20;

/** Node.js has it from 22.15 on, and Visual Studio Code from 1.101 on; undefined before. */
const { zstdDecompressSync } = zlib as { zstdDecompressSync?: typeof zlib.inflateSync };

/** A file that is held open until it is closed. */
export type OpenElfFile = ElfFile & { close(): void };

/** An ELF file whose section contents are read when they are asked for. */
export class ElfFile {
  readonly sections: readonly Section[];
  readonly segments: readonly Segment[];
  readonly type: number;
  readonly machine: number;
  private readonly byName = new Map<string, Section>();
  private readonly contents = new Map<number, Buffer>();
  private readonly derivations = new Map<unknown, unknown>();
  /** Sections of a debug file, by their index here. */
  private readonly elsewhere = new Map<number, { file: ElfFile; section: Section }>();
  /** What the debug information has in common with that of other files (DWARF 5, 7.3.6). */
  readonly supplement: ElfFile | undefined = undefined;

  private constructor(
    readonly path: string,
    private readonly readUnchecked: (offset: number, length: number) => Buffer,
    readonly size: number,
  ) {
    if (size < HEADER_SIZE) throw this.malformed('is too short for an ELF header');
    const header = this.read(0, HEADER_SIZE);
    if (header.readUInt32BE(0) !== 0x7f454c46) throw this.malformed('is not an ELF file');
    if (header[4] !== 2 || header[5] !== 1) throw this.malformed('is not 64-bit little-endian ELF');
    this.type = header.readUInt16LE(16);
    this.machine = header.readUInt16LE(18);
    this.segments = this.readSegments(number64(header, 32), header.readUInt16LE(54), header.readUInt16LE(56));
    this.sections = this.readSections(number64(header, 40), header.readUInt16LE(58), header);
    for (const section of this.sections)
      if (!this.byName.has(section.name)) this.byName.set(section.name, section);
  }

  /** Opens a file; its sections are read on demand through one descriptor that `close` releases.
   * Throws HostError, or HotPatchError `unsupported-object` when it is not ELF64 little-endian or is malformed. */
  static open(path: string): OpenElfFile {
    const file = openFile(path);
    try {
      return Object.assign(new ElfFile(path, file.read, file.size), { close: file.close });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** A file that is opened for each section when it is first asked for: no descriptor is kept, and nothing that nobody
   * asks for is in memory. Throws as `open`, and so does what asks for a section, also when another file is at the path
   * by then. */
  static openForEachSection(path: string): ElfFile {
    const readOnce = (offset: number, length: number): Buffer => {
      const file = openFile(path);
      try {
        if (file.stats.ino !== stats.ino || file.stats.dev !== stats.dev)
          throw new HotPatchError('unsupported-object', `${path} is another file now`, { file: path });
        return file.read(offset, length);
      } finally {
        file.close();
      }
    };
    const first = openFile(path);
    const { stats, size } = first;
    first.close();
    return new ElfFile(path, readOnce, size);
  }

  /** An ELF image that is in memory already; section contents are views of it. */
  static parse(path: string, bytes: Buffer): ElfFile {
    return new ElfFile(path, (offset, length) => bytes.subarray(offset, offset + length), bytes.length);
  }

  /**
   * This file and what was taken out of it: the symbol table and the debug sections that only the debug file has, behind
   * its own sections. The debug file must stay open.
   * @param debug of the same build, as `objcopy --only-keep-debug` writes it
   */
  joined(debug: ElfFile): ElfFile {
    const whole = this.again();
    const sections = [...whole.sections];
    const isMissing = ({ name, type, flags }: Section): boolean =>
      type !== abi.SHT_NOBITS &&
      !(flags & abi.SHF_ALLOC) &&
      !this.byName.has(name) &&
      (/^\.debug_|^\.gnu_debugaltlink$/.test(name) || TABLE_OF_SYMBOLS.has(type));
    const taken = debug.sections.filter(isMissing);
    const indices = new Map(taken.map(({ index }, i) => [index, sections.length + i]));
    for (const section of taken) {
      const index = sections.length;
      sections.push({ ...section, index, link: indices.get(section.link) ?? 0 });
      whole.elsewhere.set(index, { file: debug, section });
      whole.byName.set(section.name, sections[index]!);
    }
    return Object.assign(whole, { sections });
  }

  /** This file and its supplementary file, which must stay open. */
  supplementedBy(supplement: ElfFile): ElfFile {
    return Object.assign(this.again(), { supplement });
  }

  /** This file once more, of which nothing was worked out yet. */
  private again(): ElfFile {
    const again = new ElfFile(this.path, this.readUnchecked, this.size);
    for (const [index, borrowed] of this.elsewhere) again.elsewhere.set(index, borrowed);
    for (const [name, section] of this.byName) again.byName.set(name, section);
    return Object.assign(again, { sections: this.sections });
  }

  /** The debug file that a section was taken from; undefined for one of this file. */
  homeOf(section: Section): ElfFile | undefined {
    return this.elsewhere.get(section.index)?.file;
  }

  /**
   * What can be worked out from this file alone, which never changes: worked out when it is first asked for, and kept for
   * as long as the file is. So what is known of a file ends with it, and is no other engine's.
   * @param make works it out, and names it: the same function each time
   */
  derived<T>(make: (elf: ElfFile) => T): T {
    if (!this.derivations.has(make)) this.derivations.set(make, make(this));
    return this.derivations.get(make) as T;
  }

  section(name: string): Section | undefined {
    return this.byName.get(name);
  }

  /** Contents of a section, decompressed when SHF_COMPRESSED; empty for SHT_NOBITS. */
  data(section: Section): Buffer {
    if (section.type === abi.SHT_NOBITS) return Buffer.alloc(0);
    const borrowed = this.elsewhere.get(section.index);
    if (borrowed) return borrowed.file.data(borrowed.section);
    const known = this.contents.get(section.index);
    if (known) return known;
    let bytes = this.read(section.offset, section.size);
    if (section.flags & abi.SHF_COMPRESSED) bytes = this.decompress(section, bytes);
    this.contents.set(section.index, bytes);
    return bytes;
  }

  /** Symbols of SHT_SYMTAB (or SHT_DYNSYM); empty when there is no such section. */
  symbols(type: number = abi.SHT_SYMTAB): ElfSymbol[] {
    const table = this.symbolTable(type);
    const symbols = new Array<ElfSymbol>(table?.count ?? 0);
    for (let index = 0; table && index < table.count; index++) symbols[index] = table.symbol(index);
    return symbols;
  }

  /** The same, each read when it is asked for; undefined when there is no such section.
   * `symbol` takes an index below `count`. */
  symbolTable(type: number): { count: number; symbol: (index: number) => ElfSymbol } | undefined {
    const table = this.sections.find((section) => section.type === type);
    if (!table) return undefined;
    const borrowed = this.elsewhere.get(table.index)?.file;
    if (borrowed) {
      const theirs = borrowed.symbolTable(type);
      return theirs && { ...theirs, symbol: (index) => this.inOwnSection(theirs.symbol(index), borrowed) };
    }
    if (table.size > LARGEST_SYMBOL_TABLE) throw this.malformed('has more symbols than are read');
    const bytes = this.data(table);
    const strings = this.sections[table.link];
    if (!strings) throw this.malformed('has a symbol table without strings');
    const names = this.data(strings);
    const extended = this.sections.find(
      (section) => section.type === abi.SHT_SYMTAB_SHNDX && section.link === table.index,
    );
    const indices = extended ? this.data(extended) : undefined;
    const symbol = (index: number): ElfSymbol => {
      const at = index * SYMBOL_SIZE;
      const info = bytes.readUInt8(at + 4);
      let section = bytes.readUInt16LE(at + 6);
      if (section === abi.SHN_XINDEX && indices && index * 4 + 4 <= indices.length)
        section = indices.readUInt32LE(index * 4);
      return {
        index,
        name: cString(names, bytes.readUInt32LE(at)),
        value: number64(bytes, at + 8),
        size: number64(bytes, at + 16),
        type: info & 15,
        binding: info >> 4,
        visibility: bytes.readUInt8(at + 5) & 3,
        section,
      };
    };
    return { count: Math.floor(bytes.length / SYMBOL_SIZE), symbol };
  }

  /** A symbol of a debug file, which numbers the sections of the program as that does, or otherwise. */
  private inOwnSection(symbol: ElfSymbol, file: ElfFile): ElfSymbol {
    const home = file.sections[symbol.section];
    if (symbol.section === abi.SHN_UNDEF || !home) return symbol;
    const same = this.sections[symbol.section];
    if (same?.name === home.name && same.address === home.address) return symbol;
    const own = this.sections.find(({ name, address }) => name === home.name && address === home.address);
    return { ...symbol, section: own?.index ?? abi.SHN_UNDEF };
  }

  /** Entries of one SHT_RELA section, in file order. */
  relocations(section: Section): Relocation[] {
    const bytes = this.data(section);
    const count = Math.floor(bytes.length / RELA_SIZE);
    const relocations = new Array<Relocation>(count);
    for (let i = 0; i < count; i++) {
      const at = i * RELA_SIZE;
      relocations[i] = {
        offset: number64(bytes, at),
        type: bytes.readUInt32LE(at + 8),
        symbol: bytes.readUInt32LE(at + 12),
        addend: signed64(bytes, at + 16),
      };
    }
    return relocations;
  }

  /** Bytes of the loaded image at a virtual address, from the file (memory beyond the file part reads as zero).
   * Undefined when the range is in no PT_LOAD segment. */
  loaded(address: number, length: number): Buffer | undefined {
    for (const segment of this.segments) {
      if (segment.type !== abi.PT_LOAD || address < segment.address) continue;
      const within = address - segment.address;
      if (within + length > segment.memorySize) continue;
      if (within + length <= segment.fileSize) return this.read(segment.offset + within, length);
      if (!(length <= LARGEST_SECTION)) throw this.malformed(`has ${length} bytes where data is expected`);
      const bytes = Buffer.alloc(length);
      if (within < segment.fileSize)
        this.read(segment.offset + within, Math.min(length, segment.fileSize - within)).copy(bytes);
      return bytes;
    }
    return undefined;
  }

  /** Build id of the note NT_GNU_BUILD_ID in hexadecimal; undefined when there is none. */
  buildId(): string | undefined {
    // In a debug file the segments are those of the program, and what they point at is not there.
    const named = this.byName.get('.note.gnu.build-id');
    const places = [
      ...(named ? [{ offset: named.offset, length: named.size }] : []),
      ...this.segments
        .filter(({ type }) => type === abi.PT_NOTE && !named)
        .map(({ offset, fileSize }) => ({ offset, length: fileSize })),
    ];
    for (const { offset, length } of places) {
      const notes = this.read(offset, Math.min(length, LARGEST_NOTES));
      const id = findNote(notes, 'GNU', abi.NT_GNU_BUILD_ID);
      if (id) return id.toString('hex');
    }
    return undefined;
  }

  private readSegments(offset: number, entrySize: number, count: number): Segment[] {
    if (count === 0) return [];
    if (entrySize < 56) throw this.malformed('has program headers of a wrong size');
    const bytes = this.read(offset, entrySize * count);
    return Array.from({ length: count }, (_, i) => {
      const at = i * entrySize;
      return {
        type: bytes.readUInt32LE(at),
        flags: bytes.readUInt32LE(at + 4),
        offset: number64(bytes, at + 8),
        address: number64(bytes, at + 16),
        fileSize: number64(bytes, at + 32),
        memorySize: number64(bytes, at + 40),
        alignment: number64(bytes, at + 48),
      };
    });
  }

  private readSections(offset: number, entrySize: number, header: Buffer): Section[] {
    if (offset === 0) return [];
    if (entrySize < 64) throw this.malformed('has section headers of a wrong size');
    // gABI: with SHN_LORESERVE (0xff00) sections or more, the count and the string index are in section 0.
    const first = this.read(offset, entrySize);
    const count = header.readUInt16LE(60) || number64(first, 32);
    const named = header.readUInt16LE(62);
    const nameIndex = named === abi.SHN_XINDEX ? first.readUInt32LE(40) : named;
    if (!(count <= MOST_SECTIONS)) throw this.malformed(`claims to have ${count} sections`);
    const bytes = this.read(offset, entrySize * count);
    const sections = Array.from({ length: count }, (_, index): Section => {
      const at = index * entrySize;
      return {
        index,
        name: '',
        type: bytes.readUInt32LE(at + 4),
        flags: number64(bytes, at + 8),
        address: number64(bytes, at + 16),
        offset: number64(bytes, at + 24),
        size: number64(bytes, at + 32),
        link: bytes.readUInt32LE(at + 40),
        info: bytes.readUInt32LE(at + 44),
        alignment: number64(bytes, at + 48),
        entrySize: number64(bytes, at + 56),
      };
    });
    const strings = sections[nameIndex];
    if (strings && strings.offset + strings.size <= this.size) {
      const names = this.read(strings.offset, strings.size);
      for (const section of sections)
        section.name = cString(names, bytes.readUInt32LE(section.index * entrySize));
    }
    return sections;
  }

  /** gABI, "Section Compression". Throws HotPatchError unsupported-object. */
  private decompress(section: Section, bytes: Buffer): Buffer {
    if (bytes.length < COMPRESSION_HEADER)
      throw this.malformed(`has section ${section.name} without its compression header`);
    const kind = bytes.readUInt32LE(0);
    const size = number64(bytes, 8);
    if (!(size <= LARGEST_SECTION))
      throw this.malformed(`has section ${section.name} of ${size} bytes, more than is read`);
    const content = bytes.subarray(COMPRESSION_HEADER);
    try {
      const options = { maxOutputLength: Math.max(size, 1) };
      if (kind === abi.ELFCOMPRESS_ZLIB) return zlib.inflateSync(content, options);
      if (kind === abi.ELFCOMPRESS_ZSTD && zstdDecompressSync) return zstdDecompressSync(content, options);
    } catch (error) {
      throw this.malformed(`has section ${section.name}, which cannot be decompressed: ${String(error)}`);
    }
    if (kind === abi.ELFCOMPRESS_ZSTD)
      throw this.malformed(
        `has section ${section.name} compressed with zstd, which Node.js ${process.versions.node} does not read: build with -gz=zlib, or use Node.js 22.15 (Visual Studio Code 1.101) or newer`,
      );
    throw this.malformed(`has section ${section.name} compressed with method ${kind}, which is not known`);
  }

  /** Bytes of the file. Every offset and length comes from the file itself and is held against its size here. */
  private read(offset: number, length: number): Buffer {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size))
      throw this.malformed(`refers to ${length} bytes at ${offset}, beyond its end`);
    if (length > LARGEST_SECTION) throw this.malformed(`has a part of ${length} bytes, more than is read`);
    return this.readUnchecked(offset, length);
  }

  private malformed(what: string): HotPatchError {
    return new HotPatchError('unsupported-object', `${this.path} ${what}`);
  }
}

/** NUL-terminated string at an offset; empty beyond the end. */
export function cString(bytes: Buffer, offset: number): string {
  if (offset >= bytes.length) return '';
  const end = bytes.indexOf(0, offset);
  return bytes.toString('utf8', offset, end < 0 ? bytes.length : end);
}

/** Descriptor of the first note with that owner and type (gABI, "Note Section"). */
export function findNote(notes: Buffer, owner: string, type: number): Buffer | undefined {
  let at = 0;
  while (at + 12 <= notes.length) {
    const nameSize = notes.readUInt32LE(at);
    const size = notes.readUInt32LE(at + 4);
    const name = cString(notes.subarray(at + 12, at + 12 + nameSize), 0);
    // Sizes are those of the file: 32-bit operators would make large ones negative, and lead back.
    const start = at + 12 + Math.ceil(nameSize / 4) * 4;
    if (notes.readUInt32LE(at + 8) === type && name === owner) return notes.subarray(start, start + size);
    at = start + Math.ceil(size / 4) * 4;
  }
  return undefined;
}
