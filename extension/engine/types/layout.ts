// Is the memory of the running process laid out as the freshly compiled code expects? Compares types, variables
// and function signatures of the live unit with those of the new object, by their debug information, and refuses
// what would misread objects that exist already. Looks at no code, and changes nothing.
import { basename } from 'node:path';
import * as dw from '../dwarf/constants';
import type { UnitHeader } from '../dwarf/unit_headers';
import { parseProducer } from '../dwarf/producer';
import { readUnits, type Unit } from '../dwarf/units';
import * as abi from '../elf/constants';
import type { ElfFile } from '../elf/file';
import { HotPatchError } from '../model/errors';
import type { Problem } from '../model/result';
import { callingConvention, type CallingConvention } from './calling_convention';
import { type ChangedLayout, layoutKeyOf } from './changed_layouts';
import { type ChangedTypes, compareTypes, type PassedOtherwise, type TypeComparison } from './changed_types';
import { declaredOtherwise, type Definers, isSameVariable } from './declared_otherwise';
import { LISTED, typeText } from './differences';
import { definedElsewhere, isLaidOutOtherwise } from './elsewhere';
import type { TypedefEntry, TypeEntry, VariableEntry } from './entries';
import type { MembersInPadding } from './members_in_padding';
import { areAlike } from './keys';
import { type LayoutCache, liveProgram } from './live_program';
import { valuesInCalls } from './passing';
import type { Registry } from './registry';
import { loadSide, placeIn, type Side } from './side';
import type { UnitTypes } from './types';
import { Uses } from './uses';

export interface LayoutComparison {
  /** `layout-changed` and `variable-changed`, each at the declaration in the new source. */
  problems: Problem[];
  /** What some of the problems are for a save that makes objects anew. */
  layouts: ChangedLayout[];
  /** By which the layout of a type is known that the live units have, and that of the new object. */
  layoutOf: (name: string) => { before: string | undefined; after: string | undefined };
  /** Types that got members where they had padding, and are the same otherwise: no problems by themselves. */
  inPadding: MembersInPadding[];
  /** Types of which values go to functions in another way, where no function that is described has any. */
  passedOtherwise: PassedOtherwise[];
  /** `layout-unchecked`, with the reason, when there was nothing to compare with. */
  warnings: Problem[];
  /** Functions that both have code for, by linkage name (by name where the linker's is not known): did the return
   * type or a parameter type change, so that compiled callers of the old one cannot call the new one? */
  signatures: Map<string, boolean>;
  /** How the fresh functions are called, by the same names; without those of which several share a name. */
  conventions: Map<string, CallingConvention>;
}

export interface LayoutOptions {
  /** Remembers live units between saves. */
  cache?: LayoutCache;
  /** Accept that `static const` tables change type or size: for a patch that carries its own copy of constants. */
  constantsAreCopied?: boolean;
  /** Other modules of the program, of which functions may take and return values of the same classes. */
  others?: readonly ElfFile[];
  /** Who defines what the unit only declares; by default that is not compared. */
  definers?: Definers;
  /** The text of the source, for what it mentions. */
  text?: string;
  /** May a header be another than the one that a module was built with? By default it may. */
  mayDiffer?: (header: string, module: ElfFile) => boolean;
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
  return {
    problems: [],
    layouts: [],
    layoutOf: () => ({ before: undefined, after: undefined }),
    inPadding: [],
    passedOtherwise: [],
    warnings: [warning],
    signatures: new Map(),
    conventions: new Map(),
  };
}

/** What an object says of types, as a whole: it is compared with the module, and then with patches of it. */
const wholeSide = (elf: ElfFile): Side => loadSide(elf, readUnits(elf)[0]!, true);

function freshSide(elf: ElfFile, live: readonly Registry[]): Side {
  const shared = elf.derived(wholeSide);
  if (shared.types.registry.namedOtherwiseThan(live).length === 0) return shared;
  const own = wholeSide(elf);
  own.types.registry.unname(own.types.registry.namedOtherwiseThan(live));
  return own;
}

