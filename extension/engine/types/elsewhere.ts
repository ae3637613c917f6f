// Definitions of types that the compared units do not describe, in other units of the program: compilers leave out what a
// unit does not use, and clang the members of classes whose constructors or tables of virtual functions are compiled in
// another one. Finds them; compares no more than tells one definition from another.
import { basename } from 'node:path';
import { findDefinitions, unitsKnowing } from '../dwarf/definitions';
import { type Unit, unitsIncluding } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import { HotPatchError } from '../model/errors';
import { MOST_UNITS } from './concerned';
import { passingDifference, typeDifferences } from './differences';
import type { TypeEntry } from './entries';
import type { Side } from './side';

/** A unit, and the names of the types that it defines. */
export interface Definitions {
  elf: ElfFile;
  unit: Unit;
  header: string;
  names: string[];
}

/** Types in the system's headers stay as they are while a program is built and runs. */
const SYSTEM_HEADER = /^\/usr\/|\/include\/c\+\+\//;

/**
 * Only types of the program's headers: what a source file defines is its own.
 * @param modules of the program, the one that is compared first
 * @param sources that are compared
 * @param types by qualified name, of the fresh unit
 * @param mayDiffer may a type of a header be another than the one that a module was built with?
 * @param knownIn what was found in a module before; undefined: there is none
 */
export function definedElsewhere(
  modules: readonly ElfFile[],
  sources: ReadonlySet<string>,
  fresher: Side,
  types: Iterable<readonly [string, TypeEntry]>,
  mayDiffer: (name: string, header: string, elf: ElfFile) => boolean,
  knownIn: (elf: ElfFile) => Map<string, Unit | undefined>,
): Definitions[] {
  const byHeader = new Map<string, string[]>();
  for (const [name, { unit, file, local }] of types) {
    const header = local ? undefined : fresher.file(unit, file);
    if (header === undefined || sources.has(header) || SYSTEM_HEADER.test(header)) continue;
    byHeader.set(header, [...(byHeader.get(header) ?? []), name]);
  }
  const found: Definitions[] = [];
  for (const [header, names] of byHeader) {
    let all = names;
    for (const elf of modules) {
      const missing = all.filter((name) => mayDiffer(name, header, elf));
      if (missing.length === 0) continue;
      const known = knownIn(elf);
      const wanted = missing.filter((name) => !known.has(name));
      if (wanted.length > 0) {
        const find = (): ReadonlyMap<string, Unit> => {
          const units = unitsIncluding(elf, header).map(({ unit }) => unit);
          return findDefinitions(elf, units, wanted);
        };
        const places = elf === modules[0] ? find() : readable(find);
        for (const name of wanted) known.set(name, places?.get(name));
      }
      const inUnits = new Map<Unit, string[]>();
      for (const name of missing) {
        const unit = known.get(name);
        if (unit) inUnits.set(unit, [...(inUnits.get(unit) ?? []), name]);
      }
      for (const [unit, defined] of inUnits) found.push({ elf, unit, header, names: defined });
      all = all.filter((name) => !known.get(name));
    }
  }
  return found;
}

/**
 * Is a type laid out otherwise than in all units that define it? Those may have several definitions of one name, each for
 * itself or by other macros: the same as any of them is the same.
 * @param sideOf a unit of the module
 */
export function isLaidOutOtherwise(
  { elf, unit, header }: Definitions,
  name: string,
  fresher: Side,
  sideOf: (unit: Unit) => Side,
): boolean {
  const now = fresher.types.registry.types.get(name)!;
  const isOther = (one: Unit): boolean | undefined => {
    const side = readable(() => sideOf(one));
    const before = side?.types.registry.types.get(name);
    const file = before && side?.file(before.unit, before.file);
    // Another header has a type of that name.
    if (!side || !before || (file !== undefined && basename(file) !== basename(header))) return undefined;
    return (
      typeDifferences(side.types, before, fresher.types, now).length > 0 ||
      passingDifference(side.types, before, fresher.types, now) !== undefined
    );
  };
  const first = isOther(unit);
  if (first === false) return false;
  const including = unitsIncluding(elf, header).map((match) => match.unit);
  const others = [...unitsKnowing(elf, including, name)].flatMap(([other, how]) =>
    how === 'defined' && other !== unit ? [other] : [],
  );
  const verdicts = others.slice(0, MOST_UNITS).map(isOther);
  return !verdicts.includes(false) && (first === true || verdicts.includes(true));
}

/** Of what is malformed, or in a file that is not there, nothing is known. */
export function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof HotPatchError || thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}
