// A member that comes to a union, or goes from it, leaves objects as they are where the others have all of its bytes: code
// that does not know of it copies and keeps them. It is no difference of the layout then. So are the members of a union
// without a name in a structure. Decides from types alone.
import * as dw from '../dwarf/constants';
import type { Die } from '../dwarf/die';
import { bare } from './bare';
import type { Difference } from './differences';
import type { Member, TypeEntry } from './entries';
import { type Defined, registersOf } from './padding';
import { isDestroyed, passingOf } from './passing';
import type { UnitTypes } from './types';

/** Bytes of the largest type that is looked at. */
const LARGEST = 1 << 16;

/** @param differences of the two, as typeDifferences has them
 * @returns those that are left */
export function notOverlaid(before: Defined, now: Defined, differences: Difference[]): Difference[] {
  if (!differences.some(({ added, gone }) => added ?? gone)) return differences;
  const [then, is] = [before.entry, now.entry];
  if (then.kind === 'enum' || then.size !== is.size || then.size > LARGEST || then.twin || is.twin)
    return differences;
  if (registersOf(before) !== registersOf(now)) return differences;
  if (differences.some(({ added, gone }) => !added && !gone)) return differences;
  const [was, has] = [bytesOf(before), bytesOf(now)];
  // Code that knows one of them makes objects which code that knows the other uses.
  if (has.alignment !== was.alignment) return differences;
  return differences.filter(
    ({ added, gone }) =>
      !(added && isCovered(now.types, added, was.used)) && !(gone && isCovered(before.types, gone, has.used)),
  );
}

/** @param used the bytes of the type without the member */
function isCovered(types: UnitTypes, { type, offset, bits }: Member, used: Uint8Array): boolean {
  const size = types.sizes.sizeOf(type);
  if (bits !== 0 || offset % 8 !== 0 || size === undefined || size === 0 || !isBytes(types, type))
    return false;
  const place = used.subarray(offset / 8, offset / 8 + size);
  return place.length === size && place.every((byte) => byte === 1);
}

/** Is copying one nothing but copying its bytes, and destroying it nothing at all? */
function isBytes(types: UnitTypes, type: number): boolean {
  const entry = types.valueType(type);
  if (entry && entry.kind !== 'enum')
    return passingOf(types, entry) === 'bytes' && !isDestroyed(types, entry);
  return bare(types, type) !== undefined;
}

interface Bytes {
  /** 1 where a member is that has no parts. */
  used: Uint8Array;
  /** The largest one that a member asks for (x86-64 psABI, 3.1.2), at least. */
  alignment: number;
}

function bytesOf({ types, entry }: Defined): Bytes {
  const bytes: Bytes = { used: new Uint8Array(entry.size), alignment: 1 };
  note(types, entry, 0, bytes, 0);
  return bytes;
}

function note(types: UnitTypes, entry: TypeEntry, origin: number, bytes: Bytes, depth: number): void {
  for (const { type, location } of entry.bases)
    if (Number.isInteger(Number(location))) notePart(types, type, origin + Number(location), bytes, depth);
  bytes.alignment = Math.max(bytes.alignment, entry.alignment);
  for (const { type, offset, bits, alignment } of entry.rawMembers) {
    bytes.alignment = Math.max(bytes.alignment, alignment);
    if (bits === 0) notePart(types, type, origin + offset / 8, bytes, depth);
  }
}

function notePart(types: UnitTypes, type: number, at: number, bytes: Bytes, depth: number): void {
  const size = types.sizes.sizeOf(type) ?? 0;
  const die = bare(types, type);
  if (!die || size === 0 || at + size > bytes.used.length || depth > 16) return;
  if (die.tag === dw.DW_TAG_array_type && !die.has(dw.DW_AT_GNU_vector)) {
    const element = die.reference(dw.DW_AT_type);
    const step = element === undefined ? 0 : (types.sizes.sizeOf(element) ?? 0);
    if (element === undefined || step === 0) return;
    for (let from = 0; from < size; from += step) notePart(types, element, at + from, bytes, depth + 1);
    return;
  }
  const part = types.valueType(type);
  if (part && part.kind !== 'enum') return note(types, part, at, bytes, depth + 1);
  bytes.used.fill(1, at, at + size);
  bytes.alignment = Math.max(bytes.alignment, alignmentOf(die, size));
}

/** Of a type that has no parts. */
function alignmentOf(die: Die, size: number): number {
  const isComplex = die.number(dw.DW_AT_encoding) === dw.DW_ATE_complex_float;
  const isPair = isComplex || die.tag === dw.DW_TAG_ptr_to_member_type;
  return isPair ? size / 2 : size;
}
