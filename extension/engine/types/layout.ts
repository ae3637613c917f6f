// Is the memory of the running process laid out as the freshly compiled code expects? Compares types, variables
// and function signatures of the live unit with those of the new object, by their debug information, and refuses
// what would misread objects that exist already. Looks at no code, and changes nothing.
import * as dw from '../dwarf/constants';
import type { UnitHeader } from '../dwarf/unit_headers';
import { findDefinitions } from '../dwarf/definitions';
import { readUnits, type Unit, unitsIncluding } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import { HotPatchError } from '../model/errors';
import type { Problem } from '../model/result';
import { callingConvention, type CallingConvention } from './calling_convention';
import { type ChangedTypes, compareTypes } from './changed_types';
import { concernedBy, type ConcernedTypes, type LiveUnits, mayHaveValueInCalls } from './concerned';
import { typeText } from './differences';
import type { TypedefEntry, TypeEntry, VariableEntry } from './entries';
import type { MembersInPadding } from './members_in_padding';
import { valuesInCalls } from './passing';
import { loadSide, placeIn, type Side } from './side';
import type { UnitTypes } from './types';

export interface LayoutComparison {
  /** `layout-changed` and `variable-changed`, each at the declaration in the new source. */
  problems: Problem[];
  /** Types that got members where they had padding, and are the same otherwise: no problems by themselves. */
  inPadding: MembersInPadding[];
  /** `layout-unchecked`, with the reason, when there was nothing to compare with. */
  warnings: Problem[];
  /** Functions that both have code for, by linkage name (by name where the linker's is not known): did the return
   * type or a parameter type change, so that compiled callers of the old one cannot call the new one? */
  signatures: Map<string, boolean>;
  /** How the fresh functions are called, by the same names; without those of which several share a name. */
  conventions: Map<string, CallingConvention>;
}

/** What was worked out for live units; one for each build id, kept by the caller. Nothing of a fresh object is kept: what
 * one says depends on more than its debug sections (their relocations, the .dwo file beside it). */
export interface LayoutCache {
  units: Map<number, Side>;
  /** Units that define types which others do not use, by qualified name; undefined: there is none. */
  definitions: Map<string, Unit | undefined>;
  /** Types that consist of one that was laid out otherwise, by its qualified name and file. */
  concerned: Map<string, ConcernedTypes>;
}

export const newLayoutCache = (): LayoutCache => ({
  units: new Map(),
  definitions: new Map(),
  concerned: new Map(),
});

export interface LayoutOptions {
  /** Remembers live units between saves. */
  cache?: LayoutCache;
  /** Accept that `static const` tables change type or size: for a patch that carries its own copy of constants. */
  constantsAreCopied?: boolean;
  /** Other modules of the program, of which functions may take and return values of the same classes. */
  others?: readonly ElfFile[];
  /** Accept that members are gone of which only padding is left: for a live side that brought them itself. */
  membersMayGo?: boolean;
}

/**
 * Compares the units of a live module that were built from the edited source with its new object.
 * @param live Module in the process (or its debug file), and its units of the source (dwarf/units.ts, `unitsOf`).
 *   For types and variables that an earlier patch brought, the object of that patch is a live module, too.
 * @param fresh The relocatable object, compiled with -g.
 * Never throws for what the files contain: debug information that is missing, split off, compressed in an unknown
 * way or malformed gives the warning `layout-unchecked`.
 */
export function compareLayouts(
  live: { elf: ElfFile; units: readonly Unit[] },
  fresh: { elf: ElfFile },
  options: LayoutOptions = {},
): LayoutComparison {
  try {
    return compareSides(live, fresh, options);
  } catch (error) {
    // A RangeError is a read beyond the end of a malformed section.
    if (error instanceof HotPatchError || error instanceof RangeError) return unchecked(live, error.message);
    throw error;
  }
}

function unchecked(live: { elf: ElfFile; units: readonly Unit[] }, reason: string): LayoutComparison {
  const file = live.units[0]?.path;
  const message = `Types could not be compared with those of the running process: ${reason}.`;
  const warning: Problem = { code: 'layout-unchecked', message, ...(file ? { file } : {}) };
  return { problems: [], inPadding: [], warnings: [warning], signatures: new Map(), conventions: new Map() };
}

/** What a live unit says of types; remembered.
 * @throws HotPatchError `layout-unchecked`, `unsupported-object` */
export function readTypes(elf: ElfFile, unit: Unit, cache: LayoutCache): Side {
  const side = cache.units.get(unit.offset) ?? loadSide(elf, unit, false);
  cache.units.set(unit.offset, side);
  return side;
}

