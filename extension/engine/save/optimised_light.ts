// First light of optimised code (gcc): which functions are compiled together, so that nothing outside of them can have been
// compiled on assumptions about their bodies. Looks at the object of the whole unit as it was before.
import { isInitialiser } from '../compare/start_code';
import { codeLines } from '../dwarf/functions';
import { fileVariables, type FileVariable } from '../dwarf/file_variables';
import { parseProducer } from '../dwarf/producer';
import { readUnits } from '../dwarf/units';
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { calleesOf, closure } from '../fast/closure';
import type { ScannedText } from '../fast/edit';
import { realPathOrSelf } from '../host';
import { wholeOf, WrittenCode } from './edited_code';
import type { EditedUnit } from './edited_units';

/** What is compiled of a unit. */
export interface Together {
  edited: ReadonlySet<number>;
  /** The edited functions, and what may depend on them. */
  kept: ReadonlySet<number>;
  /** Those and what they call and may have inlined, or may know more of than that it is called; it is taken as it runs. */
  present: ReadonlySet<number>;
  /** Of optimised code: symbols of functions that may depend on the edited ones as well and are no plain ones of the text
   * (instances of templates, inline functions). */
  others?: ReadonlySet<string>;
  /** Of optimised code: variables that only the unit knows, qualified. */
  variables?: string[] | undefined;
}

/** gcc 9 is the first that can be told to assume nothing of others' code (fast/reduce.ts). */
const FIRST_GCC = 9;
/** Share of the text above which compiling a part of it is not worth it, and the characters from which that counts. */
const LARGEST_PART = 0.4;
const SMALL_TEXT = 20_000;

/** @returns a reason when it is not certain what depends on the edited functions */
export function compiledTogether({ baseline, now, edited }: EditedUnit): Together | { reason: string } {
  const { object, scanned } = baseline;
  const [unit] = readUnits(object.elf);
  const producer = unit && parseProducer(unit.producer);
  if (producer?.compiler !== 'gcc' || producer.major < FIRST_GCC || !scanned)
    return { reason: 'first light of optimised code is for gcc' };
  const variables = fileVariables(object.elf, unit!);
  const unknown = variablesWithoutName(object, variables);
  if (unknown !== undefined) return { reason: `${unknown} may be used by what is left out` };
  const { dependents, called } = dependenceIn(object, scanned);
  let kept: ReadonlySet<number> = edited;
  const others = new Set<string>();
  for (let size = 0; size < kept.size + others.size;) {
    size = kept.size + others.size;
    const closed = closure(scanned, now, kept);
    if ('reason' in closed) return closed;
    for (const { on, by } of dependents) {
      if (!(typeof on === 'string' ? others.has(on) : closed.has(on))) continue;
      for (const one of by)
        if (typeof one === 'string') others.add(one);
        else closed.add(one);
    }
    kept = closed;
  }
  const present = new Set([...kept, ...[...calleesOf(now, kept)].filter((index) => !called.has(index))]);
  for (const { on, by, isInlined } of dependents)
    if (typeof on === 'number' && (isInlined || !called.has(on)))
      if (by.some((one) => typeof one === 'number' && kept.has(one))) present.add(on);
  const length = [...present].reduce(
    (sum, index) => sum + now.functions[index]!.end - now.functions[index]!.body,
    0,
  );
  const whole = now.functions.reduce((sum, { body, end }) => sum + end - body, 0);
  if (whole > SMALL_TEXT && length > LARGEST_PART * whole)
    return { reason: `${present.size} functions belong to what was edited` };
  // Of constants the compiler knows the same everywhere; many are of templates.
  const writable = variables.flatMap(({ qualified, isConst }) => (isConst ? [] : [qualified]));
  const folded = foldedVariable(object, variables, now.text, edited, now.functions);
  if (folded !== undefined) return { reason: `the unit may count on what ${folded} is` };
  return {
    edited,
    kept,
    present,
    others,
    variables: [...new Set(writable)],
  };
}

/** A function, by its place in the text, or, when it is no plain one of the text (an instance of a template, an inline
 * one), by its symbol. */
type Node = number | string;

/** A function whose code refers to another one, or has a copy of it in it. */
interface Dependent {
  on: Node;
  /** Several where they share a line. */
  by: Node[];
  /** It has a copy of it in it. */
  isInlined: boolean;
}

interface Dependence {
  dependents: readonly Dependent[];
  /** Functions of the text that are called like those of other units where no copy was made of them: they have code of their
   * own, and call others, so that the compiler concludes little from what they do. */
  called: ReadonlySet<number>;
}

const newKnown = (): { dependence?: Dependence } => ({});

/** What depends on what in the code that runs. It is read once.
 * @param object of a whole unit
 * @param text what it was compiled from */
export function dependenceIn(object: ObjectFile, text: ScannedText): Dependence {
  const known = object.elf.derived(newKnown);
  if (!known.dependence) {
    const written = new WrittenCode(object, text);
    known.dependence = { dependents: dependentsIn(object, written), called: calledOnly(object, written) };
  }
  return known.dependence;
}

function calledOnly(object: ObjectFile, written: WrittenCode): Set<number> {
  const found = new Set<number>();
  for (const fn of object.functions) {
    const { name } = fn.symbol;
    if (wholeOf(name) !== name || isInitialiser(fn)) continue;
    const places = written.placesOf(fn);
    const calls = object
      .relocationsIn(fn.section, fn.offset, fn.offset + fn.size)
      .some(({ symbol: index }) => {
        const symbol = object.symbol(index);
        const callee = functionOf(object, symbol);
        return symbol.section === abi.SHN_UNDEF || (callee !== undefined && callee !== fn);
      });
    if (calls && places.length === 1) found.add(places[0]!);
  }
  return found;
}

function dependentsIn(object: ObjectFile, written: WrittenCode): Dependent[] {
  const [unit] = readUnits(object.elf);
  const lines = unit ? codeLines(object.elf, unit) : () => [];
  const byName = new Map(object.functions.map((fn) => [fn.symbol.name, fn]));
  /** A cold part, and a clone, belong to the function whose name they have. */
  const nodesOf = (fn: ObjectFunction): Node[] => {
    const places = written.placesOf(fn);
    if (places.length > 0) return places;
    const whole = byName.get(wholeOf(fn.symbol.name));
    const ofWhole = whole ? written.placesOf(whole) : [];
    return ofWhole.length > 0 ? ofWhole : [wholeOf(fn.symbol.name)];
  };
  const found: Dependent[] = [];
  const isSource = new Map<string, boolean>();
  for (const fn of object.functions) {
    if (isInitialiser(fn)) continue;
    const by = nodesOf(fn);
    const on = new Set<Node>();
    for (const { symbol } of object.relocationsIn(fn.section, fn.offset, fn.offset + fn.size)) {
      const callee = functionOf(object, object.symbol(symbol));
      if (callee && callee !== fn) for (const node of nodesOf(callee)) on.add(node);
    }
    const inlined = new Set<Node>();
    for (const { file, line } of lines(fn.section.index, fn.offset, fn.size)) {
      if (!isSource.has(file)) isSource.set(file, realPathOrSelf(file) === object.source);
      if (isSource.get(file)) for (const index of written.at(line)) inlined.add(index);
    }
    for (const node of new Set([...on, ...inlined]))
      if (!by.includes(node)) found.push({ on: node, by, isInlined: inlined.has(node) });
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
