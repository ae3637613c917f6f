// Does a function take and return the same in two files? Asked of functions that patches brought under the name of one of
// the module, where that has another signature.
import type { Unit } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import { readable } from './elsewhere';
import { areAlike } from './keys';
import { loadSide } from './side';

interface Described {
  elf: ElfFile;
  unit: Unit;
}

/** @param name as the linker knows the function
 * @returns false too where one of the two is not described */
export function isSameSignature(one: Described, other: Described, name: string): boolean {
  const [keys, others] = [one, other].map(({ elf, unit }) =>
    readable(() => loadSide(elf, unit, false).types.signatures.keysByName().get(name)),
  );
  return (
    keys !== undefined &&
    others !== undefined &&
    keys.every((key) => others.some((known) => areAlike(known, key)))
  );
}
