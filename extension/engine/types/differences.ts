// How a type of the new object differs from the live one of its name, in words. Says nothing about whether that is
// a hazard: every difference of a type that exists in memory is one (layout.ts).
import { describe } from './describe';
import type { Member, TypeEntry } from './entries';
import { areAlike } from './keys';
import { type Passing, passingByMembers, passingOf } from './passing';
import type { UnitTypes } from './types';

/** One way in which a type differs. */
export interface Difference {
  text: string;
  /** Line in the new source, 0 for the type's own. */
  line: number;
  /** May be only the consequence of a change of a type that it contains. */
  mayFollow: boolean;
  /** It is a member that only the new one has, or only the live one. */
  added?: Member;
  gone?: Member;
}

/** How a type of the new object differs from the live one of its name, causes before consequences. */
export function typeDifferences(
  then: UnitTypes,
  before: TypeEntry,
  now: UnitTypes,
  after: TypeEntry,
): Difference[] {
  const differences: Difference[] = [];
  const add: Add = (text, line = 0, mayFollow = false, member = {}) => {
    differences.push({ text, line, mayFollow, ...member });
  };
  if (before.kind !== after.kind) add(`it was a ${before.keyword}`);
  else if (after.kind === 'enum') enumDifferences(then, before, now, after, add);
  else {
    baseDifferences(then, before, now, after, add);
    memberDifferences(then, before, now, after, add);
    virtualDifferences(then, before, now, after, add);
  }
  if (before.size !== after.size)
    add(`its size is ${bytes(after.size)}, was ${before.size}`, 0, after.kind !== 'enum');
  if (before.alignment !== after.alignment) {
    const text = (alignment: number): string => (alignment === 0 ? 'its natural one' : String(alignment));
    add(`its alignment is ${text(after.alignment)}, was ${text(before.alignment)}`);
  }
  return differences.sort((a, b) => Number(a.mayFollow) - Number(b.mayFollow));
}

/** Values of a class go to functions in another way than before: code that was not patched would not find them. */
export function passingDifference(
  then: UnitTypes,
  before: TypeEntry,
  now: UnitTypes,
  after: TypeEntry,
): Difference | undefined {
  if (before.kind === 'enum' || after.kind === 'enum') return undefined;
  const is = passingOf(now, after);
  const was = passingOf(then, before);
  if (is === was) return undefined;
  // A constructor that may or may not be a copy constructor was so before, and no code tells which it is.
  if ([is, was].includes('unknown') && passingByMembers(now, after) === passingByMembers(then, before))
    return undefined;
  const why = 'which its destructor and its constructors from another object decide';
  return {
    text: `its values are passed by ${PASSED[is]}, were by ${PASSED[was]} (${why})`,
    line: 0,
    mayFollow: true,
  };
}

const PASSED: Record<Passing, string> = {
  address: 'their address',
  bytes: 'their bytes',
  unknown: 'their bytes or their address, as default arguments say',
};

type Add = (
  text: string,
  line?: number,
  mayFollow?: boolean,
  member?: Pick<Difference, 'added' | 'gone'>,
) => void;

function enumDifferences(
  then: UnitTypes,
  before: TypeEntry,
  now: UnitTypes,
  after: TypeEntry,
  add: Add,
): void {
  const values = new Map(before.enumerators.map(({ name, value }) => [name, value]));
  for (const { name, value, line } of after.enumerators) {
    const was = values.get(name);
    if (was !== undefined && was !== value) add(`enumerator \`${name}\` is ${value}, was ${was}`, line);
  }
  // Without a fixed underlying type, adding a negative enumerator changes the signedness of the representation.
  if (before.size === after.size && then.keys.enumEncoding(before) !== now.keys.enumEncoding(after))
    add('its underlying type is another');
}

