// Changes an ELF file where it hurts: in its headers, tables, notes and debug sections, at fields and with values that
// readers trip over (sizes that wrap, offsets that lead back, counts without end). The same seed makes the same file.
import { ElfFile, type Section } from '../../extension/engine/elf/file';

/** A small generator (xorshift32), so that a finding is a number and not a file. */
export function random(seed: number): (below: number) => number {
  let state = (seed * 2654435761) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

/** Contents that are structures; code and read-only data are of no interest. */
const STRUCTURED =
  /^\.(debug_|zdebug_|eh_frame|gcc_except_table|note|symtab|dynsym|dynstr|strtab|shstrtab|rela|gnu\.version|group|dynamic)/;

const VALUES = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffff4, 0xffffffff,
];

interface Range {
  start: number;
  length: number;
  /** Of its fields: what is written begins at a multiple of it. */
  step: number;
}

/** Where a file may be changed. */
export function targets(bytes: Buffer): Range[] {
  const elf = ElfFile.parse('seed', bytes);
  const headers: Range[] = [
    { start: 16, length: 48, step: 2 },
    { start: Number(bytes.readBigUInt64LE(40)), length: 64 * elf.sections.length, step: 4 },
    { start: Number(bytes.readBigUInt64LE(32)), length: 56 * elf.segments.length, step: 4 },
  ];
  const inside = ({ offset, size }: Section): boolean => size > 0 && offset + size <= bytes.length;
  const contents = elf.sections
    .filter((section) => section.type !== 8 && STRUCTURED.test(section.name) && inside(section))
    .map(({ offset, size }): Range => ({ start: offset, length: size, step: 1 }));
  return [...headers, ...contents].filter(({ length }) => length > 0);
}

export function mutate(seed: Buffer, ranges: readonly Range[], number: number): Buffer {
  const pick = random(number);
  const bytes = Buffer.from(seed);
  for (let changes = 1 + pick(4); changes > 0; changes--) {
    const range = ranges[pick(ranges.length)]!;
    const at = range.start + pick(Math.max(1, Math.floor(range.length / range.step))) * range.step;
    change(bytes, at, Math.min(bytes.length, range.start + range.length), pick);
  }
  return pick(50) === 0 ? bytes.subarray(0, pick(bytes.length)) : bytes;
}

function change(bytes: Buffer, at: number, end: number, pick: (below: number) => number): void {
  const room = end - at;
  const value = VALUES[pick(VALUES.length)]!;
  switch (pick(8)) {
    case 0:
      if (room >= 1) bytes[at] = pick(256);
      break;
    case 1:
      if (room >= 1) bytes[at] = value & 0xff;
      break;
    case 2:
      if (room >= 2) bytes.writeUInt16LE(value & 0xffff, at);
      break;
    case 3:
      if (room >= 4) bytes.writeUInt32LE(value, at);
      break;
    case 4:
      if (room >= 8) bytes.writeBigUInt64LE((BigInt(value) << BigInt(pick(33))) & 0xffff_ffff_ffff_ffffn, at);
      break;
    case 5: // a LEB128 number that is long, or does not end
      bytes.fill(0xff, at, Math.min(end, at + 1 + pick(12)));
      break;
    case 6: // a little more or less
      if (room >= 4) bytes.writeUInt32LE((bytes.readUInt32LE(at) + pick(17) - 8) >>> 0, at);
      break;
    default: {
      // the same again somewhere else
      const length = Math.min(room, 1 + pick(32));
      bytes.copyWithin(at, Math.max(0, at - pick(64)), Math.max(0, at - pick(64)) + length);
    }
  }
}
