// Slots of the patch's global offset table and stubs of its procedure linkage table: which ones the code asks for, what they hold, and what of it the process's loader fills in.
import { type Architecture, isPointer, type Meaning } from '../arch/architecture';
import type { Reference } from '../compare/object_references';
import { write64 } from '../patch_format/note';
import { addressOfTarget, threadOffset, write64signed } from './addresses';
import type { DynamicTables } from './dynamic';
import type { AddressOf, LinkInput } from './input';
import type { Chunk, Target } from './select';

export class Indirections {
  private readonly stubs = new Map<string, number>();
  private readonly slots = new Map<string, number>();
  private slotBytes = 0;
  private readonly arch: Architecture;

  /** GOT slots and PLT stubs that the chunks' relocations ask for. */
  constructor(
    private readonly input: LinkInput,
    private readonly addressOf: AddressOf,
  ) {
    this.arch = input.live.module.arch;
    for (const chunk of this.input.selection.chunks)
      for (const relocation of this.input.selection.referencesOf(chunk)) {
        const target = this.input.selection.targetOf(chunk, relocation);
        const name = chunk.object.symbol(relocation.symbol).name;
        const { meaning } = relocation;
        if (meaning.via === 'got') {
          const words = meaning.slot === 'module-and-offset' || meaning.slot === 'module' ? 2 : 1;
          this.slot(slotKey(meaning, target, name), words);
        } else if (target.kind === 'import' && this.needsStub(chunk, relocation, target))
          this.stub(target.name);
      }
    // The personality routine, where frames name it directly (code that is not position-independent).
    for (const chunk of this.input.selection.chunks) {
      if (!chunk.fn) continue;
      for (const { symbol, offset } of this.input.selection.unwinds.get(chunk.object)?.references(chunk.fn) ??
        []) {
        const target = this.input.selection.target(chunk.object, symbol, offset);
        if (target.kind === 'import' && target.isFunction) this.stub(target.name);
      }
    }
  }

  private slot(key: string, words: number): number {
    const known = this.slots.get(key);
    if (known !== undefined) return known;
    const offset = this.slotBytes;
    this.slotBytes += words * 8;
    this.slots.set(key, offset);
    return offset;
  }

  private stub(name: string): number {
    const known = this.stubs.get(name);
    if (known !== undefined) return known;
    const offset = this.stubs.size * this.arch.stubSize;
    this.stubs.set(name, offset);
    this.slot(`import:${name}`, 1);
    return offset;
  }

  /** Bytes of `.got`. */
  get slotSize(): number {
    return this.slotBytes;
  }

  /** Bytes of `.plt`. */
  get stubSize(): number {
    return this.stubs.size * this.arch.stubSize;
  }

  /** Address of the slot that a relocation reads. */
  slotOf(meaning: Meaning, target: Target, name: string): number {
    return this.addressOf('.got') + this.slots.get(slotKey(meaning, target, name))!;
  }

  /** An address that code can hold directly; undefined for what only a slot holds.
   * @param offset what of the target's offset belongs to the addressed place (imports have no place of their own)
   * @param use a function of a library is called through a stub of the patch, which is no address of it: nobody else has it */
  directAddress(target: Target, offset: number, use: 'call' | 'address'): number | undefined {
    if (target.kind !== 'import') return addressOfTarget(target);
    if (target.weak) return 0;
    const stub = use === 'call' ? this.stubs.get(target.name) : undefined;
    if (stub !== undefined) return this.addressOf('.plt') + stub + offset;
    const entry = this.input.imports.find(target.name)?.entry;
    return entry === undefined ? undefined : entry + offset;
  }

  /** Does the field only lead there? The address of a stub (`lea f@PLT(%rip)`) is taken by code that asks for no more. */
  useOf(chunk: Chunk, { meaning, offset }: Reference, target: Target): 'call' | 'address' {
    if (meaning.via !== 'pc' && meaning.via !== 'plt') return 'address';
    if (chunk.fn && this.arch.isBranchField(chunk.object.elf.data(chunk.section), offset)) return 'call';
    const hasEntry = target.kind === 'import' && this.input.imports.find(target.name)?.entry !== undefined;
    return meaning.via === 'plt' && !hasEntry ? 'call' : 'address';
  }

