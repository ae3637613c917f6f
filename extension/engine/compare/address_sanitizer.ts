// What AddressSanitizer adds to a unit and no text has: descriptions of its variables and strings, with their red
// zones, and functions that hand these to the library at start and take them back at exit. Every variable and string that
// an edit adds or removes makes them others, and the library has those of the process already. Part of the comparison:
// they are as they run, and a patch has none; what is new in it has no red zones.
import type { ElfSymbol } from '../elf/file';
import { isConstant, type ObjectFile, type ObjectFunction } from '../elf/object';
import type { ObjectReferences } from './object_references';

/** Does a function hand the descriptions to the library, or take them back? In newer versions of clang the linker keeps one
 * unit's for all. gcc calls its own by their priority, which no text can have (asan_finish_file, in gcc/asan.cc). */
export const registersVariables = ({ symbol: { name } }: ObjectFunction): boolean =>
  /^(asan\.module_[cd]tor|_sub_[ID]_00099_\d+)$/.test(name);

/** Names that LLVM gives to what the sanitizer made (llvm/lib/Transforms/Instrumentation/AddressSanitizer.cpp). */
const NAMED = /^(___asan_gen_|__odr_asan_gen_|__asan_global_|___asan_globals_registered$)/;

/** What has no name in LLVM, counted in each unit: the array of the descriptions is among it. */
const UNNAMED = /^__unnamed_\d+$/;

/** Is a variable the sanitizer's own, and none of the program? */
export function describesVariables(
  symbol: ElfSymbol,
  { object, references }: { object: ObjectFile; references: ObjectReferences },
): boolean {
  if (NAMED.test(symbol.name)) return true;
  if (!UNNAMED.test(symbol.name)) return false;
  return object.functions.some(
    (fn) =>
      registersVariables(fn) &&
      references.of(fn).some(({ symbol: index, addend, beyond }) => {
        const { section, value } = object.symbol(index);
        return section === symbol.section && value + addend + beyond === symbol.value;
      }),
  );
}

/** Does code that initialises a unit's variables name a symbol only to tell the library of it: one of the library's
 * functions, or the constant with the unit's name? */
export function announcesInitialisation(object: ObjectFile, symbol: ElfSymbol): boolean {
  if (!isWatched(object)) return false;
  const section = object.sectionOf(symbol);
  return section ? isConstant(section) : /^__asan_(before|after)_dynamic_init$/.test(symbol.name);
}

/** Is a unit built with the sanitizer? */
export const isWatched = ({ functions }: ObjectFile): boolean => functions.some(registersVariables);

/** @param size of a variable in bytes. Returns that of its symbol, which has the red zone in it
 * (ModuleAddressSanitizer::getRedzoneSizeForGlobal) */
export function sizeWithRedZone(size: number): number {
  const least = 32;
  if (size <= least / 2) return least;
  const behind = Math.min(Math.max(Math.floor(size / least / 4) * least, least), 1 << 18);
  return Math.ceil((size + behind) / least) * least;
}
