// Writes the ELF file of a patch: segments by protection, sections, symbol table (ELF gABI, chapters 4 and 5).
// Last step of the link. Places nothing: every section comes with its final address, file offsets follow from it.
import type { Architecture } from '../arch/architecture';
import * as abi from '../elf/constants';
import { Strings } from './dynamic';
import { write64 } from '../patch_format/note';

export const PAGE = 4096;
const HEADER = 64;
const PROGRAM_HEADER = 56;
const SECTION_HEADER = 64;

export interface OutputSection {
  name: string;
  type: number;
  flags: number;
  alignment: number;
  address: number;
  size: number;
  /** Undefined for SHT_NOBITS. */
  content: Buffer | undefined;
}

export interface OutputSymbol {
  name: string;
  value: number;
  size: number;
  type: number;
  binding: number;
  /** Name of its section; undefined: SHN_ABS. */
  section: string | undefined;
}

/**
 * @param base address of the ELF header; sections that are loaded follow it in ascending order, then come those that
 *   are not (debug information), which are appended
 * @param dynamic address of .dynamic, when there is one
 */
export function writeElf(
  arch: Architecture,
  base: number,
  sections: readonly OutputSection[],
  symbols: readonly OutputSymbol[],
  dynamic: number | undefined,
): Buffer {
  const loaded = sections.filter((section) => section.flags & abi.SHF_ALLOC);
  const lastInFile = Math.max(
    HEADER + PROGRAM_HEADER * 8,
    ...loaded.filter((section) => section.content).map((section) => section.address - base + section.size),
  );
  const strings = new Strings();
  const sectionNames = new Strings();
  const locals = symbols.filter((symbol) => symbol.binding === abi.STB_LOCAL);
  const ordered = [...locals, ...symbols.filter((symbol) => symbol.binding !== abi.STB_LOCAL)];
  const symbolTable = Buffer.alloc((ordered.length + 1) * 24);
  ordered.forEach((symbol, i) => {
    const at = (i + 1) * 24;
    symbolTable.writeUInt32LE(strings.offset(symbol.name), at);
    symbolTable.writeUInt8((symbol.binding << 4) | symbol.type, at + 4);
    const index = sections.findIndex((section) => section.name === symbol.section);
    symbolTable.writeUInt16LE(index < 0 ? abi.SHN_ABS : index + 1, at + 6);
    write64(symbolTable, at + 8, symbol.value);
    write64(symbolTable, at + 16, symbol.size);
  });
  const stringTable = strings.bytes();
  const tail = [
    {
      name: '.symtab',
      type: abi.SHT_SYMTAB,
      content: symbolTable,
      link: sections.length + 2,
      info: locals.length + 1,
      entry: 24,
      alignment: 8,
    },
    { name: '.strtab', type: abi.SHT_STRTAB, content: stringTable, link: 0, info: 0, entry: 0, alignment: 1 },
    {
      name: '.shstrtab',
      type: abi.SHT_STRTAB,
      content: Buffer.alloc(0),
      link: 0,
      info: 0,
      entry: 0,
      alignment: 1,
    },
  ];
  for (const section of [...sections, ...tail]) sectionNames.offset(section.name);
  tail[2]!.content = sectionNames.bytes();

  const unloaded = new Map<OutputSection, number>();
  // In a page of its own: what follows the data in the file is mapped with its last page, and the addresses in debug
  // information would be found there as return addresses of suspended callers (docs/RUNTIME.md, "Is a guarded caller active?").
  const firstUnloaded = Math.ceil(lastInFile / PAGE) * PAGE;
  let unloadedEnd = firstUnloaded;
  for (const section of sections) {
    if (section.flags & abi.SHF_ALLOC) continue;
    unloaded.set(section, unloadedEnd);
    unloadedEnd += section.size;
  }
  const fileOffset = (section: OutputSection): number =>
    unloaded.get(section) ?? (section.content ? section.address - base : lastInFile);
  const headers = Buffer.alloc((sections.length + tail.length + 1) * SECTION_HEADER);
  const indexOf = (name: string): number => sections.findIndex((section) => section.name === name) + 1;
  sections.forEach((section, i) => {
    const at = (i + 1) * SECTION_HEADER;
    headers.writeUInt32LE(sectionNames.offset(section.name), at);
    headers.writeUInt32LE(section.type, at + 4);
    write64(headers, at + 8, section.flags);
    write64(headers, at + 16, section.address);
    write64(headers, at + 24, fileOffset(section));
    write64(headers, at + 32, section.size);
    headers.writeUInt32LE(linkOf(section.name, indexOf), at + 40);
    headers.writeUInt32LE(
      section.name === '.gnu.version_r' ? countNeeds(section.content) : section.name === '.dynsym' ? 1 : 0,
      at + 44,
    );
    write64(headers, at + 48, section.alignment);
    const entrySize = section.name === '.plt' ? arch.stubSize : ENTRY_SIZES[section.name];
    write64(headers, at + 56, entrySize ?? 0);
  });
  const pieces: Buffer[] = [...unloaded.keys()].map((section) => section.content!);
  let offset = unloadedEnd;
  tail.forEach((section, i) => {
    const padding = (8 - (offset % 8)) % 8;
    pieces.push(Buffer.alloc(padding), section.content);
    offset += padding;
    const at = (sections.length + 1 + i) * SECTION_HEADER;
    headers.writeUInt32LE(sectionNames.offset(section.name), at);
    headers.writeUInt32LE(section.type, at + 4);
    write64(headers, at + 24, offset);
    write64(headers, at + 32, section.content.length);
    headers.writeUInt32LE(section.link, at + 40);
    headers.writeUInt32LE(section.info, at + 44);
    write64(headers, at + 48, section.alignment);
    write64(headers, at + 56, section.entry);
    offset += section.content.length;
  });
  const headerPadding = (8 - (offset % 8)) % 8;
  const sectionHeaders = offset + headerPadding;

  const image = Buffer.alloc(firstUnloaded);
  for (const section of loaded) section.content?.copy(image, section.address - base);
  const programs = segments(base, loaded, dynamic);
  writeHeader(image, arch.machine, programs.length, sectionHeaders, sections.length + tail.length + 1);
  programs.forEach((program, i) => writeProgramHeader(image, HEADER + i * PROGRAM_HEADER, program));
  return Buffer.concat([image, ...pieces, Buffer.alloc(headerPadding), headers]);
}

