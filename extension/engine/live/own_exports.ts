// Which definition a shared library means by the name of a symbol that it exports itself: its own, or the one that the
// loader finds first. Linkers decide that for the whole library (`-Bsymbolic`, `-Bsymbolic-functions`), and only the first
// of the two is written down. Reads the module's file; knows nothing of the process.
import * as abi from '../elf/constants';
import { readDynamicNames } from '../elf/dynamic_section';
import type { ElfSymbol } from '../elf/file';
import type { Image, LiveSymbol } from './live_image';

export class OwnExports {
  private readonly exported: ReadonlyMap<string, ElfSymbol>;
  private functionsAreLeft: boolean | undefined;

  constructor(private readonly module: Image) {
    const symbols = module.elf
      .symbols(abi.SHT_DYNSYM)
      .filter(
        ({ section, binding, visibility }) =>
          section !== abi.SHN_UNDEF && binding !== abi.STB_LOCAL && visibility === abi.STV_DEFAULT,
      );
    this.exported = new Map(symbols.map((symbol) => [symbol.name, symbol]));
  }

  /** Is a reference of the library to this name of its own left to the loader? */
  isLeftToLoader(name: string): boolean {
    const symbol = this.exported.get(name);
    if (!symbol || this.module.elf.derived(readDynamicNames).symbolic) return false;
    return symbol.type !== abi.STT_FUNC || (this.functionsAreLeft ??= this.areFunctionsLeft());
  }

  /** Nothing says so: what the linker made of references tells. Where there are none, nobody in it has the other view. */
  private areFunctionsLeft(): boolean {
    const functions = [...this.exported.values()].filter(({ type }) => type === abi.STT_FUNC);
    if (functions.some(({ name }) => this.module.bindsDynamically(name))) return true;
    const entries = new Set(functions.map(({ value }) => value + this.module.bias));
    const isCode = ({ type, size }: LiveSymbol): boolean => type === abi.STT_FUNC && size > 0;
    return !this.module.symbols.filter(isCode).some(({ address, size }) => {
      const code = this.module.bytes(address, size);
      const fields = code ? this.module.arch.relativeFields(code) : [];
      return fields.some(({ target }) => target !== 0 && entries.has(address + target));
    });
  }
}
