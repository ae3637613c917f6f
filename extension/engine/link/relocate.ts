// Applies the relocations of a chunk at its final address: says what each field refers to, the architecture writes it.
import type { Architecture } from '../arch/architecture';
import type { Reference } from '../compare/object_references';
import { HotPatchError } from '../model/errors';
import { addressOfTarget, threadOffset } from './addresses';
import type { Indirections } from './indirections';
import type { LinkInput } from './input';
import type { Chunk, Target } from './select';

/** Code has an address of a library in itself: out of its reach, or known to the loader alone. Compile the unit so that it
 * goes through the GOT (the pipeline does, once). */
export class IndirectAccessNeeded extends HotPatchError {
  /** @param what of it code has in itself */
  constructor(name: string, what: string, place: { file: string; line?: number }) {
    super('unsupported-construct', `${name} lies in a library, and ${what}`, { ...place, symbol: name });
  }
}

export class Relocations {
  private readonly arch: Architecture;

  constructor(
    private readonly input: LinkInput,
    private readonly indirections: Indirections,
  ) {
    this.arch = input.live.module.arch;
  }

  /**
   * Writes one field.
   * @param at of the field in `bytes`
   * Throws HotPatchError out-of-reach, unsupported-relocation, unsupported-construct.
   */
  apply(bytes: Buffer, at: number, chunk: Chunk, reference: Reference): void {
    const { via, width } = reference.meaning;
    if (via === 'nothing') return;
    if (via === 'pc' && width === 1) return this.applyShort(bytes, at, chunk, reference);
    const target = this.input.selection.targetOf(chunk, reference);
    // The loader writes it, but not into code.
    if (via === 'absolute' && width === 8 && target.kind === 'import' && !chunk.fn) return;
    const place = chunk.address + reference.offset - chunk.start;
    const value = this.valueOf(reference, target, chunk, place);
    if (!this.arch.write(reference.type, bytes, at, value, place)) throw this.outOfReach(chunk, reference);
  }

  /** What a field refers to, as the architecture writes it. */
  private valueOf(reference: Reference, target: Target, chunk: Chunk, place: number): number {
    const { addend, beyond, meaning } = reference;
    switch (meaning.via) {
      case 'absolute':
        return meaning.width === 8 && target.kind !== 'import'
          ? addressOfTarget(target)
          : this.direct(chunk, reference, target, addend);
      case 'pc':
      case 'plt':
        if (meaning.width === 8) return addressOfTarget(target);
        // An undefined weak function is never called, but the call is there; gABI gives it the value 0.
        if (target.kind === 'absolute' && target.value === 0) return place;
        if (
          target.kind === 'import' &&
          target.weak &&
          this.indirections.useOf(chunk, reference, target) === 'call'
        )
          return place;
        // target has the addend and the way to the instruction's end in it: take the latter off for the field.
        return this.direct(chunk, reference, target, addend + beyond) - beyond;
      case 'got': {
        const { name } = chunk.object.symbol(reference.symbol);
        if (meaning.slot === 'thread-offset' && target.kind === 'import' && this.input.imports.isLate(name))
          throw this.indirectAccess(chunk, name, 'code counts on a place in each thread from its begin');
        return this.indirections.slotOf(meaning, target, name) + addend;
      }
      case 'thread-offset':
        if (target.kind === 'thread-local') return threadOffset(this.input.live, target.offset);
        break;
      case 'module-offset':
        if (target.kind === 'thread-local') return target.offset;
        break;
      default:
    }
    throw this.unsupported(chunk, reference);
  }

  private direct(chunk: Chunk, reference: Reference, target: Target, offset: number): number {
    const use = this.indirections.useOf(chunk, reference, target);
    const address = this.indirections.directAddress(target, offset, use);
    if (address === undefined) throw this.outOfReach(chunk, reference);
    return address;
  }

  /** Short branches to what was near in the object and is not here (a thunk's to its function): each leads to a jump
   * behind its function. */
  islandsOf(chunk: Chunk): Reference[] {
    return this.input.selection
      .referencesOf(chunk)
      .filter(({ meaning }) => meaning.via === 'pc' && meaning.width === 1);
  }

  private applyShort(bytes: Buffer, at: number, chunk: Chunk, reference: Reference): void {
    const number = this.islandsOf(chunk).indexOf(reference);
    // Offset of the jump in the object's section, behind the function.
    const island = chunk.end + number * this.arch.jumpSize;
    const place = (offset: number): number => chunk.address + offset - chunk.start;
    const value = place(island) - reference.beyond;
    if (!this.arch.write(reference.type, bytes, at, value, place(reference.offset)))
      throw new HotPatchError(
        'unsupported-construct',
        `${chunk.fn!.symbol.name} has a short branch to another function that cannot be made longer`,
        {
          ...this.input.locate(chunk.object, chunk.fn!.symbol.name),
          symbol: chunk.fn!.symbol.name,
        },
      );
    const target = this.input.selection.targetOf(chunk, reference);
    if (!this.arch.writeJump(bytes, at + island - reference.offset, place(island), addressOfTarget(target)))
      throw this.outOfReach(chunk, reference);
  }

  private outOfReach(chunk: Chunk, relocation: Reference): HotPatchError {
    const symbol = chunk.object.symbol(relocation.symbol);
    const target = this.input.selection.targetOf(chunk, relocation);
    const name = symbol.name || chunk.section.name;
    if (target.kind === 'import')
      return this.indirectAccess(chunk, name, 'code has its address without the GOT');
    return new HotPatchError('out-of-reach', `${name} is more than 2 GiB away from the patch`, {
      ...this.input.locate(chunk.object, chunk.fn?.symbol.name ?? name),
      symbol: name,
    });
  }

  private indirectAccess(chunk: Chunk, name: string, what: string): HotPatchError {
    return new IndirectAccessNeeded(
      name,
      what,
      this.input.locate(chunk.object, chunk.fn?.symbol.name ?? name),
    );
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
