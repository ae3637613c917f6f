// Writes generated patch files (docs/PROTOCOL.md, section 4) for tests of the runtime, without the engine: gcc
// compiles and links the new functions at their place, and the note and its tables are filled in afterwards.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The module that the patch is for, as it lies in the process. */
export interface PatchedModule {
  path: string;
  bias: bigint;
  buildId: string;
}

export interface PatchedFunction {
  /** Symbol of the old function; names the fix. */
  name: string;
  entry: bigint;
  /** Symbol of the new one in the patch. */
  target: string;
  /** Sixteen bytes at the entry, in hex. */
  original: string;
  size: number;
  /** Bytes from the entry that may be overwritten; the padding up to the next function counts. */
  room?: number;
  jumpOffset?: number;
  /** Every byte may begin an instruction, unless this says otherwise. */
  boundaries?: number;
}

export interface GuardedCode {
  name: string;
  start: bigint;
  length: number;
}

export interface PatchContent {
  /** C or C++ text of the new functions. */
  source: string;
  /** Page-aligned place of the patch. */
  address: bigint;
  module: PatchedModule;
  functions: PatchedFunction[];
  guards?: GuardedCode[];
  language?: 'c' | 'c++';
  flags?: string[];
  /** The note's flag 0: never unmap it. */
  permanent?: boolean;
  /** Objects to construct: symbols of the patch. */
  objects?: { name: string; construct?: string; argument?: string; destroy?: string }[];
}

const noteSize = 128;
const objectSize = 32;
const fixSize = 80;
const guardSize = 24;

/** Room for the tables, and the marks at both ends of .eh_frame (linked first and last). */
function tables(functions: number, guards: number, objects: number, names: string[]): string {
  const texts = names.map((name, i) => `name_${i}: .asciz ${JSON.stringify(name)}`);
  return `
  .section .note.hot_fix,"a",@note
  .p2align 2
  .long 8, ${noteSize}, 1
  .asciz "hot_fix"
note: .zero ${noteSize}
  .section .eh_frame,"a",@progbits
frames:
  .section .hot_fix.tables,"a",@progbits
  .p2align 3
fixes: .fill ${functions * fixSize}
guards: .fill ${guards * guardSize}
objects: .fill ${objects * objectSize}
  ${texts.join('\n  ')}
  .section .note.GNU-stack,"",@progbits
`;
}

/** Addresses and sizes of the file's symbols. */
function symbolsOf(file: string): Map<string, { address: bigint; size: number }> {
  const rows = execFileSync('nm', ['-S', '--defined-only', file], { encoding: 'utf8' }).trimEnd().split('\n');
  return new Map(
    rows.map((row) => {
      const fields = row.split(' ');
      const size = fields.length === 4 ? parseInt(fields[1]!, 16) : 0;
      return [fields.at(-1)!, { address: BigInt(`0x${fields[0]!}`), size }];
    }),
  );
}

/** File offset of an address, by the program headers (gABI, chapter 5). */
export function fileOffset(elf: Buffer, address: bigint): number {
  const table = Number(elf.readBigUInt64LE(32));
  for (let i = 0; i < elf.readUInt16LE(56); i++) {
    const header = table + i * 56;
    const offset = elf.readBigUInt64LE(header + 8);
    const start = elf.readBigUInt64LE(header + 16);
    const size = elf.readBigUInt64LE(header + 32);
    if (elf.readUInt32LE(header) === 1 && address >= start && address < start + size) {
      return Number(address - start + offset);
    }
  }
  throw new Error(`0x${address.toString(16)} is not in the file`);
}

