// Which units of a live module a saved file concerns: the unit it is the source of, or for a header all units that
// include it. From the module's debug information, and for headers that are not in it, from the text of the sources.
// Finds; runs nothing.
import { basename, extname } from 'node:path';
import type { LiveModule } from '../context';
import type { ElfFile } from '../elf/file';
import { realPath } from '../host';
import { isUndescribed } from '../dwarf/undescribed';
import { readUnits, unitsIncluding, unitsOf, type UnitMatch } from '../dwarf/units';
import type { RankedUnit, UnitFinder } from '../process/discovery';
import type { CompileDatabases } from './compile_database';
import type { IncludeSearch } from './includes';

const SOURCE_EXTENSIONS = new Set(['.c', '.cc', '.cpp', '.cxx', '.c++', '.C', '.CPP', '.cp']);

/** Sections in one of which the name of each file is that a unit has code or declarations from (DWARF 5, 6.2.4 and 7.26). */
const NAMES_OF_FILES = ['.debug_line_str', '.debug_line'];

/** The same for the source of a unit. Before DWARF 5 its line table does not name it where all code stands behind a #line of
 * another name: then only DW_AT_name does, which short names and -fno-merge-debug-strings have among the entries. */
const NAMES_OF_SOURCES = [...NAMES_OF_FILES, '.debug_str', '.debug_info'];

/** A path that leads nowhere here (moved sources, a prefix map) matches by its end: a name alone says too little. */
const SUFFIX_COMPONENTS = 2;

/** Rank 0: the very file. 1: the same by the end of its path. 2: only the name of a FILE symbol.
 * @param entriesNear the sources of all compile databases that apply to a file. */
export function createUnitFinder(
  entriesNear: CompileDatabases['entriesNear'],
  including: IncludeSearch,
): UnitFinder {
  const unitsWith = rememberByFile(unitsIncluding);

  /** Where the source of a unit lies here: its path, or what a compile database has with the same end. */
  const sourceOf = (match: UnitMatch, near: string): string | undefined => {
    const real = realPath(match.unit.path);
    if (real !== undefined) return real;
    const entries = entriesNear(near).filter(
      ({ source }) => commonEnd(source, match.unit.path) >= SUFFIX_COMPONENTS,
    );
    const longest = Math.max(...entries.map(({ source }) => commonEnd(source, match.unit.path)));
    return entries.find(({ source }) => commonEnd(source, match.unit.path) === longest)?.source;
  };

  /** Units of the module that read a header by the text of the sources. */
  const readers = (module: LiveModule, header: string): RankedUnit[] => {
    const { elf } = module;
    const entries = entriesNear(header);
    const directories = [...new Set(entries.map(({ directory }) => directory))];
    if (!namesAny(elf, ['.debug_line_str', '.debug_str'], directories)) return [];
    const ofModule = sourcesOf(elf);
    const ours = entries.filter(({ source }) => ofModule(source));
    return [...including(ours, header)].map((source) => ({
      edited: header,
      source,
      evidence: 'include',
      rank: elf.section('.debug_info') ? 0 : 2,
    }));
  };

  /** Tells whether a module was built from a source, by its debug information or else its FILE symbols. */
  const sourcesOf = (elf: ElfFile): ((source: string) => boolean) => {
    const sources = realSources(elf);
    return (source) => sources.has(source) || isUndescribed(elf, basename(source));
  };

  return (module, file) => {
    const { elf } = module;
    const isSource = SOURCE_EXTENSIONS.has(extname(file));
    const bySymbol: RankedUnit = { edited: file, source: file, evidence: 'file-symbol', rank: 2 };
    const units: RankedUnit[] = [];
    const add = (match: UnitMatch, source: string | undefined): void => {
      if (source === undefined || (match.match !== 'path' && match.components < SUFFIX_COMPONENTS)) return;
      const rank = match.match === 'path' ? 0 : 1;
      units.push({ edited: file, source, evidence: 'debug-information', rank });
    };
    if (namesAny(elf, isSource ? NAMES_OF_SOURCES : NAMES_OF_FILES, [basename(file)])) {
      for (const match of unitsOf(elf, file).slice(0, 1)) add(match, file);
      // A source may be included too (unity builds), but not usually when it is a unit of its own.
      if (!isSource || units.length === 0)
        for (const match of unitsWith(elf, file)) add(match, sourceOf(match, file));
    }
    if (isSource) return units.length === 0 && isUndescribed(elf, basename(file)) ? [bySymbol] : units;
    const known = new Set(units.map(({ source }) => source));
    return [...units, ...readers(module, file).filter(({ source }) => !known.has(source))];
  };
}

/** Real paths of a module's sources; remembered, because it takes a look at each. */
const realSources = remember(
  (elf: ElfFile) => new Set(readUnits(elf).flatMap(({ path }) => realPath(path) ?? [])),
);

/** Cheap and certain enough to pass over other programs: the names of files and directories stand in the debug information
 * as they are, not encoded in any way. */
function namesAny(elf: ElfFile, sections: readonly string[], names: readonly string[]): boolean {
  const present = sections.flatMap((name) => elf.section(name) ?? []);
  if (present.length === 0) return true;
  return present.some((section) => names.some((name) => elf.data(section).includes(name)));
}

/** A function of (module, file) that reads line tables of a whole module, remembered as long as the module is open. */
function rememberByFile<T>(compute: (elf: ElfFile, file: string) => T): (elf: ElfFile, file: string) => T {
  const known = new WeakMap<ElfFile, (file: string) => T>();
  return (elf, file) => {
    let ofModule = known.get(elf);
    if (!ofModule) known.set(elf, (ofModule = remember((name: string) => compute(elf, name))));
    return ofModule(file);
  };
}

function remember<K, T>(
  compute: (key: K) => T,
  known: Pick<Map<K, T>, 'has' | 'get' | 'set'> = new Map(),
): (key: K) => T {
  return (key) => {
    if (known.has(key)) return known.get(key) as T;
    const value = compute(key);
    known.set(key, value);
    return value;
  };
}

/** How many path components two paths have in common at their ends. */
function commonEnd(one: string, other: string): number {
  const a = one.split('/').reverse();
  const b = other.split('/').reverse();
  const different = a.findIndex((part, index) => part === '' || part !== b[index]);
  return different < 0 ? a.length : different;
}
