// Relative relocations in packed form, which linkers write for -z pack-relative-relocs (gABI, "Relative Relocation Table").
// The addend of each lies where it applies.
import * as abi from './constants';
import type { ElfFile } from './file';
import { number64 } from './integers';

/** Bytes of an entry and of what it relocates. */
const WORD = 8;
/** Words that a bitmap is about: its lowest bit says that it is one. */
const BITS = 63;

/** @returns the virtual addresses at which they apply */
export function packedRelocations(elf: ElfFile): number[] {
  const found: number[] = [];
  for (const section of elf.sections) {
    if (section.type !== abi.SHT_RELR || !(section.flags & abi.SHF_ALLOC)) continue;
    const data = elf.data(section);
    let next = 0;
    for (let at = 0; at + WORD <= data.length; at += WORD) {
      // An even entry is an address; an odd one is a bitmap of the words behind what came before.
      if ((data[at]! & 1) === 0) {
        const address = number64(data, at);
        found.push(address);
        next = address + WORD;
        continue;
      }
      const bitmap = data.readBigUInt64LE(at);
      for (let bit = 0; bit < BITS; bit++)
        if ((bitmap >> BigInt(bit + 1)) & 1n) found.push(next + bit * WORD);
      next += BITS * WORD;
    }
  }
  return found;
}
