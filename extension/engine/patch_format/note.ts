// The note of a generated patch file that tells the runtime what it is for and which entries to redirect
// (docs/PROTOCOL.md, section 4). Written by the linker, read back by the comparison and by the runtime (C++).
import * as abi from '../elf/constants';
import { type ElfFile, findNote } from '../elf/file';

const NOTE_OWNER = 'hot_fix';
const NOTE_TYPE = 1;
export const NOTE_SIZE = 128;
export const FIX_SIZE = 80;
export const GUARD_SIZE = 24;
export const OBJECT_SIZE = 32;
const FORMAT = 2;

/** One function to redirect. Addresses are those in the process. */
export interface Fix {
  entry: number;
  /** Bytes from the entry that may be overwritten: the function and the padding behind it. */
  entrySize: number;
  target: number;
  targetSize: number;
  symbol: string;
  jumpOffset: number;
  boundaries: number;
  /** Original bytes at the entry, 16 at most. */
  original: Buffer;
  /** Size of the old function, for the stack scan. */
  oldSize: number;
  /** The function itself, where code that keeps registers stands before it; else the target. */
  body: number;
  /** The registers that the code before the body keeps (as arch/ numbers them). */
  preserved: number;
}

/** Code that must not be running, nor be returned into, at the moment of patching. */
export interface Guard {
  start: number;
  length: number;
  name: string;
}

export interface PatchNote {
  moduleBias: number;
  modulePath: number;
  /** Hexadecimal, or undefined when the module has none. */
  buildId: string | undefined;
  fixes: number;
  fixCount: number;
  guards: number;
  guardCount: number;
  /** Something outside may hold addresses in the patch (its variables, string literals, new functions). */
  permanent: boolean;
  ehFrame: number;
  ehFrameSize: number;
  /** Address of the table of objects, 0 without one. */
  objects: number;
  objectCount: number;
  /** `__dso_handle` of the module (Itanium C++ ABI, 3.3.5); 0 when it has none. */
  dsoHandle: number;
}

export function write64(bytes: Buffer, offset: number, value: number): void {
  bytes.writeUInt32LE((value % 0x1_0000_0000) >>> 0, offset);
  bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000) >>> 0, offset + 4);
}

/** The whole note (header, owner, descriptor). */
export function encodeNote(note: PatchNote): Buffer {
  const bytes = Buffer.alloc(12 + 8 + NOTE_SIZE);
  bytes.writeUInt32LE(NOTE_OWNER.length + 1, 0);
  bytes.writeUInt32LE(NOTE_SIZE, 4);
  bytes.writeUInt32LE(NOTE_TYPE, 8);
  bytes.write(NOTE_OWNER, 12, 'latin1');
  const at = bytes.subarray(20);
  const id = Buffer.from(note.buildId ?? '', 'hex').subarray(0, 32);
  at.writeUInt32LE(FORMAT, 0);
  at.writeUInt32LE(FIX_SIZE, 4);
  write64(at, 8, note.moduleBias);
  write64(at, 16, note.modulePath);
  id.copy(at, 24);
  at.writeUInt32LE(id.length, 56);
  at.writeUInt32LE(note.fixCount, 60);
  write64(at, 64, note.fixes);
  write64(at, 72, note.guards);
  at.writeUInt32LE(note.guardCount, 80);
  at.writeUInt32LE(note.permanent ? 1 : 0, 84);
  write64(at, 88, note.ehFrame);
  write64(at, 96, note.ehFrameSize);
  write64(at, 104, note.objects);
  write64(at, 112, note.dsoHandle);
  at.writeUInt32LE(note.objectCount, 120);
  return bytes;
}

/** One entry of the table of fixes. @param name address of the symbol name in the patch */
export function encodeFix(fix: Fix, name: number): Buffer {
  const bytes = Buffer.alloc(FIX_SIZE);
  write64(bytes, 0, fix.entry);
  write64(bytes, 8, fix.entrySize);
  write64(bytes, 16, fix.target);
  write64(bytes, 24, fix.targetSize);
  write64(bytes, 32, name);
  bytes.writeUInt32LE(fix.jumpOffset, 40);
  bytes.writeUInt32LE(fix.boundaries, 44);
  const original = fix.original.subarray(0, 16);
  original.copy(bytes, 48);
  bytes.writeUInt32LE(original.length, 64);
  bytes.writeUInt32LE(fix.oldSize, 68);
  bytes.writeUInt32LE(fix.body - fix.target, 72);
  bytes.writeUInt32LE(fix.preserved >>> 0, 76);
  return bytes;
}

export function encodeGuard(guard: Guard, name: number): Buffer {
  const bytes = Buffer.alloc(GUARD_SIZE);
  write64(bytes, 0, guard.start);
  write64(bytes, 8, guard.length);
  write64(bytes, 16, name);
  return bytes;
}

/** One entry of the table of objects; addresses, 0 for none. */
export interface EncodedObject {
  construct: number;
  argument: number;
  destroy: number;
}

/** @param name address of the object's name in the patch */
export function encodeObject({ construct, argument, destroy }: EncodedObject, name: number): Buffer {
  const bytes = Buffer.alloc(OBJECT_SIZE);
  [construct, argument, destroy, name].forEach((address, field) => write64(bytes, field * 8, address));
  return bytes;
}

export type WrittenFix = Pick<Fix, 'entry' | 'target' | 'body' | 'preserved'>;

/** A patch file's fixes, as far as later saves ask for them; empty when it has no such note. */
export function readFixes(elf: ElfFile): WrittenFix[] {
  return readTable(elf, 64, 60, FIX_SIZE).map((fix) => {
    const target = read64(fix, 16);
    return {
      entry: read64(fix, 0),
      target,
      body: target + fix.readUInt32LE(72),
      preserved: fix.readInt32LE(76),
    };
  });
}

/** Functions that were called for a patch file's objects, or are to be called at exit, as far as they are its own. */
export function readConstructors(elf: ElfFile): number[] {
  return readTable(elf, 104, 120, OBJECT_SIZE).flatMap((object) =>
    [read64(object, 0), read64(object, 16)].filter((address) => address !== 0),
  );
}

/** The entries of a table that the note names: its address and its length stand at these offsets of the note. */
function readTable(elf: ElfFile, addressAt: number, countAt: number, size: number): Buffer[] {
  for (const segment of elf.segments) {
    if (segment.type !== abi.PT_NOTE) continue;
    const notes = elf.loaded(segment.address, segment.fileSize);
    const note = notes && findNote(notes, NOTE_OWNER, NOTE_TYPE);
    if (!note || note.length < NOTE_SIZE || note.readUInt32LE(0) !== FORMAT) continue;
    const count = note.readUInt32LE(countAt);
    const table = elf.loaded(read64(note, addressAt), count * size);
    if (!table) return [];
    return Array.from({ length: count }, (_, i) => table.subarray(i * size, (i + 1) * size));
  }
  return [];
}

function read64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
}
