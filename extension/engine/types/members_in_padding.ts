// A type that got members where it had padding, or lost some: what the save has to know to allow it. Code that was not
// compiled with the edit and uses the type leaves such a member out where it copies objects, so who else knows the type is
// looked for.
import { unitsKnowing } from '../dwarf/definitions';
import { readUnits, type Unit, unitsIncluding } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import { HotPatchError } from '../model/errors';
import type { Problem } from '../model/result';
import { describe } from './describe';
import { typeDifferences } from './differences';
import type { Member } from './entries';
import type { Defined } from './padding';
import { loadSide } from './side';

export interface MembersInPadding {
  /** As in a declaration: `struct S`. */
  type: string;
  /** For people, each with its type and offset. */
  members: string[];
  /** The same of those that a patch had brought, and that are padding again. */
  gone: string[];
  /** Of the first of the members, else of the type. */
  place: Partial<Problem>;
  /** In which the type is defined; undefined when the compiler did not say. */
  file: string | undefined;
  layouts: NonNullable<Problem['layouts']>;
  /** Does a patch have the type as it is now, and does it have it otherwise? */
  in: (patch: ElfFile) => { alike: boolean; otherwise: boolean };
  /** Sources of the module that may use the type and do not include that file. */
  knownBeside: () => string[];
}

export const memberText = ({ types }: Defined, { name, type, offset }: Member): string =>
  `\`${name}\` (${describe(types, type)}, offset ${offset / 8})`;

/**
 * How the units of a patch have a type. One that cannot be read does not say so.
 * @param file that defines it: sources may have types of one name, each for itself
 */
export function definitionsIn(
  elf: ElfFile,
  name: string,
  file: string | undefined,
  now: Defined,
): ReturnType<MembersInPadding['in']> {
  const found = { alike: false, otherwise: false };
  try {
    for (const unit of readUnits(elf)) {
      const side = loadSide(elf, unit, false);
      const entry = side.types.registry.types.get(name);
      if (!entry || side.file(entry.unit, entry.file) !== file) continue;
      const isAlike = typeDifferences(side.types, entry, now.types, now.entry).length === 0;
      found[isAlike ? 'alike' : 'otherwise'] = true;
    }
  } catch (thrown) {
    if (!(thrown instanceof HotPatchError) && !(thrown instanceof RangeError)) throw thrown;
  }
  return found;
}

/** DW_LANG_C_plus_plus and its later editions (DWARF 5, 7.12). */
const CXX = [0x04, 0x1a, 0x21, 0x2b, 0x31];

/**
 * Sources that know a type otherwise than by the file that defines it: by a definition of their own that is laid out alike,
 * or, by clang, without one. Of classes with constructors clang describes the members only where one is compiled, so that
 * a unit may copy objects of which its debug information has the name alone (`-fno-standalone-debug`, the default).
 * @param file that defines the type
 * @param sources of the units that are compared: what one of them defines, nobody else can have the definition of
 */
export function knownBeside(
  elf: ElfFile,
  { name, before, file, sources }: { name: string; before: Defined; file: string; sources: string[] },
): string[] {
  const including = new Set(unitsIncluding(elf, file).map(({ unit }) => unit.offset));
  const others = readUnits(elf).filter(({ offset }) => !including.has(offset));
  const isAlike = (unit: Unit): boolean => {
    const { types } = loadSide(elf, unit, false);
    const entry = types.registry.types.get(name);
    return entry !== undefined && typeDifferences(types, entry, before.types, before.entry).length === 0;
  };
  return [...unitsKnowing(elf, others, name)].flatMap(([unit, how]) => {
    const mayUse =
      how === 'defined'
        ? isAlike(unit)
        : !sources.includes(file) && unit.producer.includes('clang') && CXX.includes(unit.language);
    return mayUse ? [unit.path] : [];
  });
}
