// Functions and variables that a fresh unit refers to and that code of other units defines: are they what the unit declares
// them to be? In a rebuild those units would be compiled with the same header; here they run as they were built, and nothing
// but debug information tells that a parameter, a result or a variable has another type there. Part of the check of layouts
// (layout.ts).
import { basename } from 'node:path';
import { unitWithCode } from '../dwarf/code_ranges';
import { unitsDefiningVariable } from '../dwarf/definitions';
import { readUnits, type Unit, unitsIncluding } from '../dwarf/units';
import * as abi from '../elf/constants';
import type { ElfFile, ElfSymbol } from '../elf/file';
import type { Problem } from '../model/result';
import { type DeclaredFunction, declaredFunctions } from './declared_functions';
import { describe } from './describe';
import { typeText } from './differences';
import { readable } from './elsewhere';
import type { FunctionEntry, VariableEntry } from './entries';
import { areAlike } from './keys';
import { placeIn, type Side } from './side';
import type { UnitTypes } from './types';

export interface Definers {
  /** Modules and patches of the program, in the order in which a name is looked for: whose definition new code gets. */
  files: readonly ElfFile[];
  /** Does the save come with a definition of its own? */
  isSaved: (symbol: string) => boolean;
}

interface Compared {
  fresher: Side;
  /** The units of the same source in the module that is compared. */
  olders: readonly Side[];
  object: ElfFile;
  definers: Definers;
  sideOf: (elf: ElfFile, unit: Unit) => Side;
  /** May what a file declares be other than when a module was built? */
  mayDiffer: (file: string, elf: ElfFile) => boolean;
}

/** Declarations that do not fit what the process has. What nobody describes is left out. */
export function declaredOtherwise({
  fresher,
  olders,
  object,
  definers,
  sideOf,
  mayDiffer,
}: Compared): Problem[] {
  const referred = new Set(
    object.symbols().flatMap(({ name, section }) => (section === abi.SHN_UNDEF && name !== '' ? [name] : [])),
  );
  const now = fresher.types;
  const problems: Problem[] = [];
  const place = ({ unit, file, line }: DeclaredFunction | VariableEntry): Partial<Problem> =>
    placeIn(fresher, unit, file, line);
  /** Who has what a symbol means, when that may be other than what is declared. */
  const definerOf = (symbol: string, { unit, file }: DeclaredFunction | VariableEntry): Found | undefined => {
    const found = definers.isSaved(symbol) ? undefined : definition(definers.files, symbol);
    const path = fresher.file(unit, file);
    const isOpen = found && (path === undefined || mayDiffer(path, found.elf));
    return isOpen ? found : undefined;
  };

  const then = olders.map(({ types }) => ({ types, known: declaredFunctions(types, referred) }));
  for (const [symbol, declared] of declaredFunctions(now, referred)) {
    const isAsBuilt = then.some(({ types, known }) => {
      const before = known.get(symbol);
      return before && isSameFunction(types, before.entry, now, declared.entry);
    });
    const found = isAsBuilt ? undefined : definerOf(symbol, declared);
    const defined = found && readable(() => definedFunction(found, sideOf));
    if (!defined || isSameFunction(defined.side.types, defined.entry, now, declared.entry)) continue;
    problems.push({
      code: 'declared-otherwise',
      message: `${declared.name} is declared as \`${functionText(now, declared.entry)}\`, in the running process it is \`${functionText(defined.side.types, defined.entry)}\`: save ${basename(defined.side.unit.path)} as well, which defines it.`,
      symbol,
      ...place(declared),
    });
  }

  const qualified = new Map([...referred].map((symbol) => [nestedName(symbol) ?? symbol, symbol]));
  for (const [identity, entries] of now.registry.variables) {
    const symbol = referred.has(identity) ? identity : qualified.get(identity);
    const declared = entries.find(({ defined }) => !defined);
    if (symbol === undefined || !declared) continue;
    const found = olders.some(({ types }) => types.registry.variables.has(identity))
      ? undefined
      : definerOf(symbol, declared);
    const file = fresher.file(declared.unit, declared.file);
    const defined = found && readable(() => definedVariable(found, identity, declared, file, sideOf));
    if (!defined || isSameVariable(defined.side.types, defined.entry, now, declared)) continue;
    problems.push({
      code: 'variable-changed',
      message: `Variable \`${declared.name}\` is ${typeText(now, declared.type)}, in the running process it is ${typeText(defined.side.types, defined.entry.type)}.`,
      symbol,
      ...place(declared),
    });
  }
  return problems;
}

