// Shared libraries that an ordinary link with the unit's own compiler driver would have supplied, and that the program was
// linked without because it needed nothing of them (`--as-needed`): libstdc++ above all. One is loaded with the patch, as
// the program's own loader would find it, unless the process has a copy of it already, in whatever form.
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { CompileEntry, LiveModule } from '../context';
import * as abi from '../elf/constants';
import { directories, type DynamicNames, readDynamicNames } from '../elf/dynamic_section';
import { ElfFile } from '../elf/file';
import { type ExportedSymbol, readExports } from '../elf/symbol_versions';
import { isThere, readProcessText } from '../host';
import { type AddedLibrary, type ImportResolver, isLinkedStatically } from '../link/imports';
import { HotPatchError } from '../model/errors';
import type { Problem } from '../model/result';
import type { Save } from './progress';
import type { ModulePlan } from './unit';

/** Named in a refusal where the driver does not link them by itself (C and its libm). */
const OTHERS = ['libm.so.6', 'libatomic.so.1', 'libgcc_s.so.1', 'libgomp.so.1', 'libstdc++.so.6'];

/** Functions that throw and unwind. A second copy would not know the exceptions of the first. */
const ONLY_ONCE = ['__cxa_throw', '__cxa_begin_catch', '_Unwind_RaiseException', '_ZSt9terminatev'];

interface Library extends DynamicNames {
  path: string;
  exports: ReadonlyMap<string, ExportedSymbol>;
}

/**
 * Has the library that defines what a link missed loaded with the patch.
 * @param missing the refusal, which names the symbol
 * Throws it, with what is known of the symbol, where no library may be added.
 */
export async function addLibrary(
  save: Save,
  plan: ModulePlan,
  imports: ImportResolver,
  entry: CompileEntry,
  missing: HotPatchError,
): Promise<void> {
  const symbol = missing.place.symbol!;
  const refusal = (message: string): HotPatchError =>
    new HotPatchError('unresolved-symbol', message, missing.place);
  const linked = (await save.context.compile.linkLibraries(entry)).flatMap((path) => read(path) ?? []);
  const ofCompiler = linked.find((library) => defines(library, symbol));
  if (!ofCompiler) throw await withItsName(save, entry, symbol, missing);
  const { pid } = plan.target.process;
  const { modules } = plan;
  const name = nameOf(ofCompiler);
  const known = new Map(modules.map((module) => [nameIn(module), module]));
  if (!known.has('libc.so.6'))
    throw refusal(
      `${symbol} is in ${name}, which a program without a loader cannot load: link it, and restart`,
    );
  const loaded = known.get(name);
  if (loaded)
    throw refusal(
      `${symbol} is in the ${name} of the compiler (${ofCompiler.path}), not in the one that the process has loaded (${loaded.path})`,
    );
  const own = foundByProgram(pid, plan.module, modules[0], name);
  const library = own === undefined ? ofCompiler : read(`/proc/${pid}/root${own}`);
  if (!library || !defines(library, symbol))
    throw refusal(
      `${symbol} is in the ${name} of the compiler (${ofCompiler.path}), not in the one that the program would load (${own})`,
    );
  const copy = copyOf(closureOf(library, linked, known), modules);
  if (copy)
    throw refusal(
      `${symbol} is in ${name}, and ${copy.module} has a copy of ${copy.symbol} of its own, which would not know that one`,
    );
  imports.add({ name: own ?? name, exports: library.exports, cause: { ...missing.place, pid } });
  save.context.log('info', `${symbol} is taken from ${own ?? name}, which is loaded with the patch`);
}

/** What a user is told of a library that is loaded. */
export function libraryLoaded({ name, cause }: AddedLibrary): Problem {
  const message = `${basename(name)} is loaded with this save, for ${cause.symbol}: the program was linked without it`;
  return { code: 'library-loaded', message, ...cause };
}