function compareSides(
  live: { elf: ElfFile; units: readonly Unit[] },
  fresh: { elf: ElfFile },
  options: LayoutOptions,
): LayoutComparison {
  if (live.units.length === 0)
    return unchecked(live, `${live.elf.path} has no debug information of this file (was it built with -g?)`);
  const [freshUnit] = readUnits(fresh.elf);
  if (!freshUnit) return unchecked(live, `${fresh.elf.path} has no debug information`);
  const fresher = loadSide(fresh.elf, freshUnit, true);
  const problems = new Map<string, Problem>();
  const signatures = new Map<string, boolean>();
  const cache = options.cache ?? newLayoutCache();
  const sideOf = (unit: Unit): Side => readTypes(live.elf, unit, cache);
  const inPadding = new Map<string, MembersInPadding>();
  const gather = (found: ChangedTypes): void => {
    for (const problem of found.problems) problems.set(problem.message, problem);
    for (const members of found.inPadding) inPadding.set(members.type, members);
  };
  /** The live units that may have a type: the one that is compared, and all that include the file. */
  const unitsWith = (older: Side, file: string | undefined): LiveUnits => {
    const others = including(live.elf, file).units.filter(({ offset }) => offset !== older.unit.offset);
    const typesOf = (unit: Unit): UnitTypes =>
      (unit === older.unit ? older : (cache.units.get(unit.offset) ?? loadSide(live.elf, unit, false))).types;
    return { units: [older.unit, ...others], typesOf };
  };
  const concernedOf = (older: Side, name: string, file: string | undefined): ConcernedTypes => {
    const key = `${name} ${file ?? older.unit.offset}`;
    const known = cache.concerned.get(key) ?? concernedBy(name, unitsWith(older, file));
    cache.concerned.set(key, known);
    return known;
  };
  let inFreshCalls: ReadonlySet<string> | undefined;
  const mayBeInCalls = (older: Side, name: string, file: string | undefined): boolean => {
    inFreshCalls ??= valuesInCalls(fresher.types);
    if (inFreshCalls.has(name)) return true;
    const mayBe = (elf: ElfFile, units: LiveUnits): boolean =>
      mayHaveValueInCalls(name, units, elf.derived(newValuesInCalls));
    return (
      mayBe(live.elf, unitsWith(older, file)) ||
      (options.others ?? []).some((elf) => mayBe(elf, including(elf, file)))
    );
  };
  const sources = live.units.map(({ path }) => path);
  const { membersMayGo = false } = options;
  const inTypes = { live: live.elf, sources, fresher, concernedOf, mayBeInCalls, membersMayGo };
  for (const unit of live.units) {
    const older = sideOf(unit);
    gather(compareTypes(inTypes, older));
    for (const problem of compareNames(older, fresher, options)) problems.set(problem.message, problem);
    const before = older.types.signatures.keysByName();
    for (const [symbol, now] of fresher.types.signatures.keysByName()) {
      const then = before.get(symbol);
      if (!then) continue;
      const changed = now.some((signature) => !then.includes(signature));
      signatures.set(symbol, changed || (signatures.get(symbol) ?? false));
    }
  }
  const known = live.units.map((unit) => sideOf(unit).types.registry.types);
  const unknown = [...fresher.types.registry.types].filter(
    ([name]) => !known.some((types) => types.has(name)),
  );
  for (const [unit, names] of definedElsewhere(live, fresher, unknown, cache.definitions))
    gather(compareTypes(inTypes, sideOf(unit), names));
  const conventions = new Map<string, CallingConvention>();
  for (const [name, [entry, ...others]] of fresher.types.signatures.typesByName())
    if (entry && others.length === 0) conventions.set(name, callingConvention(fresher.types, entry));
  return {
    problems: [...problems.values()],
    inPadding: [...inPadding.values()],
    warnings: [],
    signatures,
    conventions,
  };
}

/** By unit. */
const newValuesInCalls = (): Map<number, ReadonlySet<string>> => new Map();

/** The units of a module that include a file. */
function including(elf: ElfFile, file: string | undefined): LiveUnits {
  const units = file === undefined ? [] : unitsIncluding(elf, file).map(({ unit }) => unit);
  return { units, typesOf: (unit) => loadSide(elf, unit, false).types };
}

/** Types in the system's headers stay as they are while a program is built and runs. */
const SYSTEM_HEADER = /^\/usr\/|\/include\/c\+\+\//;

/**
 * Units that define what the live unit did not use until now (compilers leave it out of the debug information), by the
 * names that they define. Only types of the program's headers: what a source file defines is its own.
 */