/** Writes `DIRECTORY/NAME.so` and returns its path. */
export function writePatchFile(directory: string, name: string, content: PatchContent): string {
  const { module, functions, guards = [], objects = [], language = 'c', flags = [] } = content;
  const names = [module.path, ...[...functions, ...guards, ...objects].map(({ name: text }) => text)];
  const begin = join(directory, `${name}.begin.s`);
  const end = join(directory, `${name}.end.s`);
  const source = join(directory, `${name}.${language === 'c' ? 'c' : 'cc'}`);
  const file = join(directory, `${name}.so`);
  writeFileSync(begin, tables(functions.length, guards.length, objects.length, names));
  writeFileSync(
    end,
    '.section .eh_frame,"a",@progbits\n.long 0\nframes_end:\n.section .note.GNU-stack,"",@progbits\n',
  );
  writeFileSync(source, content.source);
  const place = `-Wl,-Ttext-segment=0x${content.address.toString(16)}`;
  const libraries = language === 'c' ? ['-lc'] : ['-lstdc++', '-lgcc_s', '-lc'];
  execFileSync('gcc', [
    ...['-shared', '-nostartfiles', '-nodefaultlibs', '-fPIC', '-O1', '-g', '-Wl,--build-id=none'],
    ...['-Wl,--no-ld-generated-unwind-info', '-Wl,--no-eh-frame-hdr', place, ...flags],
    ...[begin, source, end, '-o', file, ...libraries],
  ]);

  const symbols = symbolsOf(file);
  const at = (symbol: string) => {
    const found = symbols.get(symbol);
    if (!found) throw new Error(`${file} has no ${symbol}`);
    return found;
  };
  const elf = readFileSync(file);
  const note = fileOffset(elf, at('note').address);
  elf.writeUInt32LE(2, note);
  elf.writeUInt32LE(fixSize, note + 4);
  elf.writeBigUInt64LE(module.bias, note + 8);
  elf.writeBigUInt64LE(at('name_0').address, note + 16);
  elf.write(module.buildId, note + 24, 'hex');
  elf.writeUInt32LE(module.buildId.length / 2, note + 56);
  elf.writeUInt32LE(functions.length, note + 60);
  elf.writeBigUInt64LE(at('fixes').address, note + 64);
  elf.writeBigUInt64LE(at('guards').address, note + 72);
  elf.writeUInt32LE(guards.length, note + 80);
  elf.writeUInt32LE(content.permanent ? 1 : 0, note + 84);
  elf.writeBigUInt64LE(at('frames').address, note + 88);
  elf.writeBigUInt64LE(at('frames_end').address - at('frames').address, note + 96);
  elf.writeBigUInt64LE(at('objects').address, note + 104);
  elf.writeUInt32LE(objects.length, note + 120);
  functions.forEach((fix, i) => {
    const entry = fileOffset(elf, at('fixes').address) + i * fixSize;
    elf.writeBigUInt64LE(fix.entry, entry);
    elf.writeBigUInt64LE(BigInt(fix.room ?? Math.max(fix.size, 16)), entry + 8);
    elf.writeBigUInt64LE(at(fix.target).address, entry + 16);
    elf.writeBigUInt64LE(BigInt(at(fix.target).size), entry + 24);
    elf.writeBigUInt64LE(at(`name_${i + 1}`).address, entry + 32);
    elf.writeUInt32LE(fix.jumpOffset ?? 0, entry + 40);
    elf.writeUInt32LE(fix.boundaries ?? 0x1f, entry + 44);
    elf.write(fix.original, entry + 48, 'hex');
    elf.writeUInt32LE(fix.original.length / 2, entry + 64);
    elf.writeUInt32LE(fix.size, entry + 68);
  });
  guards.forEach((guard, i) => {
    const entry = fileOffset(elf, at('guards').address) + i * guardSize;
    elf.writeBigUInt64LE(guard.start, entry);
    elf.writeBigUInt64LE(BigInt(guard.length), entry + 8);
    elf.writeBigUInt64LE(at(`name_${1 + functions.length + i}`).address, entry + 16);
  });
  objects.forEach((object, i) => {
    const entry = fileOffset(elf, at('objects').address) + i * objectSize;
    [object.construct, object.argument, object.destroy].forEach((symbol, field) => {
      if (symbol !== undefined) elf.writeBigUInt64LE(at(symbol).address, entry + 8 * field);
    });
    elf.writeBigUInt64LE(at(`name_${1 + functions.length + guards.length + i}`).address, entry + 24);
  });
  writeFileSync(file, elf);
  return file;
}
