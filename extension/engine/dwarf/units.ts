// Which translation units a module or object was built from: their names, compilers and source files. Used to find
// the process of a saved file and the units that include a header. Reads unit headers, root entries and file
// tables; never walks the entries of a unit.
import { basename, isAbsolute, resolve } from 'node:path';
import type { ElfFile } from '../elf/file';
import { isThere, realPathOrSelf } from '../host';
import * as dw from './constants';
import type { Die } from './die';
import { Dwarf } from './dwarf';
import { reading } from './malformed';
import type { UnitHeader } from './unit_headers';
import { joinPath, readLineTable } from './lines';

/** A compile unit (DWARF 3.1.1), full or skeleton. */
export interface Unit {
  /** Offset of its header in .debug_info; identifies it within the file. */
  offset: number;
  /** DWARF version. */
  version: number;
  /** DW_AT_name as written. */
  name: string;
  compDir: string;
  producer: string;
  /** DW_LANG_… number. */
  language: number;
  /** `name` within `compDir`, normalised; absolute unless both were written as relative (prefix maps). */
  path: string;
  /** Name of the .dwo file that has its entries, when they were split off. */
  dwoName?: string;
}

/** A unit that was built from a source file, and how that is known. */
export interface UnitMatch {
  unit: Unit;
  /** `path`: the same file, by name or by realpath. `suffix`: the module names a path that does not exist here
   * (moved, or a prefix map); it ends alike in `components` path components. */
  match: 'path' | 'suffix';
  components: number;
}

interface Known {
  units: Unit[];
  headers: Map<number, UnitHeader>;
}

function readKnown(elf: ElfFile): Known {
  const dwarf = Dwarf.of(elf);
  const result: Known = { units: [], headers: new Map() };
  for (const header of dwarf.units) {
    if (header.base > 0) break;
    if (header.type !== dw.DW_UT_compile && header.type !== dw.DW_UT_skeleton) continue;
    const root = dwarf.root(header);
    // Before DWARF 5 the header does not tell partial units (dwz) from compile units.
    if (root.tag !== dw.DW_TAG_compile_unit && header.type !== dw.DW_UT_skeleton) continue;
    const compDir = root.string(dw.DW_AT_comp_dir) ?? '';
    const dwoName = root.string(dw.DW_AT_dwo_name) ?? root.string(dw.DW_AT_GNU_dwo_name);
    const name = root.string(dw.DW_AT_name) ?? primarySource(dwarf, root, compDir, header.version);
    result.headers.set(header.start, header);
    result.units.push({
      offset: header.start,
      version: header.version,
      name,
      compDir,
      producer: root.string(dw.DW_AT_producer) ?? '',
      language: root.number(dw.DW_AT_language) ?? 0,
      path: name === '' ? '' : joinPath(compDir, name),
      ...(dwoName === undefined ? {} : { dwoName }),
    });
  }
  return result;
}

/**
 * All compile units of a module or object, in file order; remembered for the file. Empty without debug information.
 * @throws HotPatchError `unsupported-object` when the debug information is malformed or compressed in an unknown way.
 */
export function readUnits(elf: ElfFile): readonly Unit[] {
  return reading(elf.path, () => elf.derived(readKnown)).units;
}

/** The first file of the line table: gcc gives skeleton units (split DWARF) no name. */
function primarySource(dwarf: Dwarf, root: Die, compDir: string, version: number): string {
  const offset = root.number(dw.DW_AT_stmt_list);
  const table = offset === undefined ? undefined : readLineTable(dwarf, offset, compDir);
  return table?.files[version >= 5 ? 0 : 1] ?? '';
}

/** Header of a unit that `readUnits` returned. */
export function headerOf(elf: ElfFile, unit: Unit): UnitHeader {
  const header = elf.derived(readKnown).headers.get(unit.offset);
  if (!header) throw new RangeError(`${elf.path} has no unit at ${unit.offset}`);
  return header;
}

/** How many path components two paths have in common at their ends. */
function commonEnd(one: string, other: string): number {
  const a = one.split('/').filter((part) => part !== '' && part !== '.');
  const b = other.split('/').filter((part) => part !== '' && part !== '.');
  let count = 0;
  while (count < a.length && count < b.length && a[a.length - 1 - count] === b[b.length - 1 - count]) count++;
  return count;
}

