// What a type is when its typedefs and qualifiers are taken away.
import * as dw from '../dwarf/constants';
import type { Die } from '../dwarf/die';
import type { TypeLookup } from './lookup';

/** The entry behind typedefs and qualifiers. */
export function bare(types: TypeLookup, type: number): Die | undefined {
  let die = types.dwarf.die(type);
  for (let depth = 0; depth < 64; depth++) {
    switch (die.tag) {
      case dw.DW_TAG_typedef:
      case dw.DW_TAG_const_type:
      case dw.DW_TAG_volatile_type:
      case dw.DW_TAG_restrict_type:
      case dw.DW_TAG_atomic_type: {
        const next = die.reference(dw.DW_AT_type);
        if (next === undefined) return undefined;
        die = types.dwarf.die(next);
        break;
      }
      default: {
        // A stub for a type in a type unit.
        const definition = die.reference(dw.DW_AT_signature);
        return definition === undefined ? die : types.dwarf.die(definition);
      }
    }
  }
  return undefined;
}

export function isClass(die: Die): boolean {
  return (
    die.tag === dw.DW_TAG_structure_type ||
    die.tag === dw.DW_TAG_class_type ||
    die.tag === dw.DW_TAG_union_type
  );
}
