// The live side of a comparison of types: the modules of a program, and what was worked out for their units. Part of the
// check of layouts (layout.ts).
import { type Unit, unitsIncluding } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import { concernedBy, type ConcernedTypes, type LiveUnits, mayHaveValueInCalls } from './concerned';
import { loadSide, type Side } from './side';
import type { UnitTypes } from './types';

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

/** What a live unit says of types; remembered.
 * @throws HotPatchError `layout-unchecked`, `unsupported-object` */
export function readTypes(elf: ElfFile, unit: Unit, cache: LayoutCache): Side {
  const side = cache.units.get(unit.offset) ?? loadSide(elf, unit, false);
  cache.units.set(unit.offset, side);
  return side;
}

export interface LiveProgram {
  /** The one that is compared, and the others. */
  modules: readonly ElfFile[];
  cacheOf: (elf: ElfFile) => LayoutCache;
  sideOf: (elf: ElfFile, unit: Unit) => Side;
  /** The units of a module that may have a type: one that is known to, and all that include a file. */
  unitsWith: (elf: ElfFile, older: Side, file: string | undefined) => LiveUnits;
  /** The types of a module that consist of one, which is defined in a file. */
  concernedOf: (elf: ElfFile, older: Side, name: string, file: string | undefined) => ConcernedTypes;
  /** May a function of the program have a parameter or a result of a type, as a value? */
  mayBeInCalls: (elf: ElfFile, older: Side, name: string, file: string | undefined) => boolean;
}

/** @param cache of the module that is compared */
export function liveProgram(
  live: ElfFile,
  others: readonly ElfFile[],
  cache = newLayoutCache(),
): LiveProgram {
  const modules = [live, ...others];
  const cacheOf = (elf: ElfFile): LayoutCache => (elf === live ? cache : elf.derived(newLayoutCache));
  const sideOf = (elf: ElfFile, unit: Unit): Side => readTypes(elf, unit, cacheOf(elf));
  /** Many are looked at once, and not kept. */
  const typesOf =
    (elf: ElfFile) =>
    (unit: Unit): UnitTypes =>
      (cacheOf(elf).units.get(unit.offset) ?? loadSide(elf, unit, false)).types;
  const including = (elf: ElfFile, file: string | undefined): LiveUnits => ({
    units: file === undefined ? [] : unitsIncluding(elf, file).map(({ unit }) => unit),
    typesOf: typesOf(elf),
  });
  const unitsWith: LiveProgram['unitsWith'] = (elf, older, file) => {
    const { units, typesOf } = including(elf, file);
    return { units: [older.unit, ...units.filter(({ offset }) => offset !== older.unit.offset)], typesOf };
  };
  return {
    modules,
    cacheOf,
    sideOf,
    unitsWith,
    concernedOf: (elf, older, name, file) => {
      const { concerned } = cacheOf(elf);
      const key = `${name} ${file ?? older.unit.offset}`;
      const known = concerned.get(key) ?? concernedBy(name, unitsWith(elf, older, file));
      concerned.set(key, known);
      return known;
    },
    mayBeInCalls: (elf, older, name, file) =>
      modules.some((module) =>
        mayHaveValueInCalls(
          name,
          module === elf ? unitsWith(module, older, file) : including(module, file),
          module.derived(newValuesInCalls),
        ),
      ),
  };
}

/** By unit. */
const newValuesInCalls = (): Map<number, ReadonlySet<string>> => new Map();