interface Program {
  type: number;
  flags: number;
  address: number;
  offset: number;
  fileSize: number;
  memorySize: number;
  alignment: number;
}

function segments(base: number, loaded: readonly OutputSection[], dynamic: number | undefined): Program[] {
  const programs: Program[] = [];
  const protections = [
    { want: 0, flags: abi.PF_R },
    { want: abi.SHF_EXECINSTR, flags: abi.PF_R | abi.PF_X },
    { want: abi.SHF_WRITE, flags: abi.PF_R | abi.PF_W },
  ];
  for (const { want, flags } of protections) {
    const members = loaded.filter(
      (section) => (section.flags & (abi.SHF_EXECINSTR | abi.SHF_WRITE)) === want,
    );
    if (members.length === 0) continue;
    const start = want === 0 ? base : Math.floor(members[0]!.address / PAGE) * PAGE;
    const end = Math.max(...members.map((section) => section.address + section.size));
    const inFile = members.filter((section) => section.content);
    const fileEnd = inFile.length
      ? Math.max(...inFile.map((section) => section.address + section.size))
      : start;
    programs.push({
      type: abi.PT_LOAD,
      flags,
      address: start,
      offset: inFile.length ? start - base : 0,
      fileSize: fileEnd - start,
      memorySize: end - start,
      alignment: PAGE,
    });
  }
  const part = (name: string, type: number): void => {
    const section = loaded.find((candidate) => candidate.name === name);
    if (!section) return;
    programs.push({
      type,
      flags: abi.PF_R,
      address: section.address,
      offset: section.address - base,
      fileSize: section.size,
      memorySize: section.size,
      alignment: section.alignment,
    });
  };
  part('.note.hot_fix', abi.PT_NOTE);
  if (dynamic !== undefined) part('.dynamic', abi.PT_DYNAMIC);
  programs.push({
    type: abi.PT_GNU_STACK,
    flags: abi.PF_R | abi.PF_W,
    address: 0,
    offset: 0,
    fileSize: 0,
    memorySize: 0,
    alignment: 16,
  });
  return programs;
}

const ENTRY_SIZES: Record<string, number> = {
  '.dynsym': 24,
  '.rela.dyn': 24,
  '.dynamic': 16,
  '.gnu.version': 2,
  '.got': 8,
};

function linkOf(name: string, indexOf: (name: string) => number): number {
  switch (name) {
    case '.dynsym':
    case '.dynamic':
    case '.gnu.version_r':
      return indexOf('.dynstr');
    case '.gnu.version':
    case '.rela.dyn':
      return indexOf('.dynsym');
    default:
      return 0;
  }
}

function countNeeds(content: Buffer | undefined): number {
  let count = 0;
  for (let at = 0; content && at + 16 <= content.length;) {
    count++;
    const next = content.readUInt32LE(at + 12);
    if (next === 0) break;
    at += next;
  }
  return count;
}

function writeHeader(
  image: Buffer,
  machine: number,
  programCount: number,
  sectionHeaders: number,
  sectionCount: number,
): void {
  image.writeUInt32BE(0x7f454c46, 0);
  image.set([2, 1, 1], 4);
  image.writeUInt16LE(abi.ET_DYN, 16);
  image.writeUInt16LE(machine, 18);
  image.writeUInt32LE(1, 20);
  write64(image, 32, HEADER);
  write64(image, 40, sectionHeaders);
  image.writeUInt16LE(HEADER, 52);
  image.writeUInt16LE(PROGRAM_HEADER, 54);
  image.writeUInt16LE(programCount, 56);
  image.writeUInt16LE(SECTION_HEADER, 58);
  image.writeUInt16LE(sectionCount, 60);
  image.writeUInt16LE(sectionCount - 1, 62);
}

function writeProgramHeader(image: Buffer, at: number, program: Program): void {
  image.writeUInt32LE(program.type, at);
  image.writeUInt32LE(program.flags, at + 4);
  write64(image, at + 8, program.offset);
  write64(image, at + 16, program.address);
  write64(image, at + 24, program.address);
  write64(image, at + 32, program.fileSize);
  write64(image, at + 40, program.memorySize);
  write64(image, at + 48, program.alignment);
}
