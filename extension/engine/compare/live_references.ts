// Which addresses the live code of a unit refers to: proof that an object begins there, where linked constants have no
// symbols. Asked by the comparison of constants in the rare case that it matters. Approximate for code that holds
// addresses as numbers, where it errs on the side of an object.
import { relativeFields } from '../arch/x86_64/instructions';
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
    for (const { entry, size, current } of this.functions())
      for (const body of [{ address: entry, size }, ...(current ? [current] : [])]) {
        const code = this.live.bytes(body.address, body.size);
        if (!code) continue;
        for (const { target, use } of relativeFields(code))
          if (use === 'operand') known.add(body.address + target);
        // Code that is not position-independent holds addresses as 32-bit numbers.
        if (this.live.module.elf.type !== abi.ET_EXEC) continue;
        for (let at = 0; at + 4 <= code.length; at++) known.add(code.readUInt32LE(at));
      }
    return known;
  }
}
