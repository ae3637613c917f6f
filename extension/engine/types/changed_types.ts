// The classes, structures, unions and enumerations of a unit that are laid out otherwise than in the process: each cause one
// refusal, which names what follows from it; and those that only got members where they had padding. Part of the check of
// layouts (layout.ts).
import type { ElfFile } from '../elf/file';
import type { Problem } from '../model/result';
import { type ChangedLayout, headerOf, layoutKey, obstaclesOf } from './changed_layouts';
import type { Concerned, ConcernedTypes, LiveUnits } from './concerned';
import { type Difference, listed, passingDifference, typeDifferences } from './differences';
import type { TypeEntry } from './entries';
import { layoutText } from './layout_text';
import { definitionsIn, knownBeside, type MembersInPadding, memberText } from './members_in_padding';
import { notOverlaid } from './overlaid';
import { obstacleAround, type PaddingUse, paddingUse } from './padding';
import { isDestroyed, passingByMembers, passingOf } from './passing';
import { placeIn, type Side } from './side';
import type { UnitTypes } from './types';

export interface ChangedTypes {
  problems: Problem[];
  /** Of each of the problems. */
  layouts: ChangedLayout[];
  inPadding: MembersInPadding[];
  passedOtherwise: PassedOtherwise[];
  /** Of what differs in a way that debug information does not tell, and no comparison can. */
  warnings: Problem[];
}

/** A type of which values go to functions in another way than before, of which no described function has one. */
export interface PassedOtherwise {
  /** Qualified. */
  name: string;
  keyword: string;
  /** How, in words. */
  text: string;
  /** Of the type. */
  place: Partial<Problem>;
}

/** What types are compared with, and how. */
export interface TypeComparison {
  /** The module or patch. */
  live: ElfFile;
  /** Of its units that are compared. */
  sources: string[];
  fresher: Side;
  /** The types of the process that consist of one, which is defined in a file. */
  concernedOf: (older: Side, name: string, file: string | undefined) => ConcernedTypes;
  /** The units of the process that may have the type, which is defined in a file. */
  unitsWith: (older: Side, file: string | undefined) => LiveUnits;
  /** May a function have a parameter or a result of the type, as a value? */
  mayBeInCalls: (older: Side, name: string, file: string | undefined) => boolean;
  /** May a file be another than the one that the module was built with? */
  mayDiffer: (file: string | undefined) => boolean;
  /** Does code of the unit or of the module make or delete arrays with new[] and delete[]? */
  hasArrays: () => boolean;
  /** Members may be gone of which only padding is left. */
  membersMayGo: boolean;
}

interface ChangedType {
  name: string;
  before: TypeEntry;
  now: TypeEntry;
  differences: Difference[];
}

/** @param names of the types to compare; all by default */
export function compareTypes(
  comparison: TypeComparison,
  older: Side,
  names?: ReadonlySet<string>,
): ChangedTypes {
  const then = older.types;
  const now = comparison.fresher.types;
  const changed = new Map<string, ChangedType>();
  const passedOtherwise: PassedOtherwise[] = [];
  const warnings: Problem[] = [];
  for (const [name, entry] of now.registry.types) {
    const before = names && !names.has(name) ? undefined : then.registry.types.get(name);
    if (!before) continue;
    let found = allDifferences(comparison, older, before, entry);
    // Several types of one name in a unit are told apart by nothing else: the same as any of them is the same.
    for (let twin = before.twin; twin && !isSame(found); twin = twin.twin)
      found = allDifferences(comparison, older, twin, entry);
    const { differences, passing } = found;
    if (differences.length > 0) changed.set(name, { name, before, now: entry, differences });
    if (passing) {
      const place = placeIn(comparison.fresher, entry.unit, entry.file, entry.line);
      passedOtherwise.push({ name, keyword: entry.keyword, text: passing.text, place });
    }
    warnings.push(...untold(comparison, older, before, entry));
  }
  if (changed.size === 0) return { problems: [], layouts: [], inPadding: [], passedOtherwise, warnings };
  const { allowed, reasons } = usesOfPadding(comparison, older, changed);
  for (const name of allowed.keys()) changed.delete(name);
  const roots = rootCauses(now, changed).map((root) => {
    const problem = layoutProblem(comparison, older, changed, root, reasons.get(root.name));
    return { problem, layout: changedLayout(comparison, older, root, problem) };
  });
  return {
    problems: roots.map(({ problem }) => problem),
    layouts: roots.map(({ layout }) => layout),
    inPadding: [...allowed.values()],
    passedOtherwise,
    warnings,
  };
}