/** Undefined for what is no library, or cannot be read. */
function read(path: string): Library | undefined {
  try {
    const elf = ElfFile.open(path);
    try {
      return { path, ...readDynamicNames(elf), exports: readExports(elf) };
    } finally {
      elf.close();
    }
  } catch {
    return undefined; // whoever asked names it
  }
}

const defines = ({ path, exports }: Library, symbol: string): boolean =>
  exports.has(symbol) && !isLinkedStatically(path, symbol);

const nameOf = ({ soname, path }: Library): string => soname ?? basename(path);

const nameIn = ({ elf, path }: LiveModule): string => elf.derived(readDynamicNames).soname ?? basename(path);

/** The same refusal with the library that has the symbol, where one of the usual ones does. */
async function withItsName(
  save: Save,
  entry: CompileEntry,
  symbol: string,
  refusal: HotPatchError,
): Promise<HotPatchError> {
  for (const name of OTHERS) {
    const path = await save.context.compile.libraryFile(entry, name);
    if (path === undefined || !read(path)?.exports.has(symbol)) continue;
    return new HotPatchError(
      'unresolved-symbol',
      `${symbol} is in ${name}, which the process has not loaded: link the program with it and restart`,
      refusal.place,
    );
  }
  return refusal;
}

/** Where the directories of the program's own have a library; undefined: it is found where all programs find it.
 * In the loader's order (ld.so(8)): DT_RPATH, LD_LIBRARY_PATH, DT_RUNPATH. */
function foundByProgram(
  pid: number,
  module: LiveModule,
  executable: LiveModule | undefined,
  name: string,
): string | undefined {
  const environment = readProcessText(pid, 'environ')?.split('\0') ?? [];
  const listed = environment.find((variable) => variable.startsWith('LD_LIBRARY_PATH='));
  const pathsOf = ({ elf, path }: LiveModule): { rpath: string[]; runpath: string[] } => {
    const { rpath, runpath } = elf.derived(readDynamicNames);
    const inPlace = (all: string[]): string[] =>
      all.map((directory) => directory.replace(/\$(ORIGIN|\{ORIGIN\})/g, dirname(path)));
    return { rpath: runpath.length > 0 ? [] : inPlace(rpath), runpath: inPlace(runpath) };
  };
  const own = pathsOf(module);
  return [
    ...own.rpath,
    ...(executable && executable !== module ? pathsOf(executable).rpath : []),
    ...directories(listed?.slice(listed.indexOf('=') + 1) ?? ''),
    ...own.runpath,
  ]
    .filter(isAbsolute)
    .map((directory) => join(directory, name))
    .find((path) => isThere(`/proc/${pid}/root${path}`));
}

/** A library and those that come with it, as far as the driver knows them and the process has not loaded them. */
function closureOf(
  library: Library,
  linked: readonly Library[],
  known: ReadonlyMap<string, LiveModule>,
): Library[] {
  const found = [library];
  for (const { needed } of found)
    for (const name of needed) {
      const other = linked.find((one) => nameOf(one) === name);
      if (other && !known.has(name) && !found.some((one) => nameOf(one) === name)) found.push(other);
    }
  return found;
}

/** A module that has what a library would bring and no program may have twice: linked statically, or under another name. */
function copyOf(
  libraries: readonly Library[],
  modules: readonly LiveModule[],
): { module: string; symbol: string } | undefined {
  const brought = ONLY_ONCE.filter((symbol) => libraries.some((library) => defines(library, symbol)));
  for (const { elf, path } of modules)
    for (const symbol of brought) if (elf.derived(definedNames).has(symbol)) return { module: path, symbol };
  return undefined;
}

/** Which of them a module defines, for itself or for others. */
function definedNames(elf: ElfFile): ReadonlySet<string> {
  const names = new Set<string>();
  for (const table of [abi.SHT_SYMTAB, abi.SHT_DYNSYM])
    for (const { name, section } of elf.symbols(table))
      if (section !== abi.SHN_UNDEF && ONLY_ONCE.includes(name)) names.add(name);
  return names;
}
