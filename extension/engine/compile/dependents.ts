// Which units of a live module a saved file concerns: the unit it is the source of, or for a header all units that
// include it. From the module's debug information; for what the running build cannot know yet (a header that was
// included since), from the compiler. Finds; does not compile anything.
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, extname } from 'node:path';
import type { CompileEntry, LiveModule } from '../context';
import { STT_FILE } from '../elf/constants';
import type { ElfFile } from '../elf/file';
import { readUnits, sourceFilesOf, unitsIncluding, unitsOf, type UnitMatch } from '../dwarf/units';
import type { RankedUnit, UnitFinder } from '../process/discovery';

const SOURCE_EXTENSIONS = new Set(['.c', '.cc', '.cpp', '.cxx', '.c++', '.C', '.CPP', '.cp']);

/** A path that leads nowhere here (moved sources, a prefix map) matches by its end: a name alone says too little. */
const SUFFIX_COMPONENTS = 2;

export interface DependencySource {
  /** Sources of all compile databases that apply to a file. */
  entriesNear: (file: string) => CompileEntry[];
  /** Files a unit reads now, by the compiler's own account (-M); absolute. */
  dependenciesOf: (entry: CompileEntry) => Promise<string[]>;
}

/** Rank 0: the very file. 1: the same by the end of its path. 2: only the name of a FILE symbol. */
export function createUnitFinder({ entriesNear, dependenciesOf }: DependencySource): UnitFinder {
  const including = rememberByFile(unitsIncluding);
  const fileSymbols = new WeakMap<ElfFile, Set<string>>();

  const hasFileSymbol = (elf: ElfFile, name: string): boolean => {
    let names = fileSymbols.get(elf);
    if (!names) {
      names = new Set(elf.symbols().flatMap((symbol) => (symbol.type === STT_FILE ? [symbol.name] : [])));
      fileSymbols.set(elf, names);
    }
    return names.has(name);
  };

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

  return async (module, file) => {
    const { elf } = module;
    const isSource = SOURCE_EXTENSIONS.has(extname(file));
    if (!elf.section('.debug_info'))
      return isSource && hasFileSymbol(elf, basename(file))
        ? [{ edited: file, source: file, evidence: 'file-symbol', rank: 2 }]
        : [];
    if (!namesAny(elf, ['.debug_line_str', '.debug_line'], [basename(file)]))
      return isSource ? [] : newlyIncluding(module, file, new Set(), { entriesNear, dependenciesOf });
    const likely = (matches: readonly UnitMatch[]): UnitMatch[] =>
      matches.filter(({ match, components }) => match === 'path' || components >= SUFFIX_COMPONENTS);
    const unit = (source: string, match: UnitMatch): RankedUnit => ({
      edited: file,
      source,
      evidence: 'debug-information',
      rank: match.match === 'path' ? 0 : 1,
    });
    const [own] = likely(unitsOf(elf, file));
    if (own && isSource) return [unit(file, own)];
    const users = likely(including(elf, file)).flatMap((match) => {
      const source = sourceOf(match, file);
      return source === undefined ? [] : [unit(source, match)];
    });
    if (own) users.unshift(unit(file, own));
    if (isSource) return users;
    const known = new Set(users.map(({ source }) => source));
    return [...users, ...(await newlyIncluding(module, file, known, { entriesNear, dependenciesOf }))];
  };
}

/** Cheap and certain enough to pass over other programs: the files and directories a unit was built from are named
 * in these sections, whole and uncompressed by any encoding (DWARF 5, 6.2.4 and 7.26). */
function namesAny(elf: ElfFile, sections: readonly string[], names: readonly string[]): boolean {
  const present = sections.flatMap((name) => elf.section(name) ?? []);
  if (present.length === 0) return true;
  return present.some((section) => names.some((name) => elf.data(section).includes(name)));
}

/** Units of the module that include a header now but did not when the module was built. Only those are asked whose
 * source, or a header of theirs, was written since and names the header: asking the compiler costs a preprocess. */
async function newlyIncluding(
  module: LiveModule,
  header: string,
  known: ReadonlySet<string>,
  { entriesNear, dependenciesOf }: DependencySource,
): Promise<RankedUnit[]> {
  const { elf } = module;
  const entries = entriesNear(header);
  const directories = [...new Set(entries.map(({ directory }) => directory))];
  if (!namesAny(elf, ['.debug_line_str', '.debug_str'], directories)) return [];
  const built = modifiedAt(elf.path) ?? 0;
  const name = basename(header);
  const mentions = remember((path: string) => {
    const modified = modifiedAt(path);
    return modified !== undefined && modified > built && readText(path).includes(name);
  });
  const found: RankedUnit[] = [];
  for (const unit of readUnits(elf)) {
    const source = realPath(unit.path);
    const entry = entries.find((candidate) => candidate.source === source);
    if (source === undefined || known.has(source) || !entry) continue;
    if (![source, ...sourceFilesOf(elf, unit)].some(mentions)) continue;
    if ((await dependenciesOf(entry)).some((path) => realPath(path) === header))
      found.push({ edited: header, source, evidence: 'dependency', rank: 0 });
  }
  return found;
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

function remember<T>(compute: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return (key) => {
    if (known.has(key)) return known.get(key) as T;
    const value = compute(key);
    known.set(key, value);
    return value;
  };
}

/** How many path components two paths have in common at their ends. */
export function commonEnd(one: string, other: string): number {
  const a = one.split('/').reverse();
  const b = other.split('/').reverse();
  const different = a.findIndex((part, index) => part === '' || part !== b[index]);
  return different < 0 ? a.length : different;
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function modifiedAt(path: string): number | undefined {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
