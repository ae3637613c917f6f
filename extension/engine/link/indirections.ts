// Slots of the patch's global offset table and stubs of its procedure linkage table: which ones the code asks for, what they hold, and what of it the process's loader fills in.
import { type Architecture, isPointer, type Meaning } from '../arch/architecture';
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
        } else if (target.kind === 'import' && needsStub(meaning, target, chunk)) this.stub(target.name);
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

  /** An address that code can hold directly: functions of libraries by their stub; undefined for what a library has that
   * the patch brings.
   * @param offset what of the target's offset belongs to the addressed place (imports have no place of their own) */
  directAddress(target: Target, offset: number): number | undefined {
    if (target.kind !== 'import') return addressOfTarget(target);
    if (target.weak) return 0;
    const stub = this.stubs.get(target.name);
    if (stub !== undefined) return this.addressOf('.plt') + stub + offset;
    const address = this.input.imports.find(target.name)?.address;
    return address === undefined ? undefined : address + offset;
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

/** A field of 32 bits cannot reach a function of a library by itself, and a pointer within code (`-mcmodel=large`) lies where
 * the loader does not write. */
function needsStub({ via, width }: Meaning, target: Target & { kind: 'import' }, { fn }: Chunk): boolean {
  if (target.weak) return false;
  if (via === 'plt') return true;
  const isPlain = via === 'pc' || via === 'absolute';
  return target.isFunction && isPlain && (width === 4 || (via === 'absolute' && fn !== undefined));
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
