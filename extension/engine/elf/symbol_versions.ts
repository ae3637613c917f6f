// Dynamic symbols with their GNU versions: what a module imports, and what a library exports. Read by the live image
// and by the resolver of a patch's imports. Binds nothing.
import * as abi from './constants';
import { cString, type ElfFile, type ElfSymbol } from './file';

export interface ImportedSymbol {
  name: string;
  version: string | undefined;
  weak: boolean;
  /** Of an executable: its own entry that is the address of the function for every module; 0: there is none (psABI, "Function
   * Addresses"). */
  value: number;
}

/** Undefined dynamic symbols with their versions (gABI "Dynamic Section"; GNU .gnu.version, .gnu.version_r). */
export function readImports(elf: ElfFile): Map<string, ImportedSymbol> {
  const imports = new Map<string, ImportedSymbol>();
  const versions = neededVersions(elf);
  const table = elf.sections.find((section) => section.type === abi.SHT_GNU_VERSYM);
  const indices = table ? elf.data(table) : undefined;
  for (const symbol of elf.symbols(abi.SHT_DYNSYM)) {
    if (symbol.section !== abi.SHN_UNDEF || symbol.name === '') continue;
    const index =
      indices && symbol.index * 2 + 2 <= indices.length ? indices.readUInt16LE(symbol.index * 2) & 0x7fff : 0;
    imports.set(symbol.name, {
      name: symbol.name,
      version: versions.get(index),
      weak: symbol.binding === abi.STB_WEAK,
      value: symbol.value,
    });
  }
  return imports;
}

function neededVersions(elf: ElfFile): Map<number, string> {
  const versions = new Map<number, string>();
  const section = elf.sections.find((candidate) => candidate.type === abi.SHT_GNU_VERNEED);
  const strings = section && elf.sections[section.link];
  if (!section || !strings) return versions;
  const bytes = elf.data(section);
  const names = elf.data(strings);
  for (let need = 0; need + 16 <= bytes.length;) {
    let aux = need + bytes.readUInt32LE(need + 8);
    for (let i = bytes.readUInt16LE(need + 2); i > 0 && aux + 16 <= bytes.length; i--) {
      versions.set(bytes.readUInt16LE(aux + 6) & 0x7fff, cString(names, bytes.readUInt32LE(aux + 8)));
      const step = bytes.readUInt32LE(aux + 12);
      if (step < 16) break;
      aux += step;
    }
    // Zero ends the chain; less than a record would read the same ones over and over.
    const next = bytes.readUInt32LE(need + 12);
    if (next < 16) break;
    need += next;
  }
  return versions;
}

/** A symbol that a module exports, with its default version (GNU .gnu.version_d). */
export interface ExportedSymbol {
  version: string | undefined;
  type: number;
  size: number;
  value: number;
}

/** All exported symbols of a shared library. */
export function readExports(elf: ElfFile): Map<string, ExportedSymbol> {
  const exports = new Map<string, ExportedSymbol>();
  for (const symbol of elf.symbols(abi.SHT_DYNSYM)) addExport(elf, exports, symbol);
  return exports;
}

/** One of them, found as the loader finds it: large libraries have thousands of symbols, and a patch asks for a few. */
export function exportOf(elf: ElfFile, name: string): ExportedSymbol | undefined {
  const table = elf.derived(readHashTable);
  if (!table) return elf.derived(readExports).get(name);
  const found = new Map<string, ExportedSymbol>();
  for (const symbol of table.candidates(name)) if (symbol.name === name) addExport(elf, found, symbol);
  return found.get(name);
}

/** @param symbol in the order of the table: the default version (bit 0x8000 of .gnu.version is not set) has precedence, then
 * the first one */
function addExport(elf: ElfFile, exports: Map<string, ExportedSymbol>, symbol: ElfSymbol): void {
  if (symbol.section === abi.SHN_UNDEF || symbol.name === '' || symbol.binding === abi.STB_LOCAL) return;
  const { indices, names } = elf.derived(definedVersions);
  const raw = indices && symbol.index * 2 + 2 <= indices.length ? indices.readUInt16LE(symbol.index * 2) : 1;
  if (raw & 0x8000 && exports.has(symbol.name)) return;
  // Index 1 is the base definition: no version to ask for. A hidden (non-default) one is bound without version.
  const version = raw & 0x8000 || raw <= 1 ? undefined : names.get(raw);
  exports.set(symbol.name, { version, type: symbol.type, size: symbol.size, value: symbol.value });
}

/** The table of hashes (DT_GNU_HASH, "GNU Hash ELF Sections" of the GNU ABI): buckets with the first symbol of each, and
 * for each symbol from `first` on its hash, whose lowest bit ends the bucket.
 * @returns candidates: symbols whose hashes are that of a name, ascending. Undefined where there is no such table, or it does
 * not hold together */
function readHashTable(elf: ElfFile): { candidates: (name: string) => Generator<ElfSymbol> } | undefined {
  const section = elf.sections.find(({ type }) => type === abi.SHT_GNU_HASH);
  const symbols = elf.symbolTable(abi.SHT_DYNSYM);
  const bytes = section && elf.data(section);
  if (!bytes || !symbols || bytes.length < 16) return undefined;
  const [buckets, first, filters] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4), bytes.readUInt32LE(8)];
  const starts = 16 + 8 * filters;
  const chains = starts + 4 * buckets;
  if (buckets === 0 || first > symbols.count) return undefined;
  if (chains + 4 * (symbols.count - first) > bytes.length) return undefined;
  return {
    *candidates(name) {
      const hash = hashOf(name);
      let index = bytes.readUInt32LE(starts + 4 * (hash % buckets));
      for (let isLast = index < first; !isLast && index < symbols.count; index++) {
        const entry = bytes.readUInt32LE(chains + 4 * (index - first));
        if ((entry | 1) === (hash | 1)) yield symbols.symbol(index);
        isLast = (entry & 1) !== 0;
      }
    },
  };
}

function hashOf(name: string): number {
  let hash = 5381;
  for (const byte of Buffer.from(name)) hash = (Math.imul(hash, 33) + byte) >>> 0;
  return hash;
}

/** Which version each dynamic symbol has, and what they are called. */
function definedVersions(elf: ElfFile): { indices: Buffer | undefined; names: ReadonlyMap<number, string> } {
  const table = elf.sections.find((section) => section.type === abi.SHT_GNU_VERSYM);
  return { indices: table && elf.data(table), names: versionNames(elf) };
}

function versionNames(elf: ElfFile): Map<number, string> {
  const versions = new Map<number, string>();
  const section = elf.sections.find((candidate) => candidate.type === abi.SHT_GNU_VERDEF);
  const strings = section && elf.sections[section.link];
  if (!section || !strings) return versions;
  const bytes = elf.data(section);
  const names = elf.data(strings);
  for (let at = 0; at + 20 <= bytes.length;) {
    const aux = at + bytes.readUInt32LE(at + 12);
    if (aux + 8 <= bytes.length)
      versions.set(bytes.readUInt16LE(at + 4), cString(names, bytes.readUInt32LE(aux)));
    const next = bytes.readUInt32LE(at + 16);
    if (next < 20) break;
    at += next;
  }
  return versions;
}
