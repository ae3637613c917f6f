// The functions of a unit that have code, by the name that the linker knows them by, with what they take and return.
import * as elfConstants from '../elf/constants';
import type { ElfFile } from '../elf/file';
import { number64 } from '../elf/integers';
import type { FunctionEntry } from './entries';
import type { Keys } from './keys';
import type { Registry } from './registry';

export class Signatures {
  private byName: Map<string, string[]> | undefined;

  constructor(
    private readonly registry: Registry,
    private readonly keys: Keys,
    private readonly elf: ElfFile,
    /** Tells the ways apart in which a value of a class goes to a function; only for classes that have no name in other
     * functions, which nobody compares otherwise. */
    private readonly passingOf: (type: number) => string,
  ) {}

  /** Return and parameter types of the functions that have code, by linkage name (by name where that is not known).
   * More than one when several functions share the name. */
  keysByName(): ReadonlyMap<string, readonly string[]> {
    if (this.byName) return this.byName;
    const result = new Map<string, string[]>();
    for (const [name, entries] of this.typesByName()) {
      const keys = entries.map((entry) => {
        let key = this.valueKey(entry.returns) + (entry.variadic ? '(...' : '(');
        if (entry.convention !== undefined) key += `${entry.convention}:`;
        for (const parameter of entry.parameters) key += `${this.valueKey(parameter)},`;
        return key;
      });
      result.set(name, [...new Set(keys)]);
    }
    this.byName = result;
    return result;
  }

  private valueKey(type: number | undefined): string {
    return this.keys.key(type) + (type === undefined ? '' : this.passingOf(type));
  }

  /** As keysByName(), with the types themselves. */
  typesByName(): ReadonlyMap<string, readonly FunctionEntry[]> {
    const symbols = this.localSymbols();
    const result = new Map<string, FunctionEntry[]>();
    for (const { types, symbol, name, address, section } of this.registry.code) {
      const entry = this.registry.functions.get(types);
      if (!entry) continue;
      const linkName = symbol ?? symbols.get(place(section, address)) ?? name;
      const others = result.get(linkName);
      if (!others) result.set(linkName, [entry]);
      else if (!others.includes(entry)) others.push(entry);
    }
    return result;
  }

  /** C++ leaves the linkage name of static functions out; the symbol table has it, by address. */
  private localSymbols(): Map<string, string> {
    const wanted = new Set<string>();
    for (const { symbol, address, section } of this.registry.code)
      if (symbol === undefined && address !== undefined) wanted.add(place(section, address));
    const found = new Map<string, string>();
    const table = this.elf.sections.find(({ type }) => type === elfConstants.SHT_SYMTAB);
    const strings = table && this.elf.sections[table.link];
    if (wanted.size === 0 || !table || !strings) return found;
    const bytes = this.elf.data(table);
    const names = this.elf.data(strings);
    const relocatable = this.elf.type === elfConstants.ET_REL;
    for (let at = 0; at + 24 <= bytes.length; at += 24) {
      if (((bytes[at + 4] ?? 0) & 15) !== elfConstants.STT_FUNC) continue;
      const section = relocatable ? bytes.readUInt16LE(at + 6) : undefined;
      const key = place(section, number64(bytes, at + 8));
      if (!wanted.has(key)) continue;
      const start = bytes.readUInt32LE(at);
      found.set(key, names.toString('utf8', start, names.indexOf(0, start)));
    }
    return found;
  }
}

const place = (section: number | undefined, address: number | undefined): string =>
  `${section ?? ''}:${address ?? ''}`;
