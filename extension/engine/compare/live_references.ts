// Which addresses the live code of a unit refers to: proof that an object begins there, where linked constants have no
// symbols. Asked by the comparison of constants in the rare case that it matters. Approximate for code that holds
// addresses as numbers, where it errs on the side of an object.
import * as abi from '../elf/constants';
import type { LiveFunction } from '../live/functions';
import type { LiveImage } from '../live/live_image';

export class LiveReferences {
  private known: Set<number> | undefined;

  constructor(
    private readonly live: LiveImage,
    private readonly functions: () => readonly LiveFunction[],
  ) {}

  /** Does the code refer to an address of a range, `from` and `to` included? */
  includes(from: number, to: number): boolean {
    const known = (this.known ??= this.read());
    for (let address = from; address <= to; address++) if (known.has(address)) return true;
    return false;
  }

  private read(): Set<number> {
    const known = new Set<number>();
    const { arch, elf } = this.live.module;
    for (const { entry, size, current } of this.functions())
      for (const body of [{ address: entry, size }, ...(current ? [current] : [])]) {
        const code = this.live.bytes(body.address, body.size);
        if (!code) continue;
        for (const { target, use } of arch.relativeFields(code))
          if (use === 'operand') known.add(body.address + target);
        if (elf.type === abi.ET_EXEC) for (const number of arch.numbersIn(code)) known.add(number);
      }
    return known;
  }
}

/** A function as the code of it that runs now, and nothing else. */
export function running({ live }: { live: LiveFunction | undefined }): LiveFunction[] {
  if (!live) return [];
  const { current } = live;
  return [{ ...live, ...(current && { entry: current.address, size: current.size }), current: undefined }];
}
