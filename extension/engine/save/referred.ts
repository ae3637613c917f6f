// Of the functions whose bodies are left out of a reduced unit, those that what stays in it refers to: they need a body, the
// others a declaration. What refers to what is read in the object of the whole unit as it was before, where every macro
// and template is expanded, and in the edited bodies. What the edit makes refer to another one behind a macro shows in the
// reduced object, where that is undefined: it is compiled once more then. Part of first light. Looks at no process.
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import { describesCode, type ObjectFile, type ObjectFunction } from '../elf/object';
import type { Baseline } from '../fast/baselines';
import { calleesOf } from '../fast/closure';
import type { ScannedText } from '../fast/edit';
import { WrittenCode } from './edited_code';

/** Functions by their place in the list of the text. */
interface References {
  /** By what always stays: data, functions that cannot be left out, those of headers. */
  byOthers: ReadonlySet<number>;
  byFunction: ReadonlyMap<number, ReadonlySet<number>>;
}

const newKnown = (): { references?: References } => ({});

/** @param present functions that stay as they are
 * @returns functions that need a body, by their place in the list; others may be among them */
export function referredTo(
  { object, scanned }: Baseline,
  now: ScannedText,
  present: ReadonlySet<number>,
): Set<number> {
  const found = calleesOf(now, present);
  const { byOthers, byFunction } = referencesIn(object, scanned ?? now);
  for (const index of byOthers) found.add(index);
  for (const caller of present) for (const index of byFunction.get(caller) ?? []) found.add(index);
  return found;
}

/** It is read once.
 * @param object of a whole unit
 * @param text what it was compiled from */
export function referencesIn(object: ObjectFile, text: ScannedText): References {
  const known = object.elf.derived(newKnown);
  known.references ??= readReferences(object, new WrittenCode(object, text), text);
  return known.references;
}

function readReferences(object: ObjectFile, written: WrittenCode, { functions }: ScannedText): References {
  const byOthers = new Set<number>();
  const byFunction = new Map<number, Set<number>>();
  const places = new Map(object.functions.map((fn) => [fn, written.placesOf(fn)]));
  /** Where code is that goes when a body does. */
  const ownerOf = (fn: ObjectFunction | undefined): number | undefined => {
    const [index, ...more] = (fn && places.get(fn)) ?? [];
    return index !== undefined && more.length === 0 && functions[index]!.mayBeLeftOut ? index : undefined;
  };
  const note = (owner: number | undefined, callee: ObjectFunction): void => {
    let list = owner === undefined ? byOthers : byFunction.get(owner);
    if (!list) byFunction.set(owner!, (list = new Set()));
    for (const index of places.get(callee)!) list.add(index);
  };
  for (const section of object.elf.sections) {
    if (!(section.flags & abi.SHF_ALLOC) || describesCode(section)) continue;
    const isCode = (section.flags & abi.SHF_EXECINSTR) !== 0;
    for (const { offset, symbol } of object.relocations(section)) {
      const callees = functionsOf(object, object.symbol(symbol));
      if (callees.length === 0) continue;
      const owner = isCode ? ownerOf(object.functionAt(section, offset)) : undefined;
      for (const callee of callees) note(owner, callee);
    }
  }
  // Another name of it, or a resolver, is an object's own reference to it.
  for (const fn of object.functions) if (fn.aliases.length > 1) note(undefined, fn);
  return { byOthers, byFunction };
}

/** All of a section, when only that is named. */
function functionsOf(object: ObjectFile, symbol: ElfSymbol): readonly ObjectFunction[] {
  const section = object.sectionOf(symbol);
  if (!section) return [];
  const all = object.functionsIn(section);
  return symbol.type === abi.STT_SECTION ? all : all.filter(({ offset }) => offset === symbol.value);
}

/** Functions of which only the declaration stayed and that a reduced object refers to all the same.
 * @param declared by their place in the list
 * @returns undefined when something is referred to that the whole unit defines, and it is not known what that is */
export function missedIn(
  object: ObjectFile,
  { object: before, language }: Baseline,
  { functions }: ScannedText,
  declared: ReadonlySet<number>,
): Set<number> | undefined {
  const found = new Set<number>();
  if (declared.size === 0) return found;
  const { defined, others } = namesIn(before);
  for (const { section, name } of object.symbols) {
    if (section !== abi.SHN_UNDEF || name === '' || others.has(name)) continue;
    const hits = [...declared].filter((index) => isSymbolOf(name, functions[index]!.name, language));
    if (hits.length === 0 && defined.has(name)) return undefined;
    for (const index of hits) found.add(index);
  }
  return found;
}

const newNames = (): { names?: Names } => ({});

interface Names {
  defined: ReadonlySet<string>;
  /** Defined elsewhere. */
  others: ReadonlySet<string>;
}

function namesIn(object: ObjectFile): Names {
  const known = object.elf.derived(newNames);
  if (!known.names) {
    const isDefined = ({ section }: ElfSymbol): boolean => section !== abi.SHN_UNDEF;
    const names = (symbols: readonly ElfSymbol[]): Set<string> => new Set(symbols.map(({ name }) => name));
    known.names = {
      defined: names(object.symbols.filter(isDefined)),
      others: names(object.symbols.filter((symbol) => !isDefined(symbol))),
    };
  }
  return known.names;
}

/** May a symbol be that of a function with the unqualified name? A mangled one has it somewhere, with its length before it
 * (Itanium C++ ABI, 5.1.2). */
function isSymbolOf(symbol: string, name: string, language: Baseline['language']): boolean {
  return symbol === name || (language === 'c++' && symbol.includes(`${name.length}${name}`));
}
