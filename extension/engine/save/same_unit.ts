// Whether two objects of one text are the same in everything that the engine reads of them: symbols, code, data,
// references, and what debug information says of functions and variables. Reads only.
import { isDeepStrictEqual } from 'node:util';
import type { CompilerDiagnostic } from '../model/result';
import * as abi from '../elf/constants';
import type { ObjectFile } from '../elf/object';
import type { FreshUnit } from './unit';

/** The second was compiled in another way than the first. */
export function isSameUnit(one: FreshUnit, other: FreshUnit): boolean {
  return (
    isSameCode(one.object, other.object) &&
    // Those of headers are only in one of them.
    isDeepStrictEqual(messages(one.compiled.diagnostics), messages(other.compiled.diagnostics)) &&
    isDeepStrictEqual(one.producer(), other.producer()) &&
    // Compilers leave declarations out that nobody uses.
    isDeepStrictEqual(defined(one.places()), defined(other.places())) &&
    isDeepStrictEqual(one.variables(), other.variables()) &&
    isDeepStrictEqual(one.statics(), other.statics()) &&
    one.object.functions.every((fn, index) =>
      isDeepStrictEqual(one.writtenIn(fn), other.writtenIn(other.object.functions[index]!)),
    )
  );
}

const messages = (diagnostics: readonly CompilerDiagnostic[]): string[] =>
  diagnostics.map((one) => JSON.stringify(one));

const defined = (places: ReturnType<FreshUnit['places']>): unknown =>
  new Map([...places].filter(([, { address }]) => address !== undefined));

function isSameCode(one: ObjectFile, other: ObjectFile): boolean {
  const [sections, others] = [loaded(one), loaded(other)];
  if (sections.length !== others.length || one.fileName !== other.fileName) return false;
  if (!isDeepStrictEqual(symbolsOf(one), symbolsOf(other))) return false;
  return sections.every((section, index) => {
    const like = others[index]!;
    if (section.name !== like.name || section.type !== like.type || section.flags !== like.flags)
      return false;
    if (section.size !== like.size) return false;
    if (section.type !== abi.SHT_NOBITS && !one.elf.data(section).equals(other.elf.data(like))) return false;
    return isDeepStrictEqual(references(one, section), references(other, like));
  });
}

type Section = Parameters<ObjectFile['relocations']>[0];

/** What is part of the program, and not of its debug information. */
const loaded = ({ elf }: ObjectFile): Section[] =>
  elf.sections.filter(({ flags }) => (flags & abi.SHF_ALLOC) !== 0);

/** Without those that stand for sections: debug information has other ones. */
const symbolsOf = (object: ObjectFile): unknown[] =>
  object.symbols.flatMap((symbol) => {
    const { name, value, size, type, binding, visibility } = symbol;
    if (type === abi.STT_SECTION) return [];
    return [[name, value, size, type, binding, visibility, object.sectionOf(symbol)?.name]];
  });

function references(object: ObjectFile, section: Section): unknown[] {
  return object.relocations(section).map(({ offset, type, symbol, addend }) => {
    const target = object.symbol(symbol);
    return [offset, type, addend, target.name, target.value, object.sectionOf(target)?.name];
  });
}
