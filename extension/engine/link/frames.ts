// `.eh_frame` of the patch (LSB Core, "Exception Frames"): the records of its functions, and of the code before them that
// keeps registers.
import type { RegisterKeeper } from '../arch/architecture';
import * as abi from '../elf/constants';
import type { Relocation } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { plainCie, plainFde } from './eh_frame';
import type { Indirections } from './indirections';
import type { AddressOf, LinkInput } from './input';

export class Frames {
  private readonly keeperFrames: { at: number; fn: ObjectFunction }[] = [];
  private readonly fields: { at: number; object: ObjectFile; relocation: Relocation; fn: ObjectFunction }[] =
    [];
  private readonly bytes: Buffer;

  constructor(
    private readonly input: LinkInput,
    private readonly keepers: ReadonlyMap<ObjectFunction, RegisterKeeper>,
    private readonly indirections: Indirections,
    private readonly addressOf: AddressOf,
  ) {
    this.bytes = this.collect();
  }

  /** Bytes of the section. */
  get size(): number {
    return this.bytes.length;
  }

  content(): Buffer {
    const bytes = Buffer.from(this.bytes);
    const start = this.addressOf('.eh_frame');
    for (const { at, object, relocation, fn } of this.fields) {
      const symbol = object.symbol(relocation.symbol);
      const section = object.sectionOf(symbol);
      let value: number | undefined;
      if (section && section.flags & abi.SHF_EXECINSTR) {
        const code = this.input.selection.codeOf(fn)!;
        value = code.address + symbol.value + relocation.addend - code.start;
      } else
        value = this.indirections.directAddress(
          this.input.selection.target(object, symbol, relocation.addend),
          relocation.addend,
          'call',
        );
      if (value === undefined) throw new Error(`${symbol.name} was given no stub`);
      if (!this.input.live.module.arch.write(relocation.type, bytes, at, value, start + at))
        throw new Error(`${value.toString(16)} does not fit into the frames of ${fn.symbol.name}`);
    }
    for (const { at, fn } of this.keeperFrames) {
      const code = this.input.selection.codeOf(fn)!.address - this.keepers.get(fn)!.code.length;
      bytes.writeInt32LE(code - (start + at), at);
    }
    return bytes;
  }

  private collect(): Buffer {
    const pieces: Buffer[] = [];
    let at = 0;
    const cies = new Map<Buffer, number>();
    const emit = (
      bytes: Buffer,
      relocations: Relocation[],
      object: ObjectFile,
      fn: ObjectFunction,
    ): number => {
      const start = at;
      const copy = Buffer.from(bytes);
      pieces.push(copy);
      at += copy.length;
      for (const relocation of relocations)
        this.fields.push({ at: start + relocation.offset, object, relocation, fn });
      return start;
    };
    for (const chunk of this.input.selection.chunks) {
      if (!chunk.fn) continue;
      for (const { cie, fde } of this.input.selection.unwinds.get(chunk.object)?.of(chunk.fn) ?? []) {
        let start = cies.get(cie.bytes);
        if (start === undefined) {
          start = emit(cie.bytes, cie.relocations, chunk.object, chunk.fn);
          cies.set(cie.bytes, start);
        }
        const fdeStart = emit(fde.bytes, fde.relocations, chunk.object, chunk.fn);
        pieces[pieces.length - 1]!.writeUInt32LE(fdeStart + 4 - start, 4);
      }
    }
    if (this.keepers.size > 0) {
      const start = at;
      pieces.push(plainCie(this.input.live.module.arch.initialFrame));
      at += pieces[pieces.length - 1]!.length;
      for (const [fn, keeper] of this.keepers) {
        const fde = plainFde(at + 4 - start, keeper.code.length, keeper.frame);
        this.keeperFrames.push({ at: at + 8, fn });
        pieces.push(fde);
        at += fde.length;
      }
    }
    if (pieces.length === 0) return Buffer.alloc(0);
    return Buffer.concat([...pieces, Buffer.alloc(4)]);
  }
}
