// Symbols and debug information in a file of their own, as `objcopy --only-keep-debug` writes them (GDB's manual,
// "Debugging Information in Separate Files"): where such a file may lie, and whether it belongs to a program. A file
// that does not is never used: its addresses would be those of another build.
import { dirname, join } from 'node:path';
import { openFile, stampOf } from '../host';
import { HotPatchError } from '../model/errors';
import { cString, ElfFile, type OpenElfFile } from './file';

/** Where debug files of installed programs are. */
const DEBUG_DIRECTORIES: readonly string[] = ['/usr/lib/debug'];

/** Bytes that are read at a time. */
const BLOCK = 1 << 20;

/** The section `.gnu_debuglink`: a name that ends with a NUL, padding to four bytes, the checksum of the whole file. */
export function debugLinkOf(elf: ElfFile): { name: string; checksum: number } | undefined {
  const section = elf.section('.gnu_debuglink');
  if (!section) return undefined;
  const bytes = elf.data(section);
  const name = cString(bytes, 0);
  if (name === '' || name.includes('/') || bytes.length < 4) return undefined;
  return { name, checksum: bytes.readUInt32LE(bytes.length - 4) };
}

/** Was something taken out of a program that a debug file would have? */
export const isStripped = (elf: ElfFile): boolean =>
  elf.section('.debug_info') === undefined || elf.section('.symtab') === undefined;

/** The files that may be the debug file of a program and are there, in GDB's order.
 * @param path of the program, absolute
 * @param roots what stands before each path: the root directory of a process, and nothing for one's own
 * @param directories absolute; those of DEBUG_DIRECTORIES are looked into last
 * @returns their paths, and what tells the state of each from a later one */
export function debugFilesOf(
  elf: ElfFile,
  path: string,
  roots: readonly string[],
  directories: readonly string[],
): { path: string; stamp: string }[] {
  const global = [...directories, ...DEBUG_DIRECTORIES];
  const found = new Map<string, string>();
  for (const place of elf.derived(namesOf).flatMap((name) => placesOf(name, dirname(path), global)))
    for (const root of roots) {
      const stamp = stampOf(`${root}${place}`);
      if (stamp !== undefined && !found.has(stamp)) found.set(stamp, `${root}${place}`);
    }
  return [...found].map(([stamp, place]) => ({ path: place, stamp }));
}

interface DebugFileName {
  name: string;
  by: 'build-id' | 'link';
}

function namesOf(elf: ElfFile): DebugFileName[] {
  const names: DebugFileName[] = [];
  const id = elf.buildId();
  if (id !== undefined && id.length > 2)
    names.push({ name: `${id.slice(0, 2)}/${id.slice(2)}.debug`, by: 'build-id' });
  const link = debugLinkOf(elf);
  if (link) names.push({ name: link.name, by: 'link' });
  return names;
}

function placesOf({ name, by }: DebugFileName, directory: string, global: readonly string[]): string[] {
  if (by === 'build-id') return global.map((each) => join(each, '.build-id', name));
  const places = [directory, join(directory, '.debug'), ...global.map((each) => join(each, directory))];
  return places.map((place) => join(place, name));
}

/** A program together with its debug file, or why the file that is there is not taken. */
export type Joined = { elf: ElfFile; debug: OpenElfFile } | { problem: string };

/** Joins a program and the first of the debug files that belongs to it. Equal build ids are the proof; where one of the two
 * has none, it is the checksum.
 * @param paths of files that are there, at least one */
export function joinDebugFile(elf: ElfFile, paths: readonly string[]): Joined {
  const problems: string[] = [];
  for (const path of paths) {
    let debug: OpenElfFile | undefined;
    try {
      debug = ElfFile.open(path);
      if (belongsTo(elf, debug)) return { elf: elf.joined(debug), debug };
      problems.push(`${path} is of another build`);
    } catch (error) {
      if (!(error instanceof HotPatchError)) throw error;
      problems.push(error.message);
    }
    debug?.close();
  }
  return { problem: problems.join('; ') };
}

function belongsTo(elf: ElfFile, debug: ElfFile): boolean {
  const [own, its] = [elf.buildId(), debug.buildId()];
  if (own !== undefined && its !== undefined) return own === its;
  return debugLinkOf(elf)?.checksum === checksumOf(debug.path);
}

const CHECKSUMS = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The checksum of a file that `.gnu_debuglink` has: CRC-32 as in ISO 3309. Throws HostError. */
export function checksumOf(path: string): number {
  const file = openFile(path);
  try {
    let sum = 0xffffffff;
    for (let at = 0; at < file.size; at += BLOCK)
      for (const byte of file.read(at, Math.min(BLOCK, file.size - at)))
        sum = CHECKSUMS[(sum ^ byte) & 0xff]! ^ (sum >>> 8);
    return (sum ^ 0xffffffff) >>> 0;
  } finally {
    file.close();
  }
}
