// Symbols and debug information in a file of their own, as `objcopy --only-keep-debug` writes them (GDB's manual,
// "Debugging Information in Separate Files"), and what it has in common with other programs (dwz): where such a file may
// lie, and whether it belongs to a program. A file that does not is never used: it would describe another build.
import { dirname, join, resolve } from 'node:path';
import { openFile, realPathOrSelf, stampOf } from '../host';
import { HotPatchError } from '../model/errors';
import { cString, ElfFile, type OpenElfFile } from './file';
import { afterLeb } from './leb128';

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

/** A file that is there. */
export interface DebugFile {
  path: string;
  /** Tells its state from a later one. */
  stamp: string;
}

/** The files that may be the debug file of a program and are there, in GDB's order.
 * @param path of the program, absolute
 * @param roots what stands before each path: the root directory of a process, and nothing for one's own
 * @param directories absolute; those of DEBUG_DIRECTORIES are looked into last */
export function debugFilesOf(
  elf: ElfFile,
  path: string,
  roots: readonly string[],
  directories: readonly string[],
): DebugFile[] {
  const global = [...directories, ...DEBUG_DIRECTORIES];
  const places = elf.derived(namesOf).flatMap((name) => placesOf(name, dirname(path), global));
  return present(places.flatMap((place) => roots.map((root) => `${root}${place}`)));
}

function present(paths: readonly string[]): DebugFile[] {
  const found = new Map<string, string>();
  for (const path of paths) {
    const stamp = stampOf(path);
    if (stamp !== undefined && !found.has(stamp)) found.set(stamp, path);
  }
  return [...found].map(([stamp, path]) => ({ path, stamp }));
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

/** The file that a program, or its debug file, has parts of its debug information in: by the section `.gnu_debugaltlink`
 * of dwz (a name that ends with a NUL, and a build id), or by `.debug_sup` (DWARF 5, 7.3.6), where the checksum is that
 * build id too. */
function supplementLinkOf(elf: ElfFile): { name: string; id: string; from: ElfFile | undefined } | undefined {
  const section = elf.section('.gnu_debugaltlink') ?? elf.section('.debug_sup');
  if (!section) return undefined;
  const bytes = elf.data(section);
  const standard = section.name === '.debug_sup';
  // Version and whether this is the supplementary file itself.
  const start = standard ? 3 : 0;
  if (standard && (bytes.length < start || bytes[2] !== 0)) return undefined;
  const name = cString(bytes, start);
  const behind = start + Buffer.byteLength(name) + 1;
  const id = standard ? bytes.subarray(afterLeb(bytes, behind)) : bytes.subarray(behind);
  return name === '' || id.length < 2
    ? undefined
    : { name, id: id.toString('hex'), from: elf.homeOf(section) };
}

/** The files that may be the supplementary file of a program and are there; as `debugFilesOf`. */
export function supplementsOf(
  elf: ElfFile,
  path: string,
  roots: readonly string[],
  directories: readonly string[],
): DebugFile[] {
  const link = supplementLinkOf(elf);
  if (!link) return [];
  const byId = `${link.id.slice(0, 2)}/${link.id.slice(2)}.debug`;
  const global = [...directories, ...DEBUG_DIRECTORIES].map((each) => join(each, '.build-id', byId));
  // A relative name counts from the file that has it, which for a debug file is known with its root.
  const beside = link.from
    ? [resolve(dirname(realPathOrSelf(link.from.path)), link.name)]
    : roots.map((root) => `${root}${resolve(dirname(path), link.name)}`);
  return present([...beside, ...roots.flatMap((root) => global.map((place) => `${root}${place}`))]);
}

/** A program together with the file that has the rest of it, or why that file is not taken. */
export type Joined = { elf: ElfFile; other: OpenElfFile } | { problem: string };

/** Joins a program and the first of the debug files that belongs to it. Equal build ids are the proof; where one of the two
 * has none, it is the checksum.
 * @param files that are there, at least one */
export const joinDebugFile = (elf: ElfFile, files: readonly DebugFile[]): Joined =>
  firstThatFits(files, (debug) => (belongsTo(elf, debug) ? elf.joined(debug) : undefined));

/** The same with the supplementary files, of which the build id is in the program. */
export const joinSupplement = (elf: ElfFile, files: readonly DebugFile[]): Joined =>
  firstThatFits(files, (other) =>
    other.buildId() === supplementLinkOf(elf)?.id ? elf.supplementedBy(other) : undefined,
  );

function firstThatFits(files: readonly DebugFile[], join: (other: ElfFile) => ElfFile | undefined): Joined {
  const problems: string[] = [];
  for (const { path } of files) {
    let other: OpenElfFile | undefined;
    try {
      other = ElfFile.open(path);
      const whole = join(other);
      if (whole) return { elf: whole, other };
      problems.push(`${path} is of another build`);
    } catch (error) {
      if (!(error instanceof HotPatchError)) throw error;
      problems.push(error.message);
    }
    other?.close();
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
