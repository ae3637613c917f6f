// May a type get a member, or lose one, where it has padding? Its size stays, and so do all other members: code that does
// not know of the member leaves the place alone, or copies it along, or leaves it out. What remains to be excluded is that
// somebody else uses these bytes, and that objects are passed in other registers. Decides from types alone; whether all
// code that uses the type comes with the edit is for the save to see (save/members_in_padding.ts).
import type { Field } from '../arch/architecture';
import * as dw from '../dwarf/constants';
import { bare } from './bare';
import type { Difference } from './differences';
import type { Member, TypeEntry } from './entries';
import { holdersIn } from './concerned';
import type { UnitTypes } from './types';

/** A definition of a type in a unit. */
export interface Defined {
  types: UnitTypes;
  entry: TypeEntry;
}

/** Members that came and went; or why they must not, undefined where a rebuild would move others as well. */
export type PaddingUse =
  { kind: 'padding'; added: Member[]; gone: Member[] } | { kind: 'refused'; reason: string | undefined };

const refused = (reason?: string): PaddingUse => ({ kind: 'refused', reason });

/** @param differences of the two, as typeDifferences has them */
export function paddingUse(before: Defined, now: Defined, differences: readonly Difference[]): PaddingUse {
  const added = differences.flatMap((difference) => difference.added ?? []);
  const gone = differences.flatMap((difference) => difference.gone ?? []);
  const isSized = before.entry.kind === 'struct' && before.entry.size === now.entry.size;
  if (added.length + gone.length < differences.length || !isSized) return refused();
  if (before.entry.twin || now.entry.twin) return refused('several types of its unit have that name');
  const obstacle = obstacleOf(now, added, before) ?? obstacleOf(before, gone, now);
  if (obstacle) return refused(obstacle.reason);
  if (registersOf(before) !== registersOf(now))
    return refused('its objects would be passed in other registers');
  return { kind: 'padding', added, gone };
}

/** Why members of one side must not be in what is padding on the other. */
function obstacleOf(
  side: Defined,
  members: readonly Member[],
  other: Defined,
): { reason: string | undefined } | undefined {
  if (members.length === 0) return undefined;
  const extents = extentsOf(other);
  if (extents === undefined)
    return { reason: 'it has bit-fields or virtual bases, whose place is shared or not known' };
  for (const { name, type, offset, bits } of members) {
    const size = side.types.sizes.sizeOf(type);
    if (bits !== 0 || size === undefined || size === 0 || !isPlain(side.types, type))
      return { reason: `\`${name}\` is not a number, an enumeration or an array of them` };
    const at = offset / 8;
    if (extents.some(({ start, end }) => start < at + size && at < end)) return { reason: undefined };
  }
  return undefined;
}

/** Numbers, enumerations and arrays of them: an undetermined pointer or object would be worse than a wrong value. */
function isPlain(types: UnitTypes, type: number): boolean {
  const die = bare(types, type);
  if (die?.tag !== dw.DW_TAG_array_type)
    return die?.tag === dw.DW_TAG_base_type || die?.tag === dw.DW_TAG_enumeration_type;
  const element = die.reference(dw.DW_AT_type);
  return element !== undefined && isPlain(types, element);
}

interface Extent {
  start: number;
  end: number;
}

/** The bytes that are not the type's own padding: members and bases with theirs, since others may lie in that; and all
 * behind a member of no size, where objects may go on (flexible arrays).
 * @returns undefined when that is not known */
