// Code that the start of a program calls, and its end, which the process does not have: constructors of new objects and
// new functions of `__attribute__((constructor))`. Part of the safety checks: says what the runtime is to call once, and
// refuses what would construct objects again that exist. Reads symbols and references; runs nothing.
import { isRelative } from '../arch/architecture';
import * as abi from '../elf/constants';
import type { ElfSymbol, Section } from '../elf/file';
import { isConstant, type Locate, type ObjectFunction } from '../elf/object';
import type { Image } from '../live/live_image';
import type { Problem } from '../model/result';
import { readConstructors } from '../patch_format/note';
import { announcesInitialisation, registersVariables } from './address_sanitizer';
import type { UnitComparison } from './unit';

/** One function for the runtime to call, or to have called at exit. */
export interface StartCode {
  fn: ObjectFunction;
  when: 'start' | 'exit';
  /** Symbols of what it is for: the new objects, or the function itself. */
  names: string[];
  /** Code of the unit that is a part of it: a patch has it of its own, whether or not the process has its like. */
  parts: readonly ObjectFunction[];
}

export interface NewStartCode {
  code: StartCode[];
  problems: Problem[];
  warnings: Problem[];
}

/** Variables whose declaration a function has code for, by symbol; undefined when there are no line numbers. */
export type DeclaredIn = (fn: ObjectFunction) => ReadonlySet<string> | undefined;

/** Code that compilers write to initialise a unit's variables. */
const INITIALISER =
  /^(_GLOBAL__(sub_)?[ID][._]|_Z41__static_initialization_and_destruction_0|__cxx_global_(var_init|array_dtor)|_ZL?\d+__cxx_global_var_init)/;

/** clang's: each initialises one variable. */
const SINGLE = /^__cxx_global_var_init/;

/** Every unit that includes <iostream> has one; it counts how often it is constructed, so once more does no harm. */
const STREAM_INITIALISER = '_ZStL8__ioinit';

/** What live code may refer to that does nothing but make the streams ready. */
const STREAM_CODE = /^(_ZNSt8ios_base4Init[CD][12]Ev|_ZStL8__ioinit|__cxa_atexit|__dso_handle)$/;

export function isInitialiser(fn: ObjectFunction): boolean {
  return INITIALISER.test(fn.symbol.name);
}

/** @param declaredIn which variables' declarations a function has code for */
export function newStartCode(
  comparison: UnitComparison,
  declaredIn: DeclaredIn,
  locate: Locate,
): NewStartCode {
  const found: NewStartCode = { code: [], problems: [], warnings: [] };
  const { object } = comparison;
  const called = calledAlready(comparison);
  for (const { fn, when } of entries(comparison)) {
    if (registersVariables(fn)) continue;
    if (!isInitialiser(fn)) {
      const { live } = comparison.of(fn);
      if (!live || !called.has(live.entry))
        found.code.push({ fn, when, names: [fn.symbol.name], parts: live ? [] : [fn] });
      continue;
    }
    for (const piece of piecesOf(comparison, fn)) judge(piece, when, comparison, declaredIn, locate, found);
  }
  for (const { fn, names } of found.code) {
    const changed = reachesChanged(comparison, fn);
    if (!changed) continue;
    found.problems.push({
      code: 'needs-constructor',
      message: `${names.join(', ')} would be initialised by the old ${changed.symbol.name}, which this save changes too: save them one after the other`,
      symbol: names[0]!,
      ...locate(object, names[0]!),
    });
  }
  return found;
}

/** What the start and the end call, in the order of the calls (gABI, "Initialization and Termination Functions"). */
function entries({ object }: UnitComparison): { fn: ObjectFunction; when: StartCode['when'] }[] {
  return object.elf.sections
    .flatMap((section) => {
      const kind = arrayKind(section);
      if (!kind) return [];
      // Compilers number .ctors the other way round, and it is run from its end.
      const number = Number(/\.(\d+)$/.exec(section.name)?.[1] ?? NaN);
      const reversed = /^\.[cd]tors/.test(section.name);
      const priority = Number.isNaN(number) ? 65536 : reversed ? 65535 - number : number;
      const functions = object.relocations(section).flatMap(({ symbol: index, addend }) => {
        const symbol = object.symbol(index);
        const home = object.sectionOf(symbol);
        return (home && object.functionAt(home, symbol.value + addend)) ?? [];
      });
      return [{ when: kind, priority, functions: reversed ? functions.reverse() : functions }];
    })
    .sort((a, b) => a.priority - b.priority)
    .flatMap(({ when, functions }) => functions.map((fn) => ({ fn, when })));
}

function arrayKind({ name, type }: Section): StartCode['when'] | undefined {
  if (type === abi.SHT_RELA) return undefined;
  if (/^\.(preinit_array|init_array|ctors)(\.|$)/.test(name)) return 'start';
  if (/^\.(fini_array|dtors)(\.|$)/.test(name)) return 'exit';
  return undefined;
}

/** Functions of the module's own arrays, and those that were called for patches. */
function calledAlready({ live }: UnitComparison): ReadonlySet<number> {
  const { module } = live;
  const called = new Set(live.patches.flatMap(({ elf }) => readConstructors(elf)));
  for (const section of module.elf.sections)
    if (arrayKind(section))
      for (let at = section.address; at + 8 <= section.address + section.size; at += 8) {
        const pointer = module.pointerAt(at + module.bias);
        if (pointer && 'address' in pointer) called.add(pointer.address);
      }
  return called;
}

