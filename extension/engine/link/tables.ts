// What the runtime reads of a patch (docs/PROTOCOL.md, section 4): the note and the tables that it leads to.
import type { RegisterKeeper } from '../arch/architecture';
import type { ObjectFunction } from '../elf/object';
import { encodeFix, encodeGuard, encodeNote, encodeObject } from '../patch_format/note';
import type { Frames } from './frames';
import type { AddressOf, LinkInput } from './input';
import type { Chunk } from './select';

export class RuntimeTables {
  private readonly names = new Map<string, number>();
  private nameBytes = 0;

  constructor(
    private readonly input: LinkInput,
    private readonly keepers: ReadonlyMap<ObjectFunction, RegisterKeeper>,
    private readonly frames: Frames,
    private readonly addressOf: AddressOf,
  ) {
    for (const text of [
      input.modulePath,
      ...input.fixes.map((fix) => fix.symbol),
      ...input.guards.map((guard) => guard.name),
      ...input.objects.map((object) => object.name),
    ])
      if (!this.names.has(text)) {
        this.names.set(text, this.nameBytes);
        this.nameBytes += Buffer.byteLength(text) + 1;
      }
  }

  /** Bytes of `.hot_fix.names`. */
  get nameSize(): number {
    return this.nameBytes;
  }

  nameTable(): Buffer {
    return Buffer.from([...this.names.keys()].map((name) => `${name}\0`).join(''));
  }

  private nameAddress(name: string): number {
    return this.addressOf('.hot_fix.names') + this.names.get(name)!;
  }

  note(): Buffer {
    const { fixes, guards, objects, selection } = this.input;
    return encodeNote({
      moduleBias: this.input.live.module.bias,
      modulePath: this.nameAddress(this.input.modulePath),
      buildId: this.input.buildId,
      fixes: fixes.length ? this.addressOf('.hot_fix.fixes') : 0,
      fixCount: fixes.length,
      guards: guards.length ? this.addressOf('.hot_fix.guards') : 0,
      guardCount: guards.length,
      permanent:
        objects.length > 0 ||
        selection.chunks.some((chunk) => chunk.kind !== 'code' || !this.isVersion(chunk)),
      ehFrame: this.frames.size ? this.addressOf('.eh_frame') : 0,
      ehFrameSize: this.frames.size,
      objects: objects.length ? this.addressOf('.hot_fix.objects') : 0,
      objectCount: objects.length,
      dsoHandle: this.input.live.module.global('__dso_handle')?.address ?? 0,
    });
  }

  /** Only reached through an entry that is redirected to it, or from such code: nobody else knows its address. */
  private isVersion(chunk: Chunk): boolean {
    return this.input.fixes.some(
      ({ fn }) => fn === chunk.fn || chunk.fn?.symbol.name.startsWith(`${fn.symbol.name}.cold`),
    );
  }

  fixTable(): Buffer {
    return Buffer.concat(
      this.input.fixes.map((fix) => {
        const body = this.input.selection.codeOf(fix.fn)!.address;
        const before = this.keepers.get(fix.fn)?.code.length ?? 0;
        return encodeFix(
          { ...fix, target: body - before, targetSize: before + fix.fn.size, body },
          this.nameAddress(fix.symbol),
        );
      }),
    );
  }

  guardTable(): Buffer {
    return Buffer.concat(this.input.guards.map((guard) => encodeGuard(guard, this.nameAddress(guard.name))));
  }

  objectTable(): Buffer {
    return Buffer.concat(
      this.input.objects.map(({ fn, when, live, name }) => {
        const code = this.input.selection.codeOf(fn)?.address ?? live;
        if (code === undefined) throw new Error(`${fn.symbol.name} is nowhere to be called`);
        return encodeObject(
          when === 'start'
            ? { construct: code, argument: 0, destroy: 0 }
            : { construct: 0, argument: 0, destroy: code },
          this.nameAddress(name),
        );
      }),
    );
  }
}
