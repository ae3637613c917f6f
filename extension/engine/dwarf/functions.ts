// Where the functions and variables of one unit are declared and have their code, so that problems and patched functions
// can be shown at a line. Walks all entries of the unit: for the unit that was edited, not for a module.
import type { ElfFile } from '../elf/file';
import * as dw from './constants';
import { afterLeb, uleb } from '../elf/leb128';
import { skipAttributes } from './abbreviations';
import { Die } from './die';
import { Dwarf } from './dwarf';
import { reading } from './malformed';
import type { UnitHeader } from './unit_headers';
import { readLineRows, readLineTable, type LineRow } from './lines';
import { entriesOf } from './split';
import { headerOf, type Unit } from './units';

/** Where a function (or a variable) is declared, and where its code is. */
export interface FunctionPlace {
  /** Linkage name where it has one (C++), otherwise its name. */
  symbol: string;
  /** Unqualified name. */
  name: string;
  file: string;
  /** 1-based; 0 when the compiler did not say. */
  line: number;
  /** Offset in `section` of a relocatable file, otherwise a virtual address; undefined for a declaration. */
  address?: number;
  section?: number;
  /** Its code lies in several places (hot and cold parts), and none of them is given. */
  isSplit?: boolean;
}

/**
 * The functions of a unit, with code, abstract (inlined everywhere) or only declared, one entry for each DIE that
 * has a line of its own. Walks the whole unit, so it is meant for the one that was edited.
 * @throws HotPatchError `layout-unchecked` when the unit's entries are in a .dwo file that is not there.
 * @throws HotPatchError `unsupported-object` when it is malformed.
 */
export function functionLines(elf: ElfFile, unit: Unit): FunctionPlace[] {
  return reading(elf.path, () => readFunctions(elf, unit));
}

function readFunctions(elf: ElfFile, unit: Unit): FunctionPlace[] {
  const { dwarf, header, file: fileOf } = entriesOf(elf, unit);
  const places: FunctionPlace[] = [];
  const origin = new Die(dwarf);
  forEachEntry(dwarf, header, dw.DW_TAG_subprogram, (die) => {
    const { symbol, name, file, line } = declarationOf(dwarf, die, header, origin);
    if (name === undefined && symbol === undefined) return;
    const low = die.addressOf(dw.DW_AT_low_pc);
    places.push({
      symbol: symbol ?? name ?? '',
      name: name ?? symbol ?? '',
      file: (file === undefined ? undefined : fileOf(header, file)) ?? unit.path,
      line: line ?? 0,
      ...(low ? { address: low.address } : {}),
      ...(low?.section === undefined ? {} : { section: low.section }),
      ...(!low && die.has(dw.DW_AT_ranges) ? { isSplit: true } : {}),
    });
  });
  return places;
}

/**
 * The variables of a unit that have a name for the linker, with the line of their definition.
 * @throws HotPatchError as functionLines does.
 */
export function variableLines(elf: ElfFile, unit: Unit): FunctionPlace[] {
  return reading(elf.path, () => {
    const { dwarf, header, file: fileOf } = entriesOf(elf, unit);
    const places: FunctionPlace[] = [];
    const origin = new Die(dwarf);
    forEachEntry(dwarf, header, dw.DW_TAG_variable, (die) => {
      if (!die.has(dw.DW_AT_location)) return;
      const { symbol, name, file, line } = declarationOf(dwarf, die, header, origin);
      if (name === undefined) return;
      // C++ leaves the linkage name of static variables out (Itanium C++ ABI, 5.1.3: `L` for internal linkage).
      for (const known of symbol === undefined ? [name, `_ZL${name.length}${name}`] : [symbol])
        places.push({
          symbol: known,
          name,
          file: (file === undefined ? undefined : fileOf(header, file)) ?? unit.path,
          line: line ?? 0,
        });
    });
    return places;
  });
}

export interface Declaration {
  symbol: string | undefined;
  name: string | undefined;
  file: number | undefined;
  line: number | undefined;
}

/** A definition outside its class, and a copy of an inline function, leave to the entry they refer to what they do not
 * say themselves (2.13, 3.3.8). */
export function declarationOf(dwarf: Dwarf, die: Die, header: UnitHeader, origin: Die): Declaration {
  const found: Declaration = { symbol: undefined, name: undefined, file: undefined, line: undefined };
  for (let entry: Die | undefined = die, depth = 0; entry && depth < 4; depth++) {
    found.symbol ??= entry.string(dw.DW_AT_linkage_name) ?? entry.string(dw.DW_AT_MIPS_linkage_name);
    found.name ??= entry.string(dw.DW_AT_name);
    // The two belong together, but an entry may give a line alone when the file is that of its declaration.
    found.line ??= entry.number(dw.DW_AT_decl_line);
    // A file number counts in the table of its own unit; of another one (LTO) it says nothing here.
    if (entry.unit === header) found.file ??= entry.number(dw.DW_AT_decl_file);
    const next: number | undefined =
      entry.reference(dw.DW_AT_abstract_origin) ?? entry.reference(dw.DW_AT_specification);
    entry = next === undefined ? undefined : dwarf.die(next, origin);
  }
  return found;
}

/** Calls back for each entry of a unit with that tag, wherever it is nested. The entry is reused. */
function forEachEntry(dwarf: Dwarf, header: UnitHeader, tag: number, visit: (die: Die) => void): void {
  const abbreviations = dwarf.abbreviations(header);
  const { bytes } = header;
  const die = new Die(dwarf);
  let at = header.firstDie;
  while (at < header.end) {
    const code = uleb(bytes, at);
    const abbreviation = code === 0 ? undefined : abbreviations[code];
    if (!abbreviation) at = afterLeb(bytes, at);
    else if (abbreviation.tag === tag) {
      die.read(header, at);
      visit(die);
      at = die.next;
    } else at = skipAttributes(abbreviation, header, afterLeb(bytes, at));
  }
}

/**
 * Where the code of a unit was written: also of functions whose entries do not say (a closure's operator() has
 * no line of its own), and of what was inlined into them.
 * @returns for a section of the relocatable file, an offset and a length: the lines of that code, that of its first
 *   instruction first
 * @throws HotPatchError `unsupported-object` when the information is malformed.
 */
export function codeLines(
  elf: ElfFile,
  unit: Unit,
): (section: number, start: number, size: number) => { file: string; line: number }[] {
  const bySection = new Map<number | undefined, LineRow[]>();
  const table = reading(elf.path, () => lineTableOf(elf, unit));
  if (table)
    for (const row of reading(elf.path, () => readLineRows(Dwarf.of(elf), table))) {
      const rows = bySection.get(row.section);
      if (rows) rows.push(row);
      else bySection.set(row.section, [row]);
    }
  return (section, start, size) => {
    const rows = (bySection.get(section) ?? []).filter(
      ({ address }) => address >= start && address < start + size,
    );
    return rows
      .sort((a, b) => a.address - b.address)
      .flatMap(({ file: index, line }) => {
        const file = table?.files[index];
        return file === undefined ? [] : [{ file, line }];
      });
  };
}

/** Undefined for a unit without lines. */
export function lineTableOf(elf: ElfFile, unit: Unit): ReturnType<typeof readLineTable> {
  const dwarf = Dwarf.of(elf);
  const offset = dwarf.root(headerOf(elf, unit)).number(dw.DW_AT_stmt_list);
  return offset === undefined ? undefined : readLineTable(dwarf, offset, unit.compDir);
}