/** What may be wrong with the same layout, and neither side says enough to refuse it. */
function untold(
  { fresher, mayBeInCalls, mayDiffer, hasArrays }: TypeComparison,
  older: Side,
  before: TypeEntry,
  now: TypeEntry,
): Problem[] {
  if (before.kind === 'enum' || now.kind === 'enum') return [];
  const file = fresher.file(now.unit, now.file);
  const what = `\`${now.keyword} ${now.name}\``;
  const warning = (message: string): Problem => ({
    code: 'layout-unchecked',
    message,
    ...placeIn(fresher, now.unit, now.file, now.line),
  });
  const warnings: Problem[] = [];
  const sides = [
    { types: older.types, entry: before },
    { types: fresher.types, entry: now },
  ];
  if (
    sides.every(({ types, entry }) => passingByMembers(types, entry) === 'unknown') &&
    sides.some(({ types, entry }) => passingOf(types, entry) === 'unknown') &&
    mayDiffer(file) &&
    mayBeInCalls(older, now.name!, file)
  )
    warnings.push(
      warning(
        `${what} has a constructor from another object that takes more, and debug information does not say whether it has default arguments: if they came or went since the program was built, code that is not compiled with this save passes values of it in another way.`,
      ),
    );
  const isDestroyedNow = isDestroyed(fresher.types, now);
  if (isDestroyed(older.types, before) !== isDestroyedNow && hasArrays())
    warnings.push(
      warning(
        `${what} ${isDestroyedNow ? 'has a destructor, and had none' : 'has no destructor any more'}: arrays of it that new[] made in code that is not compiled with this save, or before it, begin in another way than delete[] takes them to.`,
      ),
    );
  return warnings;
}

interface Found {
  differences: Difference[];
  /** In the way that values go to functions, where none is known that has any. */
  passing: Difference | undefined;
}

const isSame = ({ differences, passing }: Found): boolean => differences.length === 0 && !passing;

function allDifferences(
  { fresher, mayBeInCalls }: TypeComparison,
  older: Side,
  before: TypeEntry,
  now: TypeEntry,
): Found {
  const differences = notOverlaid(
    { types: older.types, entry: before },
    { types: fresher.types, entry: now },
    typeDifferences(older.types, before, fresher.types, now),
  );
  const passing = passingDifference(older.types, before, fresher.types, now);
  if (!passing || !mayBeInCalls(older, now.name!, fresher.file(now.unit, now.file)))
    return { differences, passing };
  return { differences: [...differences, passing], passing: undefined };
}

interface UsesOfPadding {
  /** By name. */
  allowed: ReadonlyMap<string, MembersInPadding>;
  /** Why others are refused that have a member where padding was, by name. */
  reasons: ReadonlyMap<string, string>;
}

function usesOfPadding(
  { live, sources, fresher, membersMayGo }: TypeComparison,
  older: Side,
  changed: ReadonlyMap<string, ChangedType>,
): UsesOfPadding {
  const uses = new Map<string, Extract<PaddingUse, { kind: 'padding' }>>();
  const reasons = new Map<string, string>();
  for (const [name, { before, now, differences }] of changed) {
    const use = paddingUse(
      { types: older.types, entry: before },
      { types: fresher.types, entry: now },
      differences,
    );
    if (use.kind === 'refused') {
      if (use.reason !== undefined) reasons.set(name, use.reason);
    } else if (use.gone.length === 0 || membersMayGo) uses.set(name, use);
  }
  const allowed = new Map<string, MembersInPadding>();
  for (const [name, { added, gone }] of uses) {
    const isChanged = (other: string): boolean => changed.has(other) && !uses.has(other);
    const reason = obstacleAround(older.types, fresher.types, name, isChanged);
    if (reason !== undefined) {
      reasons.set(name, reason);
      continue;
    }
    const { before: was, now: is } = changed.get(name)!;
    const before = { types: older.types, entry: was };
    const now = { types: fresher.types, entry: is };
    const file = fresher.file(is.unit, is.file);
    allowed.set(name, {
      type: `${is.keyword} ${name}`,
      members: added.map((member) => memberText(now, member)),
      gone: gone.map((member) => memberText(before, member)),
      place: placeIn(fresher, is.unit, is.file, added[0]?.line || is.line),
      file,
      layouts: {
        type: name,
        before: layoutText(older.types, was),
        after: layoutText(fresher.types, is),
      },
      in: (patch) => definitionsIn(patch, name, file, now),
      knownBeside: () => (file === undefined ? [] : knownBeside(live, { name, before, file, sources })),
    });
  }
  return { allowed, reasons };
}

