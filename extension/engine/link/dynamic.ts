// The dynamic section of a patch: the libraries and the symbols of libraries it needs, with versions, and where addresses go
// (gABI "Dynamic Linking"; GNU symbol versioning, .gnu.version and .gnu.version_r). Part of the link; knows neither
// functions nor chunks.
import * as abi from '../elf/constants';
import type { ImportResolver } from './imports';
import { write64 } from '../patch_format/note';

interface Table {
  name: string;
  type: number;
  size: number;
  content: () => Buffer;
}

export class DynamicTables {
  private readonly relocations: { place: () => number; type: number; symbol: number; addend: number }[] = [];
  private readonly symbols: string[] = [];
  private readonly indices = new Map<string, number>();

  constructor(private readonly imports: ImportResolver) {}

  get isEmpty(): boolean {
    return this.relocations.length === 0;
  }

  /** @param place address of the field, known when the tables are written
   * @param name undefined: the patched module itself */
  add(place: () => number, type: number, name: string | undefined, addend: number): void {
    this.relocations.push({ place, type, symbol: name === undefined ? 0 : this.indexOf(name), addend });
  }

  private indexOf(name: string): number {
    const known = this.indices.get(name);
    if (known) return known;
    this.symbols.push(name);
    this.indices.set(name, this.symbols.length);
    return this.symbols.length;
  }

  /** The sections, sized; their contents are made when all addresses are known. */
  tables(addressOf: (name: string) => number): Table[] {
    if (this.isEmpty) return [];
    const strings = new Strings();
    const names = this.symbols.map((name) => strings.offset(name));
    const libraries = this.imports.needed.map((library) => strings.offset(library));
    const needs = this.neededVersions(strings);
    const versions = new Map([...needs.values()].flatMap((need) => [...need.versions.entries()]));
    const stringBytes = strings.bytes();
    const needBytes = encodeNeeds(needs);
    const symbolBytes = Buffer.alloc((names.length + 1) * 24);
    names.forEach((offset, i) => {
      const at = (i + 1) * 24;
      symbolBytes.writeUInt32LE(offset, at);
      const found = this.imports.find(this.symbols[i]!);
      symbolBytes.writeUInt8(((found ? abi.STB_GLOBAL : abi.STB_WEAK) << 4) | abi.STT_NOTYPE, at + 4);
    });
    const versionBytes = Buffer.alloc((names.length + 1) * 2);
    this.symbols.forEach((name, i) => {
      const found = this.imports.find(name);
      // 1: no particular version.
      const index = found?.version ? (versions.get(versionKey(found.library, found.version))?.index ?? 1) : 1;
      versionBytes.writeUInt16LE(index, (i + 1) * 2);
    });
    const tables: Table[] = [
      { name: '.dynsym', type: abi.SHT_DYNSYM, size: symbolBytes.length, content: () => symbolBytes },
      { name: '.dynstr', type: abi.SHT_STRTAB, size: stringBytes.length, content: () => stringBytes },
      {
        name: '.gnu.version',
        type: abi.SHT_GNU_VERSYM,
        size: versionBytes.length,
        content: () => versionBytes,
      },
    ];
    if (needBytes.length)
      tables.push({
        name: '.gnu.version_r',
        type: abi.SHT_GNU_VERNEED,
        size: needBytes.length,
        content: () => needBytes,
      });
    tables.push({
      name: '.rela.dyn',
      type: abi.SHT_RELA,
      size: this.relocations.length * 24,
      content: () => this.encodeRelocations(),
    });
    const entries = (): [number | bigint, number][] => [
      ...libraries.map((offset): [number, number] => [abi.DT_NEEDED, offset]),
      [abi.DT_SYMTAB, addressOf('.dynsym')],
      [abi.DT_SYMENT, 24],
      [abi.DT_STRTAB, addressOf('.dynstr')],
      [abi.DT_STRSZ, stringBytes.length],
      [abi.DT_RELA, addressOf('.rela.dyn')],
      [abi.DT_RELASZ, this.relocations.length * 24],
      [abi.DT_RELAENT, 24],
      [abi.DT_VERSYM, addressOf('.gnu.version')],
      ...(needBytes.length
        ? ([
            [abi.DT_VERNEED, addressOf('.gnu.version_r')],
            [abi.DT_VERNEEDNUM, needs.size],
          ] as [bigint, number][])
        : []),
      [abi.DT_NULL, 0],
    ];
    tables.push({
      name: '.dynamic',
      type: abi.SHT_DYNAMIC,
      size: ((needBytes.length ? 11 : 9) + libraries.length) * 16,
      content: () => {
        const all = entries();
        const bytes = Buffer.alloc(all.length * 16);
        all.forEach(([tag, value], i) => {
          bytes.writeBigUInt64LE(BigInt(tag), i * 16);
          write64(bytes, i * 16 + 8, value);
        });
        return bytes;
      },
    });
    return tables;
  }

