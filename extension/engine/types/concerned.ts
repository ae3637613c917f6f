// Which types of a process consist of another one: they have it as a member or a base class, or arrays of it, and so on
// outwards. When that one is laid out otherwise, so are they, also those that other units have. For what a refusal names;
// reads debug information of live units, and compares nothing.
import type { Unit } from '../dwarf/units';
import { HotPatchError } from '../model/errors';
import type { TypeEntry } from './entries';
import { layoutText } from './layout_text';
import { valuesInCalls } from './passing';
import type { UnitTypes } from './types';

export interface Concerned {
  name: string;
  /** `struct`, `class` or `union`. */
  keyword: string;
  /** What it has of the type, or of another one that consists of it. */
  how: string;
  /** How it is laid out in the process, a line for each part. */
  layout: string;
}

/** Those of a whole module, by name. */
export interface ConcernedTypes {
  types: ReadonlyMap<string, Concerned>;
  /** Units that may have more of them. */
  unread: number;
}

/** Reading the types of a unit takes some 10 ms, of one with many templates 100, and somebody waits for the refusal. */
export const MOST_UNITS = 32;

/** Units that may have a type. */
export interface LiveUnits {
  units: readonly Unit[];
  /** Throws HotPatchError or RangeError for one that cannot be read. */
  typesOf: (unit: Unit) => UnitTypes;
}

/** @param name qualified, of the type that is laid out otherwise */
export function concernedBy(name: string, live: LiveUnits): ConcernedTypes {
  const types = new Map<string, Concerned>();
  const unread = look(live, (unit) => {
    for (const concerned of containersIn(unit, name)) types.set(concerned.name, concerned);
    return false;
  });
  return { types: new Map([...types].sort(([a], [b]) => (a < b ? -1 : 1))), unread };
}

/** May a function of the units have a parameter or a result of the type, as a value?
 * @param known by unit, what passing.ts says of it */
export function mayHaveValueInCalls(
  name: string,
  live: LiveUnits,
  known: Map<number, ReadonlySet<string>>,
): boolean {
  const isKnown = ({ offset }: Unit): boolean => known.has(offset);
  if (live.units.some(({ offset }) => known.get(offset)?.has(name))) return true;
  let isThere = false;
  const unread = look({ ...live, units: live.units.filter((unit) => !isKnown(unit)) }, (types, unit) => {
    const names = valuesInCalls(types);
    known.set(unit.offset, names);
    isThere = names.has(name);
    return isThere;
  });
  return isThere || unread > 0;
}

/** How many units were not looked at.
 * @param at says whether that was enough */
export function look({ units, typesOf }: LiveUnits, at: (types: UnitTypes, unit: Unit) => boolean): number {
  let unread = Math.max(units.length - MOST_UNITS, 0);
  for (const unit of units.slice(0, MOST_UNITS))
    try {
      if (at(typesOf(unit), unit)) break;
    } catch (thrown) {
      if (!(thrown instanceof HotPatchError) && !(thrown instanceof RangeError)) throw thrown;
      unread++;
    }
  return unread;
}

function containersIn(types: UnitTypes, name: string): Concerned[] {
  const holders = holdersIn(types);
  const found = new Map<string, Concerned>();
  const pending = [name];
  for (let part = pending.pop(); part !== undefined; part = pending.pop())
    for (const { entry, how } of holders.get(part) ?? []) {
      const { name: holder, keyword } = entry;
      if (holder === undefined || holder === name || found.has(holder)) continue;
      found.set(holder, { name: holder, keyword, how, layout: layoutText(types, entry) });
      pending.push(holder);
    }
  return [...found.values()];
}

interface Holder {
  entry: TypeEntry;
  how: string;
  /** It shares its bytes with others. */
  inUnion: boolean;
}

/** Who has objects of a type in its own, by the name of that type. */
export function holdersIn(types: UnitTypes): ReadonlyMap<string, readonly Holder[]> {
  const holders = new Map<string, Holder[]>();
  const known = new Map<number, TypeEntry | undefined>();
  const valueType = (type: number): TypeEntry | undefined => {
    if (!known.has(type)) known.set(type, types.valueType(type));
    return known.get(type);
  };
  /** @param path of the part in the entry; empty for the entry itself and what has no name in it */
  const add = (entry: TypeEntry, part: TypeEntry, path: string, outer = false): void => {
    const inUnion = outer || part.kind === 'union';
    for (const { type } of part.bases) note(entry, type, path, inUnion);
    for (const { name, type } of part.rawMembers)
      note(entry, type, [path, name ?? ''].filter((step) => step !== '').join('.'), inUnion);
  };
  const note = (entry: TypeEntry, type: number, path: string, inUnion: boolean): void => {
    const part = valueType(type);
    if (!part || part.kind === 'enum') return;
    if (part.name === undefined) {
      add(entry, part, path, inUnion);
      return;
    }
    const list = holders.get(part.name) ?? [];
    if (list.at(-1)?.entry !== entry || inUnion)
      list.push({ entry, how: path === '' ? 'base class' : `member \`${path}\``, inUnion });
    holders.set(part.name, list);
  };
  // Those in other units are read on the way, and are no part of this one.
  for (const entry of [...types.registry.entries.values()])
    if (!entry.declaration && entry.kind !== 'enum') add(entry, entry, '');
  return holders;
}
