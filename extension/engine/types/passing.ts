// Do values of a class go to functions and back as bytes, or as the address of a copy? The latter when copying or destroying
// one is more than copying its bytes (Itanium C++ ABI 3.1.1 and 3.1.4, "non-trivial for the purposes of calls"). A member
// that somebody adds or takes away may change it, where the layout stays.
import { bare, isClass } from './bare';
import type { TypeEntry } from './entries';
import type { UnitTypes } from './types';

export function isPassedByAddress(types: UnitTypes, entry: TypeEntry, depth = 0): boolean {
  const { passing, destructor, copies, moveAssignment } = entry.special;
  if (passing !== undefined) return passing === 'address';
  if (destructor || copies.includes('written') || entry.virtuals.length > 0) return true;
  // Where all are deleted it cannot be copied by whoever calls.
  if (copies.length > 0 ? copies.every((how) => how === 'deleted') : moveAssignment) return true;
  if (depth > 16) return false;
  const isOf = (type: number): boolean => {
    const part = types.valueType(type);
    return part !== undefined && part.kind !== 'enum' && isPassedByAddress(types, part, depth + 1);
  };
  return (
    entry.rawMembers.some(({ name, type }) => name?.startsWith('_vptr') === true || isOf(type)) ||
    entry.bases.some(({ type, location }) => location.startsWith('virtual') || isOf(type))
  );
}

/** Has a function of the unit a parameter or a result of the type, as a value? */
export function hasValueInCalls(types: UnitTypes, name: string): boolean {
  const isIt = (type: number | undefined): boolean => {
    const die = type === undefined ? undefined : bare(types, type);
    return die !== undefined && isClass(die) && types.entryAt(die.address)?.name === name;
  };
  for (const { returns, parameters } of types.registry.functions.values())
    if (isIt(returns) || parameters.some(isIt)) return true;
  return false;
}