/** One refusal for a type and all that consist of it.
 * @param reason why a member must not be in padding, where that is what differs */
function layoutProblem(
  { fresher, concernedOf }: TypeComparison,
  older: Side,
  changed: ReadonlyMap<string, ChangedType>,
  { name, before, now: entry, differences }: ChangedType,
  reason: string | undefined,
): Problem {
  const { types, unread } = concernedOf(older, name, fresher.file(entry.unit, entry.file));
  const instances = [...changed.values()].filter(
    (other) => other.name !== name && !types.has(other.name) && mentions(other.name, name),
  );
  const others: Concerned[] = [
    ...types.values(),
    ...instances.map((other) => ({
      name: other.name,
      keyword: other.before.keyword,
      how: 'instance of a template',
      layout: layoutText(older.types, other.before),
    })),
  ];
  const after = (other: Concerned): string => {
    const now = fresher.types.registry.types.get(other.name);
    return now
      ? layoutText(fresher.types, now)
      : `${other.keyword} ${other.name}: not known, since no unit that has it was compiled\n`;
  };
  const also = others.map(({ keyword, name, how }) => `\`${keyword} ${name}\` (${how})`);
  const sentences = [
    `\`${entry.keyword} ${name}\` differs from the one in the running process: ${listed(differences)}.`,
    ...(reason === undefined ? [] : [`What is padding there cannot be used: ${reason}.`]),
    ...(also.length > 0 ? [`So do the types that consist of it: ${also.join(', ')}.`] : []),
    ...(unread > 0 ? [`${unread} units that may have more such types were not looked at.`] : []),
  ];
  return {
    code: 'layout-changed',
    message: sentences.join(' '),
    ...placeIn(fresher, entry.unit, entry.file, differences[0]?.line || entry.line),
    layouts: {
      type: name,
      before: [layoutText(older.types, before), ...others.map(({ layout }) => layout)].join('\n'),
      after: [layoutText(fresher.types, entry), ...others.map(after)].join('\n'),
    },
    ...(others.length > 0 ? { concerned: others.map((other) => other.name) } : {}),
  };
}

/** What the same type is for a save that makes its objects anew. */
function changedLayout(
  { live, sources, fresher, unitsWith }: TypeComparison,
  older: Side,
  { name, before: was, now: is, differences }: ChangedType,
  { message, concerned = [] }: Problem,
): ChangedLayout {
  const before = { types: older.types, entry: was };
  const now = { types: fresher.types, entry: is };
  const file = fresher.file(is.unit, is.file);
  return {
    name,
    keyword: is.keyword,
    message,
    file,
    before: layoutKey(older.types, was),
    after: layoutKey(fresher.types, is),
    sizes: { before: was.size, after: is.size },
    obstacles: () => {
      const { units, typesOf } = unitsWith(older, file);
      const passed = differences.some(({ text }) => text.startsWith('its values are passed by'));
      return [
        ...concerned.map((other) => `\`${other}\` consists of it`),
        ...(passed ? ['its values are passed in another way'] : []),
        ...obstaclesOf(before, now, units.map(typesOf)),
      ];
    },
    knownBeside: () => (file === undefined ? [] : knownBeside(live, { name, before, file, sources })),
    header: () => headerOf(before, now),
  };
}

/** Without the changed types that differ only because they contain another changed type. */
function rootCauses(now: UnitTypes, changed: Map<string, ChangedType>): ChangedType[] {
  const roots = [...changed.values()].filter(({ name, now: entry, differences }) => {
    for (const other of changed.keys()) if (other !== name && mentions(name, other)) return false;
    if (!differences.every(({ mayFollow }) => mayFollow)) return true;
    const parts = [...entry.bases, ...now.keys.members(entry)].map(({ type }) => now.valueType(type)?.name);
    return !parts.some((part) => part !== undefined && part !== name && changed.has(part));
  });
  return roots.length > 0 ? roots : [...changed.values()];
}

/** Is one of the template arguments of `name` the type `other`? */
function mentions(name: string, other: string): boolean {
  const list = name.indexOf('<');
  const at = list < 0 ? -1 : name.indexOf(other, list + 1);
  if (at < 0) return false;
  const isWord = (character: string | undefined): boolean =>
    character !== undefined && /[\w]/.test(character);
  return !isWord(name[at - 1]) && !isWord(name[at + other.length]);
}
