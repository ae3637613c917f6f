// Whose process a save may be meant for when none that may be looked at was built from its files, as with a program under
// `sudo -u`. Of another user's process neither the executable nor the memory can be read, but the command line can: it
// names a file, which may be readable at its place. Reads files; decides nothing for processes of one's own.
import { dirname, isAbsolute, join } from 'node:path';
import { unitsIncluding, unitsOf } from '../dwarf/units';
import { ElfFile } from '../elf/file';
import { isThere } from '../host';
import type { PatchableProcess } from '../model/result';
import { isOfSystem } from './modules';

/** The first process of another user whose command line names a program that was built from one of the files.
 * @param files with symbolic links resolved */
export function processOfAnotherUser(
  processes: readonly PatchableProcess[],
  files: readonly string[],
): (PatchableProcess & { program: string }) | undefined {
  for (const process of processes)
    for (const file of files) {
      const program = programsOf(process, file).find((place) => isThere(place) && isBuiltFrom(place, file));
      if (program !== undefined) return { ...process, program };
    }
  return undefined;
}

/** Whether a process is another user's whose command line names this program.
 * @param program with symbolic links resolved */
export function isAnotherUsers(process: PatchableProcess, program: string): boolean {
  return programsOf(process, program).includes(program);
}

/** What the command line of another user's process may name. A relative name is read from the directory of a file and those
 * above, since nobody else may know where the process was started. */
function programsOf({ state, commandLine: [word] }: PatchableProcess, file: string): string[] {
  if (state !== 'other-user' || !word?.includes('/') || isOfSystem(word)) return [];
  return isAbsolute(word) ? [word] : directoriesAbove(file).map((directory) => join(directory, word));
}

function directoriesAbove(file: string): string[] {
  const directory = dirname(file);
  return directory === file ? [] : [directory, ...directoriesAbove(directory)];
}

function isBuiltFrom(program: string, file: string): boolean {
  try {
    const elf = ElfFile.open(program);
    try {
      return unitsOf(elf, file).length > 0 || unitsIncluding(elf, file).length > 0;
    } finally {
      elf.close();
    }
  } catch {
    return false; // no program, or not for everybody to read
  }
}
