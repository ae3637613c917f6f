// What can be asked of the types of a unit before all of them are joined together: types.ts answers it, and files that
// types.ts itself is made of ask it.
import type { Dwarf } from '../dwarf/dwarf';
import type { TypeEntry } from './entries';
import type { Registry } from './registry';

export interface TypeLookup {
  readonly dwarf: Dwarf;
  readonly registry: Registry;
  /** The class, structure, union or enumeration that objects of a type consist of, through typedef, const and array. */
  valueType(type: number): TypeEntry | undefined;
  /** The class, structure, union or enumeration at an address in the debug information. */
  entryAt(address: number): TypeEntry | undefined;
}
