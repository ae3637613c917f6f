// First light of optimised code (gcc): which functions are compiled together, so that nothing outside of them can have been
// compiled on assumptions about their bodies; and whether the text before the edit, compiled the same way, gives the code
// that runs. Looks at the object of the whole unit as it was before.
import { isInitialiser } from '../compare/start_code';
import { codeLines } from '../dwarf/functions';
import { fileVariables, type FileVariable } from '../dwarf/file_variables';
import { parseProducer } from '../dwarf/producer';
import { readUnits } from '../dwarf/units';
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { calleesOf, closure } from '../fast/closure';
import { realPathOrSelf } from '../host';
import { WrittenCode } from './edited_code';
import type { EditedUnit } from './edited_units';

/** What is compiled of a unit. */
export interface Together {
  /** The edited functions, and what may depend on them. */
  kept: ReadonlySet<number>;
  /** Those and what they call, so that it can be inlined; it is taken as it runs. */
  present: ReadonlySet<number>;
  /** Of optimised code: variables that only the unit knows, qualified. */
  variables?: string[] | undefined;
}

/** gcc 8 is the first that can be told to assume nothing of a function. */
const FIRST_GCC = 8;
/** Share of the text above which compiling a part of it is not worth it, and the characters from which that counts. */
const LARGEST_PART = 0.4;
const SMALL_TEXT = 20_000;

/** @returns a reason when it is not certain what depends on the edited functions */
export function compiledTogether({ baseline, now, edited }: EditedUnit): Together | { reason: string } {
  const { object, scanned } = baseline;
  if (baseline.unconfirmed.size > 0) return { reason: 'what runs of the unit was not confirmed yet' };
  const [unit] = readUnits(object.elf);
  const producer = unit && parseProducer(unit.producer);
  if (producer?.compiler !== 'gcc' || producer.major < FIRST_GCC || !scanned)
    return { reason: 'first light of optimised code is for gcc' };
  const variables = fileVariables(object.elf, unit!);
  const unknown = variablesWithoutName(object, variables);
  if (unknown !== undefined) return { reason: `${unknown} may be used by what is left out` };
  const written = new WrittenCode(object, scanned);
  const dependents = dependentsIn(object, written);
  let kept: ReadonlySet<number> = edited;
  for (let size = 0; size < kept.size;) {
    size = kept.size;
    const closed = closure(scanned, now, kept);
    if ('reason' in closed) return closed;
    for (const { on, by, name } of dependents) {
      if (!closed.has(on)) continue;
      if (by.length === 0) return { reason: `${name} depends on what was edited` };
      for (const index of by) closed.add(index);
    }
    kept = closed;
  }
  const present = new Set([...kept, ...calleesOf(now, kept)]);
  for (const { on, by } of dependents) if (by.some((index) => kept.has(index))) present.add(on);
  const length = [...present].reduce(
    (sum, index) => sum + now.functions[index]!.end - now.functions[index]!.body,
    0,
  );
  const whole = now.functions.reduce((sum, { body, end }) => sum + end - body, 0);
  if (whole > SMALL_TEXT && length > LARGEST_PART * whole)
    return { reason: `${present.size} functions belong to what was edited` };
  const folded = foldedVariable(object, variables, now.text, edited, now.functions);
  if (folded !== undefined) return { reason: `the unit may count on what ${folded} is` };
  return { kept, present, variables: [...new Set(variables.map(({ qualified }) => qualified))] };
}

/** A function whose code refers to another one of the text, or has a copy of it in it. */
interface Dependent {
  on: number;
  /** The functions of the text that it may be; none when it is no plain one (an instance of a template, an inline one). */
  by: number[];
  name: string;
}

function dependentsIn(object: ObjectFile, written: WrittenCode): Dependent[] {
  const [unit] = readUnits(object.elf);
  const lines = unit ? codeLines(object.elf, unit) : () => [];
  const byName = new Map(object.functions.map((fn) => [fn.symbol.name, fn]));
  /** A cold part, and a clone, belong to the function whose name they have. */
  const placesOf = (fn: ObjectFunction): number[] => {
    const places = written.placesOf(fn);
    const whole = places.length > 0 ? undefined : byName.get(fn.symbol.name.replace(/\..*$/, ''));
    return whole ? written.placesOf(whole) : places;
  };
  const found: Dependent[] = [];
  const isSource = new Map<string, boolean>();
  for (const fn of object.functions) {
    if (isInitialiser(fn)) continue;
    const by = placesOf(fn);
    const on = new Set<number>();
    for (const { symbol } of object.relocationsIn(fn.section, fn.offset, fn.offset + fn.size)) {
      const callee = functionOf(object, object.symbol(symbol));
      if (callee && callee !== fn) for (const index of placesOf(callee)) on.add(index);
    }
    for (const { file, line } of lines(fn.section.index, fn.offset, fn.size)) {
      if (!isSource.has(file)) isSource.set(file, realPathOrSelf(file) === object.source);
      if (isSource.get(file)) for (const index of written.at(line)) on.add(index);
    }
    for (const index of on) if (!by.includes(index)) found.push({ on: index, by, name: fn.symbol.name });
  }
  return found;
}

/** The assembler refers to local functions by their section. */
function functionOf(object: ObjectFile, symbol: ElfSymbol): ObjectFunction | undefined {
  const section = object.sectionOf(symbol);
  return section && object.functionsIn(section).find(({ offset }) => offset === symbol.value);
}

const isLocalVariable = (object: ObjectFile, { type, binding, section }: ElfSymbol): boolean =>
  (type === abi.STT_OBJECT || type === abi.STT_TLS) &&
  binding === abi.STB_LOCAL &&
  section !== abi.SHN_UNDEF &&
  section < object.elf.sections.length &&
  (object.elf.sections[section]!.flags & abi.SHF_WRITE) !== 0;

/** Does a symbol have an unqualified name: `count`, `_ZL5count`, `_ZN12_GLOBAL__N_15countE`? */
function isSymbolOf(symbol: string, name: string): boolean {
  return (
    symbol === name || (symbol.startsWith('_Z') && symbol.replace(/E$/, '').endsWith(`${name.length}${name}`))
  );
}

/** A variable in memory of which debug information does not say how it is called, and that more than one function may use. */
function variablesWithoutName(object: ObjectFile, variables: readonly FileVariable[]): string | undefined {
  return object.symbols.find(
    (symbol) =>
      isLocalVariable(object, symbol) &&
      // Those of functions (`count.0`, `_ZZ1fvE5count`), guards, and what describes classes.
      !/\.\d+$|^\.|^_Z(Z|GV|T[VTIS])/.test(symbol.name) &&
      !variables.some(({ name }) => isSymbolOf(symbol.name, name)),
  )?.name;
}

/** A variable that edited functions mention, and that the compiler may have taken for a constant, or left out, because
 * nothing wrote it, or read it, before. */
function foldedVariable(
  object: ObjectFile,
  variables: readonly FileVariable[],
  text: string,
  edited: ReadonlySet<number>,
  functions: readonly { body: number; end: number }[],
): string | undefined {
  const words = new Set(
    [...edited].flatMap((index) => {
      const { body, end } = functions[index]!;
      return [...text.slice(body, end).matchAll(/[A-Za-z_]\w*/g)].map(([word]) => word);
    }),
  );
  const inMemory = object.symbols.filter((symbol) => isLocalVariable(object, symbol));
  return variables.find(
    ({ name, isConst }) =>
      !isConst && words.has(name) && !inMemory.some((symbol) => isSymbolOf(symbol.name, name)),
  )?.name;
}