function baseDifferences(
  then: UnitTypes,
  before: TypeEntry,
  now: UnitTypes,
  after: TypeEntry,
  add: Add,
): void {
  const old = new Map(before.bases.map(({ type, location }) => [then.keys.key(type), { type, location }]));
  for (const { type, location } of after.bases) {
    const key = now.keys.key(type);
    const was = old.get(key);
    old.delete(key);
    if (!was) add(`base class \`${describe(now, type)}\` is new`);
    else if (was.location !== location)
      add(
        location.startsWith('virtual') || was.location.startsWith('virtual')
          ? `base class \`${describe(now, type)}\` is found in another way`
          : `base class \`${describe(now, type)}\` is at offset ${location}, was at ${was.location}`,
        0,
        true,
      );
  }
  for (const { type } of old.values()) add(`base class \`${describe(then, type)}\` is gone`);
}

function memberDifferences(
  then: UnitTypes,
  before: TypeEntry,
  now: UnitTypes,
  after: TypeEntry,
  add: Add,
): void {
  const old = new Map<string, Member>();
  for (const member of then.keys.members(before)) old.set(member.name, member);
  const unknown: Member[] = [];
  for (const member of now.keys.members(after)) {
    const was = old.get(member.name);
    old.delete(member.name);
    if (!was) unknown.push(member);
    else if (!areAlike(was.key, member.key))
      add(
        `member \`${member.name}\` is ${typeText(now, member.type)}, was ${typeText(then, was.type)}`,
        member.line,
      );
    else if (was.bits !== member.bits)
      add(`bit-field \`${member.name}\` is ${width(member)}, was ${width(was)}`, member.line);
    else if (was.offset !== member.offset)
      add(
        `member \`${member.name}\` is at ${offsetText(member.offset)}, was at ${offsetText(was.offset)}`,
        member.line,
        true,
      );
  }
  // What is at the place of a member that is gone and has its type is that member under another name.
  const shape = ({ offset, bits, key }: Member): string => `${offset}.${bits}:${key}`;
  const gone = new Map([...old.values()].map((member) => [shape(member), member]));
  for (const member of unknown)
    if (!gone.delete(shape(member)))
      add(
        `member \`${member.name}\` (${describe(now, member.type)}) is new at ${offsetText(member.offset)}`,
        member.line,
        false,
        { added: member },
      );
  for (const member of gone.values())
    add(
      `member \`${member.name}\` (${describe(then, member.type)}, ${offsetText(member.offset)}) is gone`,
      0,
      false,
      { gone: member },
    );
}

const width = ({ bits }: Member): string =>
  bits === 0 ? 'no bit-field' : `${bits} bit${bits === 1 ? '' : 's'} wide`;

function virtualDifferences(
  then: UnitTypes,
  before: TypeEntry,
  now: UnitTypes,
  after: TypeEntry,
  add: Add,
): void {
  const old = new Map(before.virtuals.map((entry) => [entry.symbol, entry]));
  for (const { symbol, name, slot, returns, line } of after.virtuals) {
    const was = old.get(symbol);
    old.delete(symbol);
    if (!was) add(`virtual function \`${name}\` is new (vtable slot ${slot})`, line);
    else if (was.slot !== slot)
      add(`virtual function \`${name}\` is in vtable slot ${slot}, was in ${was.slot}`, line, true);
    else if (!areAlike(then.keys.key(was.returns), now.keys.key(returns)))
      add(
        `virtual function \`${name}\` returns \`${describe(now, returns)}\`, returned \`${describe(then, was.returns)}\``,
        line,
      );
  }
  for (const { name, slot } of old.values())
    add(`virtual function \`${name}\` (vtable slot ${slot}) is gone`);
}

export const LISTED = 3;

export function listed(differences: Difference[]): string {
  const texts = differences.slice(0, LISTED).map(({ text }) => text);
  const more = differences.length - texts.length;
  return texts.join('; ') + (more > 0 ? `; and ${more} more` : '');
}

export function typeText(types: UnitTypes, type: number): string {
  const size = types.sizes.sizeOf(type);
  return `\`${describe(types, type)}\`${size === undefined ? '' : ` (${bytes(size)})`}`;
}

const bytes = (count: number): string => `${count} byte${count === 1 ? '' : 's'}`;

/** An offset in bits, in bytes where it is a whole number of them. */
function offsetText(bits: number): string {
  return bits % 8 === 0 ? `offset ${bits / 8}` : `offset ${Math.floor(bits / 8)}, bit ${bits % 8}`;
}
