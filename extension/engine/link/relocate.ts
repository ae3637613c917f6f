// Applies the relocations of a chunk at its final address (psABI, section 4.4.1, "Relocation Types").
import { JUMP_SIZE, writeJump } from '../arch/x86_64/instructions';
import type { Reference } from '../compare/object_references';
import * as abi from '../elf/constants';
import { HotPatchError } from '../model/errors';
import { write64 } from '../patch_format/note';
import { addressOfTarget, threadOffset, write64signed } from './addresses';
import type { Indirections } from './indirections';
import type { LinkInput } from './input';
import type { Chunk } from './select';

/** Code addresses a library's data directly, which only works within 2 GiB: compile the unit so that it goes
 * through the GOT (the pipeline does, once). */
export class IndirectAccessNeeded extends HotPatchError {
  constructor(name: string, place: { file: string; line?: number }) {
    super('out-of-reach', `${name} lies in a library more than 2 GiB away and is addressed directly`, {
      ...place,
      symbol: name,
    });
  }
}

export class Relocations {
  constructor(
    private readonly input: LinkInput,
    private readonly indirections: Indirections,
  ) {}

  /**
   * Writes one field.
   * @param at of the field in `bytes`
   * Throws HotPatchError out-of-reach, unsupported-relocation, unsupported-construct.
   */
  apply(bytes: Buffer, at: number, chunk: Chunk, relocation: Reference): void {
    const { selection } = this.input;
    const place = chunk.address + relocation.offset - chunk.start;
    const name = chunk.object.symbol(relocation.symbol).name;
    const target = selection.targetOf(chunk, relocation);
    // target has the addend and the way to the instruction's end in it: take the latter off for the field.
    const { beyond } = relocation;
    switch (relocation.type) {
      case abi.R_X86_64_NONE:
        return;
      case abi.R_X86_64_64:
        if (target.kind === 'import') return;
        write64(bytes, at, addressOfTarget(target));
        return;
      case abi.R_X86_64_32:
      case abi.R_X86_64_32S:
        this.writeAbsolute(
          bytes,
          at,
          this.indirections.directAddress(target, relocation.addend),
          relocation,
          chunk,
        );
        return;
      case abi.R_X86_64_PC32:
      case abi.R_X86_64_PLT32:
        // An undefined weak function is never called, but the call is there; gABI gives it the value 0.
        if ((target.kind === 'absolute' && target.value === 0) || (target.kind === 'import' && target.weak)) {
          bytes.writeInt32LE(0, at);
          return;
        }
        this.writeRelative(
          bytes,
          at,
          this.indirections.directAddress(target, relocation.addend + beyond) - beyond - place,
          chunk,
          relocation,
        );
        return;
      case abi.R_X86_64_PC8:
        this.applyShort(bytes, at, chunk, relocation);
        return;
      case abi.R_X86_64_PC64:
        write64signed(bytes, at, addressOfTarget(target) - place);
        return;
      case abi.R_X86_64_GOTPCREL:
      case abi.R_X86_64_GOTPCRELX:
      case abi.R_X86_64_REX_GOTPCRELX:
      case abi.R_X86_64_GOTTPOFF:
      case abi.R_X86_64_TLSGD:
      case abi.R_X86_64_TLSLD: {
        const slot = this.indirections.slotOf(relocation.type, target, name);
        this.writeRelative(bytes, at, slot + relocation.addend - place, chunk, relocation);
        return;
      }
      case abi.R_X86_64_DTPOFF32:
        if (target.kind !== 'thread-local') throw this.unsupported(chunk, relocation);
        bytes.writeInt32LE(target.offset, at);
        return;
      case abi.R_X86_64_DTPOFF64:
        if (target.kind !== 'thread-local') throw this.unsupported(chunk, relocation);
        write64signed(bytes, at, target.offset);
        return;
      case abi.R_X86_64_TPOFF32:
        if (target.kind !== 'thread-local') throw this.unsupported(chunk, relocation);
        bytes.writeInt32LE(threadOffset(this.input.live, target.offset), at);
        return;
      default:
        throw this.unsupported(chunk, relocation);
    }
  }

  /** Short branches to what was near in the object and is not here (a thunk's to its function): each leads to a jump
   * behind its function. */
  islandsOf(chunk: Chunk): Reference[] {
    return this.input.selection.referencesOf(chunk).filter(({ type }) => type === abi.R_X86_64_PC8);
  }

  private applyShort(bytes: Buffer, at: number, chunk: Chunk, reference: Reference): void {
    const number = this.islandsOf(chunk).indexOf(reference);
    const island = chunk.end + number * JUMP_SIZE;
    const displacement = island - (reference.offset + reference.beyond);
    if (displacement > 0x7f)
      throw new HotPatchError(
        'unsupported-construct',
        `${chunk.fn!.symbol.name} has a short branch to another function that cannot be made longer`,
        {
          ...this.input.locate(chunk.object, chunk.fn!.symbol.name),
          symbol: chunk.fn!.symbol.name,
        },
      );
    bytes.writeInt8(displacement, at);
    const from = at + island - reference.offset;
    writeJump(bytes, from);
    const place = chunk.address + island - chunk.start + JUMP_SIZE;
    const target = this.input.selection.targetOf(chunk, reference);
    this.writeRelative(bytes, from + JUMP_SIZE - 4, addressOfTarget(target) - place, chunk, reference);
  }

  private writeRelative(bytes: Buffer, at: number, value: number, chunk: Chunk, relocation: Reference): void {
    if (value < -0x8000_0000 || value > 0x7fff_ffff) throw this.outOfReach(chunk, relocation);
    bytes.writeInt32LE(value, at);
  }

  private writeAbsolute(bytes: Buffer, at: number, value: number, relocation: Reference, chunk: Chunk): void {
    const signed = relocation.type === abi.R_X86_64_32S;
    if (value < (signed ? -0x8000_0000 : 0) || value > (signed ? 0x7fff_ffff : 0xffff_ffff))
      throw this.outOfReach(chunk, relocation);
    bytes.writeUInt32LE(value >>> 0, at);
  }

  private outOfReach(chunk: Chunk, relocation: Reference): HotPatchError {
    const symbol = chunk.object.symbol(relocation.symbol);
    const target = this.input.selection.targetOf(chunk, relocation);
    const name = symbol.name || chunk.section.name;
    if (target.kind === 'import')
      return new IndirectAccessNeeded(name, this.input.locate(chunk.object, chunk.fn?.symbol.name ?? name));
    return new HotPatchError('out-of-reach', `${name} is more than 2 GiB away from the patch`, {
      ...this.input.locate(chunk.object, chunk.fn?.symbol.name ?? name),
      symbol: name,
    });
  }

  private unsupported(chunk: Chunk, relocation: Reference): HotPatchError {
    const symbol = chunk.object.symbol(relocation.symbol);
    return new HotPatchError(
      'unsupported-relocation',
      `Relocation type ${relocation.type} against ${symbol.name || chunk.section.name} in ${chunk.section.name}`,
      { ...this.input.locate(chunk.object, chunk.fn?.symbol.name ?? symbol.name), symbol: symbol.name },
    );
  }
}
