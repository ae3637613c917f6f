// Where a function finds its arguments and leaves its result: whether code may stand between it and its callers that
// uses the stack. From debug information, erring on the side of the stack (System V psABI, section 3.2.3).
import * as dw from '../dwarf/constants';
import type { Die } from '../dwarf/die';
import type { FunctionEntry } from './entries';
import type { UnitTypes } from './types';

export interface CallingConvention {
  /** All arguments are in registers, also the address of a result in memory. */
  inRegisters: boolean;
  returnsVoid: boolean;
}

const INTEGER_REGISTERS = 6;
const SSE_REGISTERS = 8;
/** DWARF 5, 7.15. */
const DW_CC_pass_by_reference = 4;
/** DWARF 5, 7.8. */
const DW_ATE_complex_float = 3;
const DW_ATE_float = 4;

/** Registers that an argument takes, at most; undefined when it lies in memory or it is not known. */
interface Registers {
  integer: number;
  sse: number;
}

export function callingConvention(types: UnitTypes, entry: FunctionEntry): CallingConvention {
  const needed = entry.parameters.map((type) => registersOf(types, type));
  const returned = entry.returns === undefined ? { integer: 0, sse: 0 } : resultAddress(types, entry.returns);
  let integer = returned?.integer ?? 0;
  let sse = 0;
  for (const registers of needed) {
    integer += registers?.integer ?? 0;
    sse += registers?.sse ?? 0;
  }
  return {
    inRegisters:
      !entry.variadic &&
      returned !== undefined &&
      !needed.includes(undefined) &&
      integer <= INTEGER_REGISTERS &&
      sse <= SSE_REGISTERS,
    returnsVoid: entry.returns === undefined,
  };
}

/** A result of class MEMORY: the caller passes its address like a first argument. */
function resultAddress(types: UnitTypes, type: number): Registers | undefined {
  const die = bare(types, type);
  if (!die) return undefined;
  return isClass(die) ? { integer: 1, sse: 0 } : { integer: 0, sse: 0 };
}

function registersOf(types: UnitTypes, type: number): Registers | undefined {
  const die = bare(types, type);
  if (!die) return undefined;
  const size = types.sizes.sizeOf(type);
  switch (die.tag) {
    case dw.DW_TAG_pointer_type:
    case dw.DW_TAG_reference_type:
    case dw.DW_TAG_rvalue_reference_type:
    case dw.DW_TAG_enumeration_type:
      return { integer: 1, sse: 0 };
    case dw.DW_TAG_ptr_to_member_type:
      // To a function: its address and an adjustment (Itanium C++ ABI, 2.3).
      return { integer: 2, sse: 0 };
    case dw.DW_TAG_base_type: {
      const encoding = die.number(dw.DW_AT_encoding) ?? 0;
      if (size === undefined || size > 16) return undefined;
      // Of 16 bytes it may be of class X87, which goes to memory.
      if (encoding === DW_ATE_float) return size <= 8 ? { integer: 0, sse: 1 } : undefined;
      if (encoding === DW_ATE_complex_float) return { integer: 0, sse: 2 };
      return { integer: size <= 8 ? 1 : 2, sse: 0 };
    }
    case dw.DW_TAG_structure_type:
    case dw.DW_TAG_class_type:
    case dw.DW_TAG_union_type:
      // One that cannot be copied by its bytes goes by the address of a copy (Itanium C++ ABI, 3.1.1).
      if (die.number(dw.DW_AT_calling_convention) === DW_CC_pass_by_reference) return { integer: 1, sse: 0 };
      return size !== undefined && size <= 16 && isAligned(types, type) ? { integer: 2, sse: 2 } : undefined;
    default:
      return undefined;
  }
}

/** Objects with unaligned fields, or fields wider than an eightbyte, may be of class MEMORY however small they are.
 * @param offset bytes from the start of the object */
function isAligned(types: UnitTypes, type: number, offset = 0, depth = 0): boolean {
  const die = bare(types, type);
  if (!die || depth > 16) return false;
  if (die.tag === dw.DW_TAG_array_type) {
    const element = die.reference(dw.DW_AT_type);
    return element !== undefined && isAligned(types, element, offset, depth + 1);
  }
  const entry = isClass(die) ? types.valueType(type) : undefined;
  if (entry)
    return (
      entry.bases.every((base) => isAligned(types, base.type, offset + Number(base.location), depth + 1)) &&
      types.keys
        .members(entry)
        .every((member) => isAligned(types, member.type, offset + Math.floor(member.offset / 8), depth + 1))
    );
  const size = types.sizes.sizeOf(type) ?? Infinity;
  return size <= 8 && offset % size === 0;
}

/** The entry behind typedefs and qualifiers. */
function bare(types: UnitTypes, type: number): Die | undefined {
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

function isClass(die: Die): boolean {
  return (
    die.tag === dw.DW_TAG_structure_type ||
    die.tag === dw.DW_TAG_class_type ||
    die.tag === dw.DW_TAG_union_type
  );
}