function extentsOf({ types, entry }: Defined, origin = 0): Extent[] | undefined {
  const extents: Extent[] = [];
  for (const { type, location } of entry.bases) {
    const start = origin + Number(location);
    const size = types.sizes.sizeOf(type);
    if (size === undefined || !Number.isInteger(start)) return undefined;
    extents.push({ start, end: start + size });
  }
  for (const { type, offset, bits } of entry.rawMembers) {
    if (bits !== 0) return undefined;
    const start = origin + offset / 8;
    const size = types.sizes.sizeOf(type) ?? 0;
    const part = bare(types, type)?.tag === dw.DW_TAG_structure_type ? types.valueType(type) : undefined;
    // One without a name is a part of this type: its padding is, too.
    const inner =
      part && part.name === undefined && !part.declaration
        ? extentsOf({ types, entry: part }, start)
        : [{ start, end: size > 0 ? start + size : Infinity }];
    if (!inner) return undefined;
    extents.push(...inner);
  }
  return extents;
}

/** In which registers objects are passed, by what they consist of. */
export function registersOf({ types, entry }: Defined): string {
  const fields: Field[] = [];
  collectFields(types, entry, 0, fields, 0);
  return types.arch.passingOf(fields, entry.size);
}

function collectFields(
  types: UnitTypes,
  entry: TypeEntry,
  origin: number,
  into: Field[],
  depth: number,
): void {
  for (const { type, location } of entry.bases) collect(types, type, origin + Number(location), into, depth);
  for (const { type, offset, bits } of entry.rawMembers) {
    if (bits === 0) collect(types, type, origin + offset / 8, into, depth);
    else into.push({ offset: origin + Math.floor(offset / 8), size: 1, isFloat: false });
  }
}

/** Bytes of the largest object of which the fields are looked at: of larger ones arrays may be long. */
const LARGEST = 64;

function collect(types: UnitTypes, type: number, offset: number, into: Field[], depth: number): void {
  const size = types.sizes.sizeOf(type) ?? 0;
  const die = bare(types, type);
  if (!die || size === 0 || size > LARGEST || depth > 16) return;
  if (die.tag === dw.DW_TAG_array_type) {
    const element = die.reference(dw.DW_AT_type);
    const step = element === undefined ? 0 : (types.sizes.sizeOf(element) ?? 0);
    if (element !== undefined && step > 0)
      for (let at = 0; at < size; at += step) collect(types, element, offset + at, into, depth + 1);
    return;
  }
  const encoding = die.number(dw.DW_AT_encoding);
  const isComplex = die.tag === dw.DW_TAG_base_type && encoding === dw.DW_ATE_complex_float;
  const entry = types.valueType(type);
  if (isComplex)
    for (const at of [offset, offset + size / 2]) into.push({ offset: at, size: size / 2, isFloat: true });
  else if (entry && entry.kind !== 'enum') collectFields(types, entry, offset, into, depth + 1);
  else
    into.push({
      offset,
      size,
      isFloat: die.tag === dw.DW_TAG_base_type && REAL_FLOATS.includes(encoding ?? 0),
    });
}

/** Real, imaginary and decimal ones. */
const REAL_FLOATS = [4, 9, 15];

/** Why a type must keep its padding because of those that consist of it, which a rebuild would leave as they are.
 * @param isChanged whether a rebuild lays a type out otherwise */
export function obstacleAround(
  then: UnitTypes,
  now: UnitTypes,
  name: string,
  isChanged: (name: string) => boolean,
): string | undefined {
  for (const types of [then, now]) {
    const holders = holdersIn(types);
    const seen = new Set([name]);
    for (const part of seen)
      for (const { entry, inUnion } of holders.get(part) ?? []) {
        const { name: holder, keyword } = entry;
        const title = `\`${keyword} ${holder ?? '(unnamed)'}\``;
        if (inUnion) return `in ${title} other members of a union may use its padding`;
        if (holder === undefined) continue;
        if (isChanged(holder)) return `${title} uses its padding, and is laid out otherwise then`;
        const before = then.registry.types.get(holder);
        const after = now.registry.types.get(holder);
        if (
          before &&
          after &&
          registersOf({ types: then, entry: before }) !== registersOf({ types: now, entry: after })
        )
          return `objects of ${title} would be passed in other registers`;
        seen.add(holder);
      }
  }
  return undefined;
}