function compareSides(
  live: { elf: ElfFile; units: readonly Unit[] },
  fresh: { elf: ElfFile },
  options: LayoutOptions,
): LayoutComparison {
  const [freshUnit] = readUnits(fresh.elf);
  if (!freshUnit) return unchecked(live, `${fresh.elf.path} has no debug information`);
  const problems = new Map<string, Problem>();
  const signatures = new Map<string, boolean>();
  const layouts = new Map<string, ChangedLayout>();
  const inPadding = new Map<string, MembersInPadding>();
  const passedOtherwise = new Map<string, PassedOtherwise>();
  const untold = new Map<string, Problem>();
  const gather = (found: ChangedTypes): void => {
    for (const problem of found.problems) problems.set(problem.message, problem);
    for (const layout of found.layouts) layouts.set(layout.message, layout);
    for (const members of found.inPadding) inPadding.set(members.type, members);
    for (const passed of found.passedOtherwise) passedOtherwise.set(passed.name, passed);
    for (const warning of found.warnings) untold.set(warning.message, warning);
  };
  const { others = [], membersMayGo = false } = options;
  const program = liveProgram(live.elf, others, options.cache);
  const { sideOf } = program;
  const fresher = freshSide(
    fresh.elf,
    live.units.map((unit) => sideOf(live.elf, unit).types.registry),
  );
  const sources = live.units.map(({ path }) => path);
  const mayDiffer = (file: string, elf: ElfFile): boolean =>
    sources.includes(file) || (options.mayDiffer?.(file, elf) ?? true);
  let inFreshCalls: ReadonlySet<string> | undefined;
  /** What the types of a module are compared with. */
  const inTypes = (elf: ElfFile): TypeComparison => ({
    live: elf,
    sources,
    fresher,
    concernedOf: (older, name, file) => program.concernedOf(elf, older, name, file),
    unitsWith: (older, file) => program.unitsWith(elf, older, file),
    mayBeInCalls: (older, name, file) =>
      (inFreshCalls ??= valuesInCalls(fresher.types)).has(name) ||
      program.mayBeInCalls(elf, older, name, file),
    mayDiffer: (file) => file === undefined || mayDiffer(file, elf),
    hasArrays: () => [fresh.elf, elf].some(hasArrays),
    membersMayGo,
  });
  for (const unit of live.units) {
    const older = sideOf(live.elf, unit);
    gather(compareTypes(inTypes(live.elf), older));
    for (const problem of compareNames(older, fresher, options)) problems.set(problem.message, problem);
    const before = older.types.signatures.keysByName();
    for (const [symbol, now] of fresher.types.signatures.keysByName()) {
      const then = before.get(symbol);
      if (!then) continue;
      const changed = now.some((signature) => !then.some((known) => areAlike(known, signature)));
      signatures.set(symbol, changed || (signatures.get(symbol) ?? false));
    }
  }
  const known = live.units.map((unit) => sideOf(live.elf, unit).types.registry.types);
  const unknown = [...fresher.types.registry.types].filter(
    ([name]) => !known.some((types) => types.has(name)),
  );
  const isDeclared = (name: string): boolean =>
    live.units.some((unit) => sideOf(live.elf, unit).types.registry.declarations.has(name));
  // Of clang, the unit describes also what it does not use.
  const uses =
    parseProducer(freshUnit.producer).compiler === 'gcc'
      ? undefined
      : new Uses(fresher.types, fresh.elf, options.text ?? '');
  const unused: TypeEntry[] = [];
  const elsewhere = definedElsewhere(
    program.modules,
    new Set(sources),
    fresher,
    unknown,
    // What the unit had is as it was, unless its header was written since.
    (name, header, elf) => (!uses && !isDeclared(name)) || (options.mayDiffer?.(header, elf) ?? true),
    (elf) => program.cacheOf(elf).definitions,
  );
  for (const definitions of elsewhere) {
    const { elf, unit, header } = definitions;
    const names = definitions.names.filter((name) => {
      if (!isLaidOutOtherwise(definitions, name, fresher, (other) => sideOf(elf, other))) return false;
      const entry = fresher.types.registry.types.get(name)!;
      const isUsed = !uses || uses.includes(name, entry, program.unitsWith(elf, sideOf(elf, unit), header));
      if (!isUsed) unused.push(entry);
      return isUsed;
    });
    if (names.length > 0) gather(compareTypes(inTypes(elf), sideOf(elf, unit), new Set(names)));
  }
  const { definers } = options;
  if (definers)
    for (const problem of declaredOtherwise({
      fresher,
      olders: live.units.map((unit) => sideOf(live.elf, unit)),
      object: fresh.elf,
      definers,
      sideOf,
      mayDiffer,
    }))
      problems.set(problem.message, problem);
  const conventions = new Map<string, CallingConvention>();
  for (const [name, [entry, ...rest]] of fresher.types.signatures.typesByName())
    if (entry && rest.length === 0) conventions.set(name, callingConvention(fresher.types, entry));
  const missing =
    live.units.length > 0
      ? []
      : unchecked(live, `${live.elf.path} has no debug information of this file (was it built with -g?)`)
          .warnings;
  return {
    problems: [...problems.values()],
    layouts: [...layouts.values()],
    layoutOf: (name) => ({
      before: live.units
        .map((unit) => layoutKeyOf(sideOf(live.elf, unit), name))
        .find((key) => key !== undefined),
      after: layoutKeyOf(fresher, name),
    }),
    inPadding: [...inPadding.values()],
    passedOtherwise: [...passedOtherwise.values()],
    warnings: [
      ...missing,
      ...untold.values(),
      ...(unused.length > 0 ? [notUsed(freshUnit, unused)] : []),
      ...conventionsUntold(freshUnit, options.text ?? ''),
    ],
    signatures,
    conventions,
  };
}

