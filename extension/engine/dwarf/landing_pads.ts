// Where an exception goes on that comes out of a call: the tables that a function's call frames name (LSDA; Itanium C++ ABI,
// Exception Handling, level II).
import type { ElfFile } from '../elf/file';
import { readExceptionTable } from '../elf/exception_table';
import { frameAt } from './call_frames';

/** What a function has of its own for exceptions.
 * @returns addresses in the file of its landing pads, and whether one is for a call at the address; undefined when it cannot
 *   be read */
export function landingPadsOf(
  elf: ElfFile,
  address: number,
): { all: number[]; isCovered: boolean } | undefined {
  const frame = frameAt(elf, address);
  if (!frame) return undefined;
  if (frame.exceptionTable === undefined) return { all: [], isCovered: false };
  const section = elf.sections.find(
    (one) => one.address <= frame.exceptionTable! && frame.exceptionTable! < one.address + one.size,
  );
  if (!section || section.address === 0) return undefined;
  const table = readExceptionTable(elf.data(section), frame.exceptionTable - section.address);
  if (!table || table.ownStart) return undefined;
  const offset = address - frame.low;
  return {
    all: table.callSites.flatMap(({ landingPad }) => (landingPad === 0 ? [] : [frame.low + landingPad])),
    isCovered: table.callSites.some(
      ({ start, length, landingPad }) => landingPad !== 0 && start <= offset && offset < start + length,
    ),
  };
}
