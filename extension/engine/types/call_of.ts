// What a function takes and returns, as somebody must know who calls it, or returns in its place, by its registers.
import type { PassedValue } from '../arch/architecture';
import { unitWithCode } from '../dwarf/code_ranges';
import * as dw from '../dwarf/constants';
import { entriesOf } from '../dwarf/split';
import type { ElfFile } from '../elf/file';
import type { ReturnKind } from '../model/held';
import { bare } from './bare';
import { callingConvention, passedValue } from './calling_convention';
import { UnitTypes } from './types';

/** DWARF 5, 7.8. */
const DW_ATE_boolean = 2;
const DW_ATE_float = 4;
const DW_ATE_signed = 5;
const DW_ATE_signed_char = 6;

/** A parameter that takes one register, with the bytes of it that count. */
export interface Scalar {
  readonly kind: 'integer' | 'float';
  readonly size: number;
  readonly isSigned: boolean;
}

export interface FunctionCall {
  /** Undefined for a result that is not in registers for whole numbers or in the first vector register: only its maker knows
   * where it is. */
  readonly result: ReturnKind | undefined;
  /** Bytes; 0 for none. */
  readonly resultSize: number;
  /** All arguments are in registers, also the address of a result in memory. */
  readonly inRegisters: boolean;
  readonly variadic: boolean;
  /** Each parameter has a place of its own in the frame, as long as the function runs. */
  readonly hasHomes: boolean;
  /** Parameters in their order, the address of a result in memory first; undefined for one that is not a scalar. */
  readonly parameters: readonly (Scalar | undefined)[];
}

/**
 * @param address in the file, of code of the function
 * @param symbol of the function
 * @returns undefined when there is no debug information, or it has several functions of that name
 * @throws HotPatchError `unsupported-object`, `layout-unchecked`
 */
export function callOf(elf: ElfFile, address: number, symbol: string): FunctionCall | undefined {
  const unit = unitWithCode(elf, address);
  if (!unit) return undefined;
  const { dwarf, header } = entriesOf(elf, unit);
  const types = new UnitTypes(dwarf, [header], elf);
  const [entry, ...others] = types.signatures.typesByName().get(symbol) ?? [];
  if (!entry || others.length > 0) return undefined;
  const { inRegisters } = callingConvention(types, entry);
  const value = entry.returns === undefined ? undefined : passedValue(types, entry.returns);
  const inMemory = value?.kind === 'class' && types.arch.registersOf(value) === undefined;
  const byAddress = entry.returns !== undefined && isObjectByAddress(types, entry.returns);
  return {
    result:
      entry.returns === undefined
        ? 'none'
        : inMemory || byAddress
          ? undefined
          : resultOf(types, entry.returns),
    resultSize: entry.returns === undefined ? 0 : (types.sizes.sizeOf(entry.returns) ?? 8),
    inRegisters,
    variadic: entry.variadic,
    hasHomes: entry.homes === entry.parameters.length,
    parameters: [
      ...(inMemory || byAddress ? [{ kind: 'integer' as const, size: 8, isSigned: false }] : []),
      ...entry.parameters.map((type) => scalarOf(types, type)),
    ],
  };
}

/** A class that cannot be copied by its bytes: the caller gives the address of the result. */
function isObjectByAddress(types: UnitTypes, type: number): boolean {
  const tag = bare(types, type)?.tag;
  const isClass =
    tag === dw.DW_TAG_structure_type || tag === dw.DW_TAG_class_type || tag === dw.DW_TAG_union_type;
  return isClass && passedValue(types, type)?.kind !== 'class';
}

function resultOf(types: UnitTypes, type: number): ReturnKind | undefined {
  const value: PassedValue | undefined = passedValue(types, type);
  const die = bare(types, type);
  if (!value || !die) return undefined;
  switch (value.kind) {
    case 'class':
      return 'object';
    case 'integer':
      if (value.size > 8) return 'object';
      if (die.tag !== dw.DW_TAG_base_type)
        return die.tag === dw.DW_TAG_enumeration_type ? 'integer' : 'pointer';
      return die.number(dw.DW_AT_encoding) === DW_ATE_boolean ? 'boolean' : 'integer';
    case 'float':
      return value.size === 4 ? 'float' : value.size === 8 ? 'double' : undefined;
    case 'complex-float':
      return undefined;
  }
}

function scalarOf(types: UnitTypes, type: number): Scalar | undefined {
  const value = passedValue(types, type);
  const die = bare(types, type);
  if (!value || !die || value.size > 8) return undefined;
  const encoding = die.tag === dw.DW_TAG_base_type ? die.number(dw.DW_AT_encoding) : undefined;
  if (value.kind === 'integer') {
    const isEnumeration = die.tag === dw.DW_TAG_enumeration_type;
    const size = isEnumeration ? (types.sizes.sizeOf(type) ?? 8) : value.size;
    return { kind: 'integer', size, isSigned: encoding === DW_ATE_signed || encoding === DW_ATE_signed_char };
  }
  return value.kind === 'float' && encoding === DW_ATE_float
    ? { kind: 'float', size: value.size, isSigned: false }
    : undefined;
}