interface Found {
  elf: ElfFile;
  symbol: ElfSymbol;
}

/** Definitions that other units may refer to, by name. */
function globalsOf(elf: ElfFile): ReadonlyMap<string, ElfSymbol> {
  const found = new Map<string, ElfSymbol>();
  for (const symbol of elf.symbols())
    if (symbol.section !== abi.SHN_UNDEF && symbol.binding !== abi.STB_LOCAL && !found.has(symbol.name))
      found.set(symbol.name, symbol);
  return found;
}

function definition(files: readonly ElfFile[], name: string): Found | undefined {
  for (const elf of files) {
    const symbol = elf.derived(globalsOf).get(name);
    if (symbol) return { elf, symbol };
  }
  return undefined;
}

function definedFunction(
  { elf, symbol }: Found,
  sideOf: Compared['sideOf'],
): { side: Side; entry: FunctionEntry } | undefined {
  const unit = unitWithCode(elf, symbol.value);
  const side = unit && sideOf(elf, unit);
  const code = side?.types.registry.code.find(({ address }) => address === symbol.value);
  const entry = code && side?.types.registry.functions.get(code.types);
  return side && entry && { side, entry };
}

function definedVariable(
  { elf, symbol }: Found,
  identity: string,
  declared: VariableEntry,
  file: string | undefined,
  sideOf: Compared['sideOf'],
): { side: Side; entry: VariableEntry } | undefined {
  const including = file === undefined ? [] : unitsIncluding(elf, file).map(({ unit }) => unit);
  const units = including.length > 0 ? including : readUnits(elf);
  const last = declared.name.replace(/^.*::/, '');
  for (const unit of unitsDefiningVariable(elf, units, last)) {
    const side = sideOf(elf, unit);
    const { variables } = side.types.registry;
    const entry = [symbol.name, identity, declared.name].flatMap((name) => variables.get(name) ?? []);
    const defined = entry.find((one) => one.defined && one.external);
    if (defined) return { side, entry: defined };
  }
  return undefined;
}

/** A function that is declared without its parameters may have any. */
function isSameFunction(then: UnitTypes, was: FunctionEntry, now: UnitTypes, is: FunctionEntry): boolean {
  if (was.convention !== is.convention) return false;
  if (!areAlike(then.keys.key(was.returns), now.keys.key(is.returns))) return false;
  const isOpen = ({ parameters, variadic }: FunctionEntry): boolean => variadic && parameters.length === 0;
  if (isOpen(was) || isOpen(is)) return true;
  return (
    was.variadic === is.variadic &&
    was.parameters.length === is.parameters.length &&
    was.parameters.every((type, i) => areAlike(then.keys.key(type), now.keys.key(is.parameters[i])))
  );
}

/** Types are the same, or one of the two is an array whose length its declaration leaves open. */
export function isSameVariable(
  then: UnitTypes,
  { type: was }: Pick<VariableEntry, 'type'>,
  now: UnitTypes,
  { type: is }: Pick<VariableEntry, 'type'>,
): boolean {
  const [one, other] = [then.keys.key(was), now.keys.key(is)];
  if (areAlike(one, other)) return true;
  if (!one.startsWith('[?]') && !other.startsWith('[?]')) return false;
  return one.replace(/^\[[^\]]*\]/, '') === other.replace(/^\[[^\]]*\]/, '');
}

function functionText(types: UnitTypes, { returns, parameters, variadic }: FunctionEntry): string {
  const taken = parameters.map((type) => describe(types, type));
  return `${describe(types, returns)} (${[...taken, ...(variadic ? ['...'] : [])].join(', ')})`;
}

/** `n::S::v` for `_ZN1n1S1vE` (Itanium C++ ABI, 5.1.3); undefined for names of another kind. */
function nestedName(symbol: string): string | undefined {
  const parts: string[] = [];
  let rest = /^_ZN(.*)E$/.exec(symbol)?.[1] ?? '';
  while (rest !== '') {
    const length = Number(/^\d+/.exec(rest)?.[0]);
    const digits = String(length).length;
    if (!(length > 0) || rest.length < digits + length) return undefined;
    parts.push(rest.slice(digits, digits + length));
    rest = rest.slice(digits + length);
  }
  return parts.length > 0 ? parts.join('::') : undefined;
}
