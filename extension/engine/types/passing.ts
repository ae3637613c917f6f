// Do values of a class go to functions and back as bytes, or as the address of a copy? The latter when copying or destroying
// one is more than copying its bytes (Itanium C++ ABI 3.1.1 and 3.1.4, "non-trivial for the purposes of calls"). A member
// that somebody adds or takes away may change it, where the layout stays.
import { bare, isClass } from './bare';
import type { TypeEntry } from './entries';
import type { TypeLookup } from './lookup';
import { passedInCode } from './passed_values';

export type Passing = 'address' | 'bytes' | 'unknown';

export function passingOf(types: TypeLookup, entry: TypeEntry): Passing {
  const declared = passingByMembers(types, entry);
  return declared === 'unknown' ? (passedInCode(types, entry) ?? 'unknown') : declared;
}

/** As far as the members of the class and of its parts say it. */
export function passingByMembers(types: TypeLookup, entry: TypeEntry, depth = 0): Passing {
  const { passing, destructor, copies, moveAssignment } = entry.special;
  if (passing !== undefined) return passing;
  if (destructor || copies.includes('written') || entry.virtuals.length > 0) return 'address';
  // Where all are deleted it cannot be copied by whoever calls.
  if (copies.length > 0 ? copies.every((how) => how === 'deleted') : moveAssignment) return 'address';
  if (depth > 16) return 'bytes';
  const parts = [...entry.rawMembers, ...entry.bases].map(({ type }) => {
    const part = types.valueType(type);
    return part === undefined || part.kind === 'enum' ? 'bytes' : passingByMembers(types, part, depth + 1);
  });
  const isByAddress =
    parts.includes('address') ||
    entry.rawMembers.some(({ name }) => name?.startsWith('_vptr') === true) ||
    entry.bases.some(({ location }) => location.startsWith('virtual'));
  if (isByAddress) return 'address';
  return copies.includes('perhaps') || parts.includes('unknown') ? 'unknown' : 'bytes';
}

/** Do objects of a class need more than their memory to be given back, when they are destroyed? */
export function isDestroyed(types: TypeLookup, entry: TypeEntry, depth = 0): boolean {
  if (entry.special.destructor) return true;
  return [...entry.rawMembers, ...entry.bases].some(({ type }) => {
    const part = types.valueType(type);
    return part !== undefined && part.kind !== 'enum' && depth < 16 && isDestroyed(types, part, depth + 1);
  });
}

const MARKS: Record<Passing, string> = { address: '@', bytes: '', unknown: '?' };

/** The same as a text, of values of closures and of classes of functions: these are compared by the signatures that have
 * them, because another function may have a class of that name. Empty for all others. */
export function localPassing(types: TypeLookup, type: number): string {
  const die = bare(types, type);
  const entry = die && isClass(die) ? types.entryAt(die.address) : undefined;
  const isLocal = entry !== undefined && (entry.name === undefined || entry.local);
  return isLocal ? MARKS[passingOf(types, entry)] : '';
}

/** Names of the classes of which a function of the unit has a parameter or a result, as a value. */
export function valuesInCalls(types: TypeLookup): ReadonlySet<string> {
  const names = new Set<string>();
  const note = (type: number | undefined): void => {
    const die = type === undefined ? undefined : bare(types, type);
    const name = die && isClass(die) ? types.entryAt(die.address)?.name : undefined;
    if (name !== undefined) names.add(name);
  };
  for (const { returns, parameters } of types.registry.functions.values()) {
    note(returns);
    for (const parameter of parameters) note(parameter);
  }
  return names;
}
