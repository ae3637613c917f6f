// Names that the patch binds through the process's own loader: what the module imports already, and what the other
// modules of the process export. Tells with which version to ask for them, and whether they are functions.
// Reads dynamic symbol tables; binds nothing (the runtime does, in the process).
import { readExports } from '../elf/symbol_versions';
import type { LiveModule } from '../context';
import * as abi from '../elf/constants';
import type { Image } from '../live/live_image';

export interface FoundImport {
  name: string;
  /** Symbol version to ask for; undefined: the default one. */
  version: string | undefined;
  /** Soname or path of the library the version belongs to. */
  library: string;
  isFunction: boolean;
  /** Address in the process; undefined for what the loader decides (indirect functions). */
  address: number | undefined;
}

export class ImportResolver {
  private readonly found = new Map<string, FoundImport | undefined>();

  /** @param modules of the process, in the loader's search order as far as the maps tell it: executable first */
  constructor(
    private readonly module: Image,
    private readonly modules: readonly LiveModule[],
  ) {}

  find(name: string): FoundImport | undefined {
    if (this.found.has(name)) return this.found.get(name);
    const found = this.search(name);
    this.found.set(name, found);
    return found;
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

  private search(name: string): FoundImport | undefined {
    const known = this.module.imports().get(name);
    for (const module of this.modules) {
      const exported = module.elf.derived(readExports).get(name);
      if (!exported || (!known && isLinkedStatically(module, name))) continue;
      const isFunction =
        exported.type === abi.STT_FUNC ||
        exported.type === abi.STT_GNU_IFUNC ||
        exported.type === abi.STT_NOTYPE;
      return {
        name,
        version: known ? known.version : exported.version,
        library: module.path,
        isFunction,
        address: exported.type === abi.STT_OBJECT ? module.bias + exported.value : undefined,
      };
    }
    return undefined;
  }
}

/** libgcc_s.so has the functions of libgcc.a as well, which drivers link before it; only the unwinder is in it alone. It may
 * be loaded for somebody else (the C library does so), out of reach of the module's names. */
function isLinkedStatically({ path }: LiveModule, name: string): boolean {
  return (
    /\/libgcc_s\.so[^/]*$/.test(path) && !/^(_Unwind_|__(de)?register_frame|__gcc_personality)/.test(name)
  );
}