  private encodeRelocations(): Buffer {
    const bytes = Buffer.alloc(this.relocations.length * 24);
    this.relocations.forEach((relocation, i) => {
      write64(bytes, i * 24, relocation.place());
      bytes.writeUInt32LE(relocation.type, i * 24 + 8);
      bytes.writeUInt32LE(relocation.symbol, i * 24 + 12);
      bytes.writeBigInt64LE(BigInt(relocation.addend), i * 24 + 16);
    });
    return bytes;
  }

  private neededVersions(strings: Strings): Map<string, Need> {
    const needs = new Map<string, Need>();
    let index = 2;
    for (const name of this.symbols) {
      const found = this.imports.find(name);
      if (!found?.version) continue;
      const library = found.library.slice(found.library.lastIndexOf('/') + 1);
      let need = needs.get(found.library);
      if (!need) needs.set(found.library, (need = { file: strings.offset(library), versions: new Map() }));
      const key = versionKey(found.library, found.version);
      if (!need.versions.has(key))
        need.versions.set(key, {
          name: strings.offset(found.version),
          hash: elfHash(found.version),
          index: index++,
        });
    }
    return needs;
  }
}

interface Need {
  file: number;
  versions: Map<string, { name: number; hash: number; index: number }>;
}

function versionKey(library: string, version: string): string {
  return `${library}@${version}`;
}

function encodeNeeds(needs: Map<string, Need>): Buffer {
  const pieces: Buffer[] = [];
  [...needs.values()].forEach((need, i) => {
    const versions = [...need.versions.values()];
    const bytes = Buffer.alloc(16 + versions.length * 16);
    bytes.writeUInt16LE(1, 0);
    bytes.writeUInt16LE(versions.length, 2);
    bytes.writeUInt32LE(need.file, 4);
    bytes.writeUInt32LE(16, 8);
    bytes.writeUInt32LE(i + 1 < needs.size ? bytes.length : 0, 12);
    versions.forEach((version, j) => {
      const at = 16 + j * 16;
      bytes.writeUInt32LE(version.hash, at);
      bytes.writeUInt16LE(version.index, at + 6);
      bytes.writeUInt32LE(version.name, at + 8);
      bytes.writeUInt32LE(j + 1 < versions.length ? 16 : 0, at + 12);
    });
    pieces.push(bytes);
  });
  return Buffer.concat(pieces);
}

/** The hash of the gABI ("Hash Table"), which version records carry. */
function elfHash(name: string): number {
  let hash = 0;
  for (const byte of Buffer.from(name)) {
    hash = ((hash << 4) + byte) >>> 0;
    const high = hash & 0xf0000000;
    if (high) hash ^= high >>> 24;
    hash = (hash & ~high) >>> 0;
  }
  return hash;
}

/** A string table that grows; offset 0 is the empty string. */
export class Strings {
  private readonly offsets = new Map<string, number>([['', 0]]);
  private readonly pieces: string[] = ['\0'];
  private length = 1;

  offset(text: string): number {
    const known = this.offsets.get(text);
    if (known !== undefined) return known;
    const at = this.length;
    this.offsets.set(text, at);
    this.pieces.push(`${text}\0`);
    this.length += Buffer.byteLength(text) + 1;
    return at;
  }

  bytes(): Buffer {
    return Buffer.from(this.pieces.join(''));
  }
}
