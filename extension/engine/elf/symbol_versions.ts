// Dynamic symbols with their GNU versions: what a module imports, and what a library exports. Read by the live image
// and by the resolver of a patch's imports. Binds nothing.
import * as abi from './constants';
import { cString, type ElfFile } from './file';

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

/** Exported symbols of a shared library with their default versions (GNU .gnu.version_d, hidden bit 0x8000). */
export interface ExportedSymbol {
  version: string | undefined;
  type: number;
  size: number;
  value: number;
}

/** Exported symbols of a shared library with their default versions (GNU .gnu.version_d, hidden bit 0x8000). */
export function readExports(elf: ElfFile): Map<string, ExportedSymbol> {
  const exports = new Map<string, ExportedSymbol>();
  const versions = definedVersions(elf);
  const table = elf.sections.find((section) => section.type === abi.SHT_GNU_VERSYM);
  const indices = table ? elf.data(table) : undefined;
  for (const symbol of elf.symbols(abi.SHT_DYNSYM)) {
    if (symbol.section === abi.SHN_UNDEF || symbol.name === '' || symbol.binding === abi.STB_LOCAL) continue;
    const raw =
      indices && symbol.index * 2 + 2 <= indices.length ? indices.readUInt16LE(symbol.index * 2) : 1;
    if (raw & 0x8000 && exports.has(symbol.name)) continue;
    // Index 1 is the base definition: no version to ask for. A hidden (non-default) one is bound without version.
    const version = raw & 0x8000 || raw <= 1 ? undefined : versions.get(raw);
    exports.set(symbol.name, { version, type: symbol.type, size: symbol.size, value: symbol.value });
  }
  return exports;
}

function definedVersions(elf: ElfFile): Map<number, string> {
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
