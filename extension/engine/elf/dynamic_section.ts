// What a module says to the loader: its own name, the libraries that it needs, where to look for them, and whether its own
// definitions come first (gABI, "Dynamic Section"). Reads; looks for nothing.
import * as abi from './constants';
import { cString, type ElfFile } from './file';

export interface DynamicNames {
  /** The name that other modules need it by (DT_SONAME). */
  soname: string | undefined;
  needed: string[];
  /** Directories as they are written: `$ORIGIN` is the module's own. */
  rpath: string[];
  runpath: string[];
  /** References of a library to what it defines lead to its own definitions (DT_SYMBOLIC, DF_SYMBOLIC). */
  symbolic: boolean;
}

export function readDynamicNames(elf: ElfFile): DynamicNames {
  const found: DynamicNames = { soname: undefined, needed: [], rpath: [], runpath: [], symbolic: false };
  const section = elf.sections.find(({ type }) => type === abi.SHT_DYNAMIC);
  const strings = section && elf.sections[section.link];
  if (!section || !strings) return found;
  const bytes = elf.data(section);
  const names = elf.data(strings);
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const tag = Number(bytes.readBigInt64LE(at));
    if (tag === abi.DT_NULL) break;
    const text = (): string => cString(names, Number(bytes.readBigUInt64LE(at + 8)));
    if (tag === abi.DT_SONAME) found.soname = text();
    else if (tag === abi.DT_NEEDED) found.needed.push(text());
    else if (tag === abi.DT_SYMBOLIC) found.symbolic = true;
    else if (tag === abi.DT_FLAGS) found.symbolic ||= (bytes.readUInt32LE(at + 8) & abi.DF_SYMBOLIC) !== 0;
    else if (tag === abi.DT_RPATH) found.rpath.push(...directories(text()));
    else if (tag === abi.DT_RUNPATH) found.runpath.push(...directories(text()));
  }
  return found;
}

/** Directories of a list, as the loader takes them: an empty one is the current directory. */
export function directories(list: string): string[] {
  return list === '' ? [] : list.split(/[:;]/);
}
