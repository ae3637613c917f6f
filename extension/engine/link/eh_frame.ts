// Call frame information of the functions that go into a patch: the CIEs and FDEs of the object's .eh_frame that
// concern them, and no others (LSB Core, "Exception Frames"; DWARF 5, section 6.4). Used by the selection, which
// keeps what they refer to, and by the writer, which places them. Interprets no call frame instructions.
import * as abi from '../elf/constants';
import type { ElfSymbol, Relocation } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';

/** A CIE or FDE: its bytes with the length word, and the relocations in it (offsets from its start). */
export interface FrameEntry {
  bytes: Buffer;
  relocations: Relocation[];
}

export interface FrameDescription {
  cie: FrameEntry;
  fde: FrameEntry;
}

export class Unwind {
  private readonly byFunction = new Map<ObjectFunction, FrameDescription[]>();

  constructor(private readonly object: ObjectFile) {}

  add(fn: ObjectFunction, description: FrameDescription): void {
    const list = this.byFunction.get(fn);
    if (list) list.push(description);
    else this.byFunction.set(fn, [description]);
  }

  of(fn: ObjectFunction): readonly FrameDescription[] {
    return this.byFunction.get(fn) ?? [];
  }

  /** What the frames of a function refer to besides code: personality routine and language-specific data. */
  references(fn: ObjectFunction): { symbol: ElfSymbol; offset: number }[] {
    const references: { symbol: ElfSymbol; offset: number }[] = [];
    for (const { cie, fde } of this.of(fn))
      for (const relocation of [...cie.relocations, ...fde.relocations]) {
        const symbol = this.object.symbol(relocation.symbol);
        const section = this.object.sectionOf(symbol);
        if (section && section.flags & abi.SHF_EXECINSTR) continue;
        references.push({ symbol, offset: relocation.addend });
      }
    return references;
  }
}

/** Splits the .eh_frame of an object by function. An object without one (or a malformed one) has no frames. */
export function readUnwind(object: ObjectFile): Unwind {
  const unwind = new Unwind(object);
  for (const section of object.elf.sections) {
    if (section.name !== '.eh_frame' || section.type === abi.SHT_NOBITS) continue;
    const data = object.elf.data(section);
    const cies = new Map<number, FrameEntry>();
    for (let at = 0; at + 8 <= data.length;) {
      const length = data.readUInt32LE(at);
      // A zero length ends the section; the 64-bit form (0xffffffff) is not used on x86-64.
      if (length === 0 || length === 0xffffffff || at + 4 + length > data.length) break;
      const end = at + 4 + length;
      const entry: FrameEntry = {
        bytes: data.subarray(at, end),
        relocations: object
          .relocationsIn(section, at, end)
          .map((relocation) => ({ ...relocation, offset: relocation.offset - at })),
      };
      const id = data.readUInt32LE(at + 4);
      if (id === 0) cies.set(at, entry);
      else {
        const cie = cies.get(at + 4 - id);
        const begin = entry.relocations.find((relocation) => relocation.offset === 8);
        const symbol = begin && object.symbol(begin.symbol);
        const code = symbol && object.sectionOf(symbol);
        const fn = code && object.functionAt(code, symbol.value + begin.addend);
        if (cie && fn) unwind.add(fn, { cie, fde: entry });
      }
      at = end;
    }
  }
  return unwind;
}