/** Where the compiler wrote a function for each variable, those; they are called one by one. */
function piecesOf({ object, references }: UnitComparison, fn: ObjectFunction): ObjectFunction[] {
  const pieces: ObjectFunction[] = [];
  for (const { symbol: index, addend, beyond } of references.of(fn)) {
    const symbol = object.symbol(index);
    const section = object.sectionOf(symbol);
    if (announcesInitialisation(object, symbol)) continue;
    const target = section && object.functionAt(section, symbol.value + addend + beyond);
    if (!target || !SINGLE.test(target.symbol.name)) return [fn];
    pieces.push(target);
  }
  return pieces.length > 0 ? pieces : [fn];
}

/** Adds a piece of the initialisation when it is for new objects only, and refuses it when it is for others as well. */
function judge(
  fn: ObjectFunction,
  when: StartCode['when'],
  comparison: UnitComparison,
  declaredIn: DeclaredIn,
  locate: Locate,
  found: NewStartCode,
): void {
  const { object } = comparison;
  const code = [...reached(comparison, fn, isInitialiser)];
  if (code.every((part) => ['same', 'original'].includes(comparison.of(part).status))) return;
  const variables = code.flatMap((part) => writableIn(part, comparison));
  const fresh = [...new Set(variables.filter((symbol) => !comparison.variable(symbol)))];
  const initialised = code.map(declaredIn);
  const existing = variables.filter(
    (symbol) =>
      symbol.name !== STREAM_INITIALISER &&
      comparison.variable(symbol) &&
      initialised.some((names) => !names || names.has(symbol.name)),
  );
  const alone = SINGLE.test(fn.symbol.name) || !initialisesMore(comparison);
  const isNew = fresh.length > 0 || (alone && comparison.of(fn).status === 'new');
  if (isNew && alone && existing.length === 0) {
    const names = fresh.length > 0 ? fresh.map(({ name }) => name) : [fn.symbol.name];
    found.code.push({ fn, when, names, parts: code });
    return;
  }
  for (const { name } of fresh)
    if (!found.problems.some(({ symbol }) => symbol === name))
      found.problems.push({
        code: 'needs-constructor',
        message: `${name} is new, and the code that initialises it at start also initialises what exists already`,
        symbol: name,
        ...locate(object, name),
      });
  if (fresh.length > 0 || found.warnings.length > 0) return;
  found.warnings.push({
    code: 'initializer-kept',
    message: `What initialises the global variables of ${object.source} at start changed; their present values are kept`,
    file: object.source,
  });
}

/** Has the process run code that initialises variables of this unit, other than the streams? */
function initialisesMore({ correlation }: UnitComparison): boolean {
  return correlation.unitSymbols().some(({ name, type, size, address, image }) => {
    if (type !== abi.STT_FUNC || !INITIALISER.test(name)) return false;
    const code = image.bytes(address, size);
    return !code || !referredBy(code, address, image).every((to) => isStreamCode(to, image));
  });
}

/** Addresses that code refers to outside of itself. */
function referredBy(code: Buffer, address: number, image: Image): number[] {
  const found = image.arch.relativeFields(code).map(({ target }) => address + target);
  if (image.elf.type === abi.ET_EXEC)
    for (const value of image.arch.numbersIn(code))
      if (value >= image.start && value < image.end) found.push(value);
  return found.filter((to) => to < address || to > address + code.length);
}

function isStreamCode(address: number, image: Image): boolean {
  const isAllowed = (name: string): boolean => STREAM_CODE.test(name) || INITIALISER.test(name);
  const stub = image.stubTarget(address);
  if (stub !== undefined) return isAllowed(stub);
  if (image.symbolsAt(address).some(({ name }) => isAllowed(name.replace(/@.*$/, '')))) return true;
  // A slot of the GOT: what it holds.
  if (!/^\.got/.test(image.sectionAt(address)?.name ?? '')) return false;
  const held = image.pointerAt(address);
  if (!held) return false;
  if ('name' in held) return isAllowed(held.name);
  return image.symbolsAt(held.address).some(({ name }) => isAllowed(name));
}

/** Writable variables that a function refers to. The guards of inline ones belong to them. */
function writableIn(fn: ObjectFunction, { object, references }: UnitComparison): ElfSymbol[] {
  return references.of(fn).flatMap(({ symbol: index, addend, beyond }) => {
    const symbol = object.symbol(index);
    const section = object.sectionOf(symbol);
    if (!section || !(section.flags & abi.SHF_WRITE) || section.flags & abi.SHF_TLS || isConstant(section))
      return [];
    const place = object.place(section, symbol.value + addend + beyond).symbol;
    return place && !place.name.startsWith('_ZGV') ? [place] : [];
  });
}

/** A function and those of the unit that it calls, directly or not, as far as the condition holds. */
function reached(
  comparison: UnitComparison,
  fn: ObjectFunction,
  follow: (callee: ObjectFunction) => boolean,
): Set<ObjectFunction> {
  const { object, references } = comparison;
  const seen = new Set([fn]);
  for (const caller of seen)
    for (const { symbol: index, addend, beyond, meaning } of references.of(caller)) {
      if (!isRelative(meaning)) continue;
      const named = object.symbol(index);
      const symbol = object.definition(named.name) ?? named;
      const section = object.sectionOf(symbol);
      const callee = section && object.functionAt(section, symbol.value + addend + beyond);
      if (callee && follow(callee)) seen.add(callee);
    }
  return seen;
}

/** A function that the save changes, if code calls one before it is redirected. */
function reachesChanged(comparison: UnitComparison, fn: ObjectFunction): ObjectFunction | undefined {
  return [...reached(comparison, fn, () => true)].find(
    (callee) =>
      callee !== fn &&
      !isInitialiser(callee) &&
      !comparison.parentOf(callee) &&
      comparison.of(callee).status === 'changed',
  );
}
