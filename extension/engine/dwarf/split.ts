// Finds the entries of a compile unit: in the file itself, or, when they were split off (-gsplit-dwarf; DWARF 5,
// 3.1.3), in the .dwo file that its skeleton names. A .dwo file of another build is told by its id and not used.
import { basename, dirname, join, resolve } from 'node:path';
import { ElfFile } from '../elf/file';
import { isThere, LARGEST_TEXT, readFile } from '../host';
import { HotPatchError } from '../model/errors';
import * as dw from './constants';
import { Dwarf } from './dwarf';
import type { UnitHeader } from './unit_headers';
import { fileTable, headerOf, type Unit } from './units';

/** Where the entries of a unit are. */
export interface UnitEntries {
  dwarf: Dwarf;
  header: UnitHeader;
  /** Path of a DW_AT_decl_file number in a unit of `dwarf`. */
  file: (unit: UnitHeader, number: number) => string | undefined;
}

/**
 * @throws HotPatchError `layout-unchecked` when the .dwo file is missing or of another build.
 */
export function entriesOf(elf: ElfFile, unit: Unit): UnitEntries {
  const own = Dwarf.of(elf);
  const skeleton = headerOf(elf, unit);
  const tables = new Map<UnitHeader, readonly (string | undefined)[]>();
  const file =
    (table: (unit: UnitHeader) => UnitHeader) =>
    (of: UnitHeader, number: number): string | undefined => {
      const header = table(of);
      let files = tables.get(header);
      if (!files) tables.set(header, (files = fileTable(own, header, unit.compDir)));
      return files[number];
    };
  if (unit.dwoName === undefined) return { dwarf: own, header: skeleton, file: file((of) => of) };

  const candidates = [resolve(unit.compDir, unit.dwoName), join(dirname(elf.path), basename(unit.dwoName))];
  const path = candidates.find((candidate) => isThere(candidate));
  if (path === undefined)
    throw new HotPatchError(
      'layout-unchecked',
      `debug information of ${unit.path} is in ${candidates[0]}, which is not there`,
    );
  const split = Dwarf.of(ElfFile.parse(path, readFile(path, 4 * LARGEST_TEXT)));
  const id = idOf(own, skeleton);
  const header = split.units.find((candidate) => idOf(split, candidate) === id);
  if (!header) throw new HotPatchError('layout-unchecked', `${path} is of another build than ${elf.path}`);
  split.addressesFrom(own, skeleton);
  // A split unit counts in the table of its skeleton.
  return { dwarf: split, header, file: file(() => skeleton) };
}

/** How a unit was compiled (DW_AT_producer), which its skeleton does not say; empty when the .dwo file that does is missing
 * or of another build. */
export function producerOf(elf: ElfFile, unit: Unit): string {
  if (unit.dwoName === undefined || unit.producer !== '') return unit.producer;
  try {
    const { dwarf, header } = entriesOf(elf, unit);
    return dwarf.root(header).string(dw.DW_AT_producer) ?? '';
  } catch (thrown) {
    if (thrown instanceof HotPatchError) return '';
    throw thrown;
  }
}

/** Id that a skeleton and its split unit share: in the header since DWARF 5, before that an attribute. */
function idOf(dwarf: Dwarf, unit: UnitHeader): bigint | undefined {
  if (unit.dwoId !== undefined) return unit.dwoId;
  const id = dwarf.root(unit).number(dw.DW_AT_GNU_dwo_id);
  return id === undefined ? undefined : BigInt(id);
}
