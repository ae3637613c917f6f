// Names that the patch binds through the process's own loader: what the module imports already, and what the other
// modules of the process export. Tells with which version to ask for them, and whether they are functions.
// Reads dynamic symbol tables; binds nothing (the runtime does, in the process).
import { basename } from 'node:path';
import type { LiveModule } from '../context';
import * as abi from '../elf/constants';
import { readDynamicNames } from '../elf/dynamic_section';
import type { ElfFile } from '../elf/file';
import { type ExportedSymbol, exportOf, readImports } from '../elf/symbol_versions';
import type { Image } from '../live/live_image';
import type { Problem } from '../model/result';

export interface FoundImport {
  name: string;
  /** Symbol version to ask for; undefined: the default one. */
  version: string | undefined;
  /** Soname or path of the library the version belongs to. */
  library: string;
  isFunction: boolean;
  /** Entry of the executable's PLT that is the function's address for every module of the process (psABI, "Function
   * Addresses"); undefined: the loader knows the address, and nobody else. */
  entry: number | undefined;
}

/** A library that is loaded with the patch. */
export interface AddedLibrary {
  /** What the loader is asked for: its name, or its path where the program has directories of its own. */
  name: string;
  exports: ReadonlyMap<string, ExportedSymbol>;
  /** The symbol for which it is, and where that is used. */
  cause: Omit<Problem, 'code' | 'message'>;
}

export class ImportResolver {
  private readonly found = new Map<string, FoundImport | undefined>();
  readonly added: AddedLibrary[] = [];
  /** Of the process, but perhaps out of reach of the module's names. */
  private readonly unreached = new Set<string>();

  /** @param modules of the process, in the loader's search order as far as the maps tell it: executable first */
  constructor(
    private readonly module: Image,
    private readonly modules: readonly LiveModule[],
  ) {}

  /** From now on names are found in this library too, behind those of the process. */
  add(library: AddedLibrary): void {
    this.added.push(library);
    this.found.clear();
  }

  /** Libraries that the loader has to bring before names are bound (DT_NEEDED). */
  get needed(): string[] {
    return [...this.unreached, ...this.added.map(({ name }) => name)];
  }

  find(name: string): FoundImport | undefined {
    if (this.found.has(name)) return this.found.get(name);
    const found = this.search(name);
    this.found.set(name, found);
    return found;
  }

  /** Has another module an address for a name that the patched library exports itself: a definition, the copy of its data in
   * an executable, or an entry that stands for its function? The executable's own names are its own. */
  hasOther(name: string): boolean {
    const [executable] = this.modules;
    if (!executable || executable.elf === this.module.elf) return false;
    if (this.entryOf(name) !== undefined) return true;
    return this.modules.some(({ elf }) => elf !== this.module.elf && exportOf(elf, name) !== undefined);
  }

  /** Does a module of the process lie there? One past its end is an address too. */
  isAt(address: number): boolean {
    return this.modules.some(({ bias, elf }) =>
      elf.segments.some(
        (segment) =>
          segment.type === abi.PT_LOAD &&
          address >= bias + segment.address &&
          address <= bias + segment.address + segment.memorySize,
      ),
    );
  }

  /** Was the library of a name loaded after the program had begun, as far as that can be known? Such a library need not have
   * its thread-local variables at a fixed distance from the thread pointer. */
  isLate(name: string): boolean {
    const found = this.find(name);
    return found !== undefined && !this.isReached(found.library, []);
  }

  /** Does the program, or one of those modules, need a library, directly or for another? */
  private isReached(path: string, from: readonly ElfFile[]): boolean {
    const reached = new Set<string>();
    const pending = [...from, ...this.modules.slice(0, 1).map(({ elf }) => elf)];
    for (const elf of pending)
      for (const name of elf.derived(readDynamicNames).needed) {
        if (reached.has(name)) continue;
        reached.add(name);
        const library = this.modules.find((module) => basename(module.path) === name);
        if (library) pending.push(library.elf);
      }
    return reached.has(basename(path));
  }

  private entryOf(name: string): number | undefined {
    const [executable] = this.modules;
    if (executable?.kind !== 'executable') return undefined;
    const value = executable.elf.derived(readImports).get(name)?.value ?? 0;
    return value === 0 ? undefined : executable.bias + value;
  }

  private search(name: string): FoundImport | undefined {
    const known = this.module.imports().get(name);
    for (const module of this.modules) {
      const exported = exportOf(module.elf, name);
      if (!exported || (!known && isLinkedStatically(module.path, name))) continue;
      if (!known && UNWINDER.test(module.path) && !this.isReached(module.path, [this.module.elf]))
        this.unreached.add(basename(module.path));
      return {
        name,
        version: known ? known.version : exported.version,
        library: module.path,
        isFunction: isFunction(exported),
        entry: this.entryOf(name),
      };
    }
    for (const { name: library, exports } of this.added) {
      const exported = exports.get(name);
      if (!exported || isLinkedStatically(library, name)) continue;
      return {
        name,
        version: exported.version,
        library,
        isFunction: isFunction(exported),
        entry: undefined,
      };
    }
    return undefined;
  }
}

const isFunction = ({ type }: ExportedSymbol): boolean =>
  type === abi.STT_FUNC || type === abi.STT_GNU_IFUNC || type === abi.STT_NOTYPE;

/** It may be loaded for somebody else (the C library does so), out of reach of the module's names. */
const UNWINDER = /(^|\/)libgcc_s\.so[^/]*$/;

/** libgcc_s.so has the functions of libgcc.a as well, which drivers link before it; only the unwinder is in it alone. */
export function isLinkedStatically(library: string, name: string): boolean {
  return UNWINDER.test(library) && !/^(_Unwind_|__(de)?register_frame|__gcc_personality)/.test(name);
}