/** Attributes that give functions another calling convention (gcc, "x86 Function Attributes"; clang, "Calling
 * Conventions"), of which the debug information of gcc says nothing. */
const CONVENTIONS = [
  ...['ms_abi', 'sysv_abi', 'regcall', 'regparm', 'vectorcall'],
  ...['preserve_most', 'preserve_all', 'preserve_none'],
];

/** Functions may have had another calling convention when the process was built. */
function conventionsUntold({ path, producer }: Unit, text: string): Problem[] {
  // In a large text a pattern for all of them takes much longer.
  const attribute = CONVENTIONS.find((word) => text.includes(word) && new RegExp(`\\b${word}\\b`).test(text));
  if (attribute === undefined || parseProducer(producer).compiler === 'clang') return [];
  return [
    {
      code: 'layout-unchecked',
      message: `${basename(path)} gives functions a calling convention (\`${attribute}\`), of which gcc's debug information says nothing: where that changed, restart the program.`,
      file: path,
    },
  ];
}

/** Does code of a file make or delete arrays of objects? (Itanium C++ ABI, 5.1.5: `na`, `da`.) */
function hasArrays(elf: ElfFile): boolean {
  return [abi.SHT_SYMTAB, abi.SHT_DYNSYM].some((table) =>
    elf.symbols(table).some(({ name }) => /^_Z[nd]a/.test(name)),
  );
}

/** Types that differ from those of the process, of a unit that does not seem to use them. */
function notUsed({ path }: Unit, types: readonly TypeEntry[]): Problem {
  const names = types.map(({ keyword, name }) => `\`${keyword} ${name}\``).sort();
  const listed =
    names.slice(0, LISTED).join(', ') + (names.length > LISTED ? ` and ${names.length - LISTED} more` : '');
  return {
    code: 'layout-unchecked',
    message: `${listed} differ${names.length > 1 ? '' : 's'} from what the running process has. No use was found in ${basename(path)}, where one that only a macro makes may be overlooked: restart the program before such code runs.`,
    file: path,
  };
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
    if (before && was !== undefined && is !== undefined && !areAlike(was, is))
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
      if (isSameVariable(then, was, now, is)) continue;
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
