// Sizes of types and bounds of arrays, read where they are asked for.
import * as dw from '../dwarf/constants';
import { Die } from '../dwarf/die';
import type { Dwarf } from '../dwarf/dwarf';
import { countOf, reference } from './attributes';

const ADDRESSES = [dw.DW_TAG_pointer_type, dw.DW_TAG_reference_type, dw.DW_TAG_rvalue_reference_type];

export class Sizes {
  private readonly origin: Die;

  constructor(private readonly dwarf: Dwarf) {
    this.origin = new Die(dwarf);
  }

  /** Size in bytes; undefined for incomplete types. */
  sizeOf(type: number): number | undefined {
    let factor = 1;
    for (let depth = 0; depth < 64; depth++) {
      const die = this.dwarf.die(type, this.origin);
      const size = die.number(dw.DW_AT_byte_size);
      if (size !== undefined) return size * factor;
      if (die.tag === dw.DW_TAG_array_type) {
        for (const count of this.bounds(type)) {
          if (count === '?') return undefined;
          factor *= Number(count);
        }
      }
      // clang gives them no size; that of what they refer to is another.
      if (ADDRESSES.includes(die.tag)) return die.unit.addressSize * factor;
      const next = reference(die, dw.DW_AT_type) ?? reference(die, dw.DW_AT_signature);
      if (next === undefined) return undefined;
      type = next;
    }
    return undefined;
  }

  /** Element counts of an array's dimensions, `?` where not known (5.5, 5.13). */
  bounds(type: number): string[] {
    const die = this.dwarf.die(type, new Die(this.dwarf));
    const { unit, next, hasChildren } = die;
    const counts: string[] = [];
    let at = next;
    while (hasChildren && at < unit.end) {
      die.read(unit, at);
      if (die.tag === 0) break;
      if (die.tag === dw.DW_TAG_subrange_type) counts.push(countOf(die));
      at = die.next;
    }
    return counts;
  }
}
