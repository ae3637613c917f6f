// Units of a linked file of which debug information says nothing: compiled without -g, beside others that have it. They
// are known by their FILE symbols (ELF gABI, "Symbol Table"), which name a source without its directory.
import { basename } from 'node:path';
import { SHT_SYMTAB, STT_FILE } from '../elf/constants';
import type { ElfFile } from '../elf/file';
import { readUnits } from './units';

/** What every link brings along has no name of a source (`Scrt1.o`), but for this one. */
const OF_THE_LINK = 'crtstuff.c';

/**
 * The names of those units' sources.
 * @throws HotPatchError `unsupported-object` when the debug information is malformed or compressed in an unknown way.
 */
export function undescribedSources(elf: ElfFile): ReadonlySet<string> {
  return elf.derived(readUndescribed);
}

/**
 * Is a source with that name, which has no directory, one of them? Where no symbol has the name, as in most modules, their
 * debug information is not even read.
 * @throws HotPatchError as undescribedSources does.
 */
export function isUndescribed(elf: ElfFile, name: string): boolean {
  const table = elf.sections.find(({ type }) => type === SHT_SYMTAB);
  const names = table && elf.sections[table.link];
  if (!names || !elf.data(names).includes(`${name}\0`)) return false;
  return undescribedSources(elf).has(name);
}

function readUndescribed(elf: ElfFile): ReadonlySet<string> {
  const described = new Set(readUnits(elf).map(({ path }) => basename(path)));
  const all = elf.symbols().flatMap(({ type, name }) => (type === STT_FILE ? [name] : []));
  return new Set(all.filter((name) => name !== OF_THE_LINK && !/^$|\.o$/.test(name) && !described.has(name)));
}
