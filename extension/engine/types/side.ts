// One unit of a comparison of types: what it says of types, and where its file numbers lead.
import { entriesOf } from '../dwarf/split';
import type { UnitHeader } from '../dwarf/unit_headers';
import type { Unit } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import type { Problem } from '../model/result';
import { UnitTypes } from './types';

export interface Side {
  unit: Unit;
  types: UnitTypes;
  file: (unit: UnitHeader, number: number) => string | undefined;
}

/** @param whole all units of the file, as of an object that was made of one source
 * @throws HotPatchError `layout-unchecked`, `unsupported-object` */
export function loadSide(elf: ElfFile, unit: Unit, whole: boolean): Side {
  const { dwarf, header, file } = entriesOf(elf, unit);
  return { unit, types: new UnitTypes(dwarf, whole ? dwarf.units : [header], elf), file };
}

/** The place of a declaration, as far as it is known. */
export function placeIn(side: Side, unit: UnitHeader, file: number, line: number): Partial<Problem> {
  const path = side.file(unit, file);
  return { ...(path === undefined ? {} : { file: path }), ...(line > 0 ? { line } : {}) };
}