/** Decides whether paths of debug information name a file: the same by name, by realpath, or by its end. */
class PathMatcher {
  private readonly path: string;
  private readonly real: string;
  private readonly names: ReadonlySet<string>;

  constructor(path: string) {
    this.path = resolve(path);
    this.real = realPathOrSelf(this.path);
    this.names = new Set([basename(this.path), basename(this.real)]);
  }

  /** Cheap: could a path with this last component be the file? */
  mayBe(name: string): boolean {
    const slash = name.lastIndexOf('/');
    return this.names.has(slash < 0 ? name : name.slice(slash + 1));
  }

  match(candidate: string): { match: 'path' | 'suffix'; components: number } | undefined {
    if (candidate === '' || !this.mayBe(candidate)) return undefined;
    const components = Math.max(commonEnd(candidate, this.path), commonEnd(candidate, this.real));
    if (candidate === this.path || candidate === this.real || realPathOrSelf(candidate) === this.real)
      return { match: 'path', components };
    // A file that exists here under another path is another file; only a path that leads nowhere was mapped.
    if (isAbsolute(candidate) && isThere(candidate)) return undefined;
    return { match: 'suffix', components };
  }
}

/** Matches by path if there are any, otherwise those with the longest common end. */
function best<T extends { match: 'path' | 'suffix'; components: number }>(matches: T[]): T[] {
  const exact = matches.filter(({ match }) => match === 'path');
  if (exact.length > 0) return exact;
  const longest = Math.max(0, ...matches.map(({ components }) => components));
  return matches.filter(({ components }) => components === longest);
}

/**
 * The units that were built from a source file (usually one; several when it is compiled with different flags).
 * Relative names, symbolic links and prefix maps are seen through; see UnitMatch.
 */
export function unitsOf(elf: ElfFile, sourcePath: string): UnitMatch[] {
  const matcher = new PathMatcher(sourcePath);
  const matches: UnitMatch[] = [];
  for (const unit of readUnits(elf)) {
    const found = matcher.match(unit.path);
    if (found) matches.push({ unit, ...found });
  }
  return best(matches);
}

/** Source files of a unit by DW_AT_decl_file number (6.2.4); index 0 is undefined before DWARF 5.
 * @throws HotPatchError `unsupported-object` when the table is malformed. */
export function fileTable(
  dwarf: Dwarf,
  header: UnitHeader,
  compDir: string,
): readonly (string | undefined)[] {
  return reading(dwarf.path, () => {
    const root = dwarf.root(header);
    const offset = root.number(dw.DW_AT_stmt_list);
    if (offset === undefined) return [];
    return (
      readLineTable(dwarf.homeOf(header), offset, root.string(dw.DW_AT_comp_dir) ?? compDir)?.files ?? []
    );
  });
}

/** All files that a unit has code or declarations from, without repetition: the source itself and its headers.
 * Files that only define macros are not in the debug information. */
export function sourceFilesOf(elf: ElfFile, unit: Unit): string[] {
  const files = reading(elf.path, () => fileTable(Dwarf.of(elf), headerOf(elf, unit), unit.compDir));
  return [...new Set(files.filter((file) => file !== undefined))];
}

/** The units that include a header, matched as in `unitsOf`. */
export function unitsIncluding(elf: ElfFile, headerPath: string): UnitMatch[] {
  const dwarf = Dwarf.of(elf);
  const matcher = new PathMatcher(headerPath);
  const verdicts = new Map<string, { match: 'path' | 'suffix'; components: number } | undefined>();
  const matches: UnitMatch[] = [];
  for (const unit of readUnits(elf)) {
    const offset = dwarf.root(headerOf(elf, unit)).number(dw.DW_AT_stmt_list);
    if (offset === undefined) continue;
    const table = reading(elf.path, () =>
      readLineTable(dwarf, offset, unit.compDir, (name) => matcher.mayBe(name)),
    );
    const found: { match: 'path' | 'suffix'; components: number }[] = [];
    for (const file of table?.files ?? []) {
      if (file === undefined) continue;
      if (!verdicts.has(file)) verdicts.set(file, matcher.match(file));
      const verdict = verdicts.get(file);
      if (verdict) found.push(verdict);
    }
    const [first] = best(found);
    if (first) matches.push({ unit, ...first });
  }
  return best(matches);
}