function definedElsewhere(
  live: { elf: ElfFile; units: readonly Unit[] },
  fresher: Side,
  types: readonly (readonly [string, TypeEntry])[],
  definitions: LayoutCache['definitions'],
): Map<Unit, Set<string>> {
  const byHeader = new Map<string, string[]>();
  const sources = new Set(live.units.map(({ path }) => path));
  for (const [name, { unit, file, local }] of types) {
    const header = local ? undefined : fresher.file(unit, file);
    if (header === undefined || sources.has(header) || SYSTEM_HEADER.test(header)) continue;
    byHeader.set(header, [...(byHeader.get(header) ?? []), name]);
  }
  const found = new Map<Unit, Set<string>>();
  for (const [header, names] of byHeader) {
    const wanted = names.filter((name) => !definitions.has(name));
    if (wanted.length > 0) {
      const units = unitsIncluding(live.elf, header).map(({ unit }) => unit);
      const places = findDefinitions(live.elf, units, wanted);
      for (const name of wanted) definitions.set(name, places.get(name));
    }
    for (const name of names) {
      const unit = definitions.get(name);
      if (unit) found.set(unit, (found.get(unit) ?? new Set()).add(name));
    }
  }
  return found;
}

/** Compares what stands for types, and what has them: enumerators, typedefs, variables. */
function compareNames(older: Side, fresher: Side, options: LayoutOptions): Problem[] {
  const then = older.types;
  const now = fresher.types;
  const problems: Problem[] = [];
  const place = (unit: UnitHeader, file: number, line: number): Partial<Problem> =>
    placeIn(fresher, unit, file, line);

  for (const [name, { value, entry, line }] of now.registry.looseEnumerators) {
    const before = then.registry.looseEnumerators.get(name);
    if (before && before.value !== value)
      problems.push({
        code: 'layout-changed',
        message: `Enumerator \`${name}\` is ${value}, in the running process it is ${before.value}.`,
        ...place(entry.unit, entry.file, line),
      });
  }

  for (const [name, entry] of now.registry.typedefs) {
    const before = then.registry.typedefs.get(name);
    const was = before && targetOf(then, before);
    const is = before && targetOf(now, entry);
    const { type, unit, file, line } = entry;
    if (before && was !== undefined && is !== undefined && was !== is)
      problems.push({
        code: 'layout-changed',
        message: `\`typedef ${name}\` is ${typeText(now, type)}, in the running process it is ${typeText(then, before.type)}.`,
        ...place(unit, file, line),
      });
  }

  for (const [identity, entries] of now.registry.variables) {
    const before = then.registry.variables.get(identity);
    if (!before) continue;
    for (const [was, is] of pairs(then, before, now, entries)) {
      if (sameKey(then.keys.key(was.type), now.keys.key(is.type))) continue;
      if (options.constantsAreCopied && isConstant(then, was) && isConstant(now, is)) continue;
      problems.push({
        code: 'variable-changed',
        message: `Variable \`${is.name}\` is ${typeText(now, is.type)}, in the running process it is ${typeText(then, was.type)}.`,
        ...place(is.unit, is.file, is.line),
        ...(is.symbol === undefined ? {} : { symbol: is.symbol }),
      });
    }
  }
  return problems;
}

/** Key of what a typedef stands for; undefined when typedefs of that name stand for several types. */
function targetOf(types: UnitTypes, { type, twin }: TypedefEntry): string | undefined {
  const key = types.keys.key(type);
  for (; twin; twin = twin.twin) if (types.keys.key(twin.type) !== key) return undefined;
  return key;
}

/** Variables of one identity in both units. Function-local statics of one name in several blocks correspond in
 * order; when their number changed, one is only compared when no live one has its type. */
function pairs(
  then: UnitTypes,
  before: VariableEntry[],
  now: UnitTypes,
  after: VariableEntry[],
): [VariableEntry, VariableEntry][] {
  if (before.length === after.length)
    return after.flatMap((entry, i): [VariableEntry, VariableEntry][] => {
      const was = before[i];
      return was ? [[was, entry]] : [];
    });
  const keys = new Set(before.map(({ type }) => then.keys.key(type)));
  const [was] = before;
  const stranger = after.find(({ type }) => !keys.has(now.keys.key(type)));
  return was && stranger && after.length < before.length ? [[was, stranger]] : [];
}

/** Types are the same, or one of the two is an array whose length its declaration leaves open. */
function sameKey(one: string, other: string): boolean {
  if (one === other) return true;
  if (!one.startsWith('[?]') && !other.startsWith('[?]')) return false;
  return one.replace(/^\[[^\]]*\]/, '') === other.replace(/^\[[^\]]*\]/, '');
}

function isConstant({ dwarf }: UnitTypes, { type, external }: VariableEntry): boolean {
  if (external) return false;
  let die = dwarf.die(type);
  while (die.tag === dw.DW_TAG_array_type || die.tag === dw.DW_TAG_typedef) {
    const element = die.reference(dw.DW_AT_type);
    if (element === undefined) return false;
    die = dwarf.die(element);
  }
  return die.tag === dw.DW_TAG_const_type;
}
