// Static libraries that the build made, by the files beside its compile_commands.json: a program's link line may name them
// without having needed each of their members. No link command is known, so what is found has to be the only one.
import { join, dirname } from 'node:path';
import { readUnits } from '../dwarf/units';
import { Archive, type ArchiveMember } from '../elf/archive';
import { ElfFile } from '../elf/file';
import { look, lookAt, namesIn } from '../host';
import { readable } from './owners';

/** Names that are looked at. A build directory of this size is no build directory (a database in the home directory). */
const MOST_NAMES = 50_000;
/** Bytes of an archive that is read for it. */
const LARGEST = 256 * 1024 * 1024;

/** Archives below a directory, nearest first; none in hidden directories, and links are not followed. */
function archivesBelow(directory: string): string[] {
  const found: string[] = [];
  const pending = [directory];
  let names = 0;
  for (const each of pending) {
    for (const name of namesIn(each)) {
      if (++names > MOST_NAMES) return found;
      if (name.startsWith('.') || name === 'node_modules') continue;
      const path = join(each, name);
      if (name.endsWith('.a')) found.push(path);
      else if (!name.includes('.') && lookAt(path)?.isDirectory()) pending.push(path);
    }
  }
  return found;
}

/** Is a source of the member newer than the archive? Then a build would make another member of it. */
function isStale(path: string, { name, bytes }: ArchiveMember): boolean {
  const built = look(path)?.mtimeMs ?? 0;
  const units = readable(() => readUnits(ElfFile.parse(`${path}(${name})`, bytes))) ?? [];
  return units.some((unit) => (look(unit.path)?.mtimeMs ?? 0) > built);
}

/** The member that defines a symbol, where exactly one archive of the build has such a member, and it is up to date.
 * @param database the compile_commands.json of the build */
export function builtMember(
  database: string,
  symbol: string,
): { path: string; member: ArchiveMember } | undefined {
  const found = archivesBelow(dirname(database)).flatMap((path) => {
    const file = lookAt(path);
    const member = file?.isFile() && file.size < LARGEST ? new Archive(path).defining(symbol) : undefined;
    return member ? [{ path, member }] : [];
  });
  const [only] = found;
  return only && found.length === 1 && !isStale(only.path, only.member) ? only : undefined;
}
