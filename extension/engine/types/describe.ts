// Types as a person would write them, for messages.
import * as dw from '../dwarf/constants';
import { Die } from '../dwarf/die';
import { reference } from './attributes';
import type { UnitTypes } from './types';

/** A type as in a declaration, for messages. */
export function describe(types: UnitTypes, type: number | undefined, depth = 0): string {
  if (type === undefined) return 'void';
  if (depth > 16) return '…';
  const die = types.dwarf.die(type, new Die(types.dwarf));
  const inner = (): string => describe(types, reference(die, dw.DW_AT_type), depth + 1);
  switch (die.tag) {
    case dw.DW_TAG_pointer_type:
      return `${inner()} *`.replace('* *', '**');
    case dw.DW_TAG_reference_type:
      return `${inner()} &`;
    case dw.DW_TAG_rvalue_reference_type:
      return `${inner()} &&`;
    case dw.DW_TAG_const_type:
      return `const ${inner()}`;
    case dw.DW_TAG_volatile_type:
      return `volatile ${inner()}`;
    case dw.DW_TAG_restrict_type:
    case dw.DW_TAG_immutable_type:
      return inner();
    case dw.DW_TAG_atomic_type:
      return `_Atomic ${inner()}`;
    case dw.DW_TAG_array_type:
      return `${inner()}${types.sizes
        .bounds(type)
        .map((count) => `[${count === '?' ? '' : count}]`)
        .join('')}`;
    case dw.DW_TAG_subroutine_type:
      return 'function';
    default:
      return (
        types.entryAt(type)?.name ??
        die.string(dw.DW_AT_name) ??
        (die.tag === dw.DW_TAG_enumeration_type ? 'unnamed enum' : 'unnamed type')
      );
  }
}
