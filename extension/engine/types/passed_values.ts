// How values of a class go to functions, by where the code of a unit has its parameters: in registers, in its frame, or where
// a register or a word of the frame leads to. Asked where the members of the class do not say it: gcc describes no default
// arguments, which make a constructor from another object a copy constructor or not.
import * as dw from '../dwarf/constants';
import { Die } from '../dwarf/die';
import { bare, isClass } from './bare';
import type { TypeEntry } from './entries';
import type { TypeLookup } from './lookup';

/** Undefined when no function of the unit has a parameter of the class that lies at one place as long as it runs. */
export function passedInCode(types: TypeLookup, entry: TypeEntry): 'address' | 'bytes' | undefined {
  const isOf = (type: number): boolean => {
    const die = bare(types, type);
    return die !== undefined && isClass(die) && types.entryAt(die.address) === entry;
  };
  for (const [address, { parameters }] of types.registry.functions) {
    if (!parameters.some(isOf)) continue;
    const die = new Die(types.dwarf);
    types.dwarf.die(address, die);
    const { unit } = die;
    for (let at = die.next, more = die.hasChildren; more && at < unit.end; at = die.next) {
      die.read(unit, at);
      const type = die.tag === dw.DW_TAG_formal_parameter ? die.reference(dw.DW_AT_type) : undefined;
      const place = type !== undefined && isOf(type) ? die.block(dw.DW_AT_location) : undefined;
      const how = place && passedAt(place);
      if (how) return how;
      more = die.tag !== 0 && !die.hasChildren;
    }
  }
  return undefined;
}

/** @param place a location description (DWARF 5, 2.6) */
function passedAt(place: Buffer): 'address' | 'bytes' | undefined {
  const [first = 0, second] = place;
  if (place.at(-1) === dw.DW_OP_deref && place.length > 1) return 'address';
  if (first >= dw.DW_OP_reg0 && first < dw.DW_OP_breg0) return 'bytes';
  if (first === dw.DW_OP_fbreg) return 'bytes';
  // Where a register leads to: what lies in the frame gcc finds from its base.
  const isBased = first >= dw.DW_OP_breg0 && first <= dw.DW_OP_breg31;
  return isBased && second === 0 && place.length === 2 ? 'address' : undefined;
}
