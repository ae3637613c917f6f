// Where a function finds its arguments and leaves its result: whether code may stand between it and its callers that
// uses the stack. From debug information, erring on the side of the stack; the rules are the architecture's.
import type { ArgumentRegisters, PassedValue, RegisterSet } from '../arch/architecture';
import * as dw from '../dwarf/constants';
import type { Die } from '../dwarf/die';
import { bare, isClass } from './bare';
import type { FunctionEntry } from './entries';
import { passingOf } from './passing';
import type { UnitTypes } from './types';

export interface CallingConvention {
  /** All arguments are in registers, also the address of a result in memory. */
  inRegisters: boolean;
  /** Those that its result may be in; none when it has none. */
  results: RegisterSet;
}

/** DWARF 5, 7.8. */
const DW_ATE_float = 4;

const NONE: ArgumentRegisters = { integer: 0, vector: 0 };
const POINTER: PassedValue = { kind: 'integer', size: 8 };

export function callingConvention(types: UnitTypes, entry: FunctionEntry): CallingConvention {
  const { argumentRegisters: available } = types.arch;
  const needed = [
    entry.returns === undefined ? NONE : resultAddress(types, entry.returns),
    ...entry.parameters.map((type) => registersOf(types, type)),
  ];
  const sum = (of: keyof ArgumentRegisters): number =>
    needed.reduce((total, registers) => total + (registers?.[of] ?? 0), 0);
  return {
    inRegisters:
      !entry.variadic &&
      !needed.includes(undefined) &&
      sum('integer') <= available.integer &&
      sum('vector') <= available.vector,
    results: entry.returns === undefined ? 0 : resultRegisters(types, entry.returns),
  };
}

/** A result in memory: the caller passes its address. */
function resultAddress(types: UnitTypes, type: number): ArgumentRegisters | undefined {
  const die = bare(types, type);
  return die && (isClass(die) ? types.arch.resultAddress : NONE);
}

function resultRegisters(types: UnitTypes, type: number): RegisterSet {
  const value = passedValue(types, type);
  return value ? types.arch.resultRegisters(value) : types.arch.registers.results;
}

/** Registers that an argument takes, at most; undefined when it may lie in memory or it is not known. */
function registersOf(types: UnitTypes, type: number): ArgumentRegisters | undefined {
  const value = passedValue(types, type);
  return value && types.arch.registersOf(value);
}

/** Undefined for what may lie in memory, or is not known. */
export function passedValue(types: UnitTypes, type: number): PassedValue | undefined {
  const die = bare(types, type);
  if (!die) return undefined;
  const size = types.sizes.sizeOf(type);
  switch (die.tag) {
    case dw.DW_TAG_pointer_type:
    case dw.DW_TAG_reference_type:
    case dw.DW_TAG_rvalue_reference_type:
    case dw.DW_TAG_enumeration_type:
      return POINTER;
    case dw.DW_TAG_ptr_to_member_type:
      return { kind: 'integer', size: 16 };
    case dw.DW_TAG_base_type: {
      const encoding = die.number(dw.DW_AT_encoding) ?? 0;
      if (size === undefined) return undefined;
      const isComplex = encoding === dw.DW_ATE_complex_float;
      return { kind: isComplex ? 'complex-float' : encoding === DW_ATE_float ? 'float' : 'integer', size };
    }
    case dw.DW_TAG_structure_type:
    case dw.DW_TAG_class_type:
    case dw.DW_TAG_union_type:
      return passedClass(types, type, die);
    default:
      return undefined;
  }
}

function passedClass(types: UnitTypes, type: number, { address }: Die): PassedValue | undefined {
  const entry = types.entryAt(address);
  const passing = entry ? passingOf(types, entry) : 'bytes';
  if (passing === 'address') return POINTER;
  const size = types.sizes.sizeOf(type);
  if (passing === 'unknown' || size === undefined) return undefined;
  return { kind: 'class', size, isAligned: () => isAligned(types, type) };
}

/** Does an object consist of aligned fields of at most eight bytes?
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