  private needsStub(chunk: Chunk, reference: Reference, target: Target & { kind: 'import' }): boolean {
    return !target.weak && this.useOf(chunk, reference, target) === 'call';
  }

  /** Everything the loader has to fill in, so that the tables' sizes are known before the layout. */
  addDynamic(dynamic: DynamicTables): void {
    const { dynamicTypes: types } = this.arch;
    for (const [key, offset] of this.slots) {
      const [kind, name] = splitKey(key);
      const place = (): number => this.addressOf('.got') + offset;
      if (kind === 'import') dynamic.add(place, types.slot, name, 0);
      else if (kind === 'import-tpoff') dynamic.add(place, types['thread-offset'], name, 0);
      else if (kind === 'import-gd') {
        dynamic.add(place, types.module, name, 0);
        dynamic.add(() => place() + 8, types['module-offset'], name, 0);
      } else if (kind === 'module' || kind === 'gd') dynamic.add(place, types.module, undefined, 0);
    }
    for (const chunk of this.input.selection.chunks)
      for (const relocation of this.input.selection.referencesOf(chunk)) {
        if (!isPointer(relocation.meaning) || chunk.fn) continue;
        const target = this.input.selection.targetOf(chunk, relocation);
        if (target.kind === 'import')
          dynamic.add(
            () => chunk.address + relocation.offset - chunk.start,
            types.pointer,
            target.name,
            relocation.addend,
          );
      }
  }

  slotContents(): Buffer {
    const bytes = Buffer.alloc(this.slotBytes);
    const targets = this.slotTargets();
    for (const [key, offset] of this.slots) {
      const [kind] = splitKey(key);
      const target = targets.get(key);
      if (kind === 'address' && target) write64(bytes, offset, addressOfTarget(target));
      else if (kind === 'tpoff' && target?.kind === 'thread-local')
        write64signed(bytes, offset, threadOffset(this.input.live, target.offset));
      else if (kind === 'gd' && target?.kind === 'thread-local')
        write64signed(bytes, offset + 8, target.offset);
    }
    return bytes;
  }

  private slotTargets(): Map<string, Target> {
    const targets = new Map<string, Target>();
    for (const chunk of this.input.selection.chunks)
      for (const relocation of this.input.selection.referencesOf(chunk)) {
        if (relocation.meaning.via !== 'got') continue;
        const target = this.input.selection.targetOf(chunk, relocation);
        targets.set(slotKey(relocation.meaning, target, chunk.object.symbol(relocation.symbol).name), target);
      }
    return targets;
  }

  stubBytes(): Buffer {
    const bytes = this.arch.traps(this.stubSize);
    for (const [name, offset] of this.stubs) {
      const slot = this.addressOf('.got') + this.slots.get(`import:${name}`)!;
      this.arch.writeStub(bytes, offset, this.addressOf('.plt') + offset, slot);
    }
    return bytes;
  }
}

/** Names a GOT slot: what it holds, so that equal ones are shared. */
function slotKey({ slot }: Meaning, target: Target, name: string): string {
  if (slot === 'module') return 'module';
  const thread = slot === 'thread-offset' ? 'tpoff' : slot === 'module-and-offset' ? 'gd' : undefined;
  switch (target.kind) {
    case 'import':
      return `${thread ? `import-${thread}` : 'import'}:${target.name}`;
    case 'thread-local':
      return `${thread ?? 'gd'}:${target.offset}`;
    case 'live':
      return `address:${target.address}`;
    case 'absolute':
      return `address:${target.value}`;
    case 'chunk':
      return `address:${target.chunk.object.identity}:${target.chunk.section.index}:${target.chunk.start}:${target.offset}:${name}`;
  }
}

function splitKey(key: string): [string, string] {
  const colon = key.indexOf(':');
  return colon < 0 ? [key, ''] : [key.slice(0, colon), key.slice(colon + 1)];
}
