// Directories of processes that see other files than the engine, as a place to write to. What lies behind /proc/PID/root
// is arranged by that process's user, and a symbolic link there would lead to files of the engine's: none is followed.
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { errorCode, failed, HostError, writeWhole } from './host';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/** Calls `work` with a path that leads to the directory and nowhere else for as long as `work` runs, and what it is.
 * Throws what the system says where there is no such directory, or a symbolic link on the way behind a root. */
export function inDirectory<T>(directory: string, work: (path: string, stats: Stats) => T): T {
  const [, root = '', rest = ''] = /^(\/proc\/\d+\/root)(\/.*)$/.exec(directory) ?? [];
  let descriptor = openSync(root === '' ? directory : root, O_RDONLY | O_DIRECTORY);
  try {
    for (const name of rest.split('/').filter((part) => part !== '')) {
      if (name === '..')
        throw new HostError('unreadable-file', `${directory} leads upwards`, 'ELOOP', directory);
      const next = openSync(
        join('/proc/self/fd', String(descriptor), name),
        O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
      );
      closeSync(descriptor);
      descriptor = next;
    }
    return work(root === '' ? directory : `/proc/self/fd/${descriptor}`, fstatSync(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

/** Writes a file that appears in the directory when it is whole, and that the directory's user can read.
 * @param unfinished its name until then
 * Throws HostError cannot-write. */
export function writeInto(
  directory: string,
  name: string,
  bytes: Buffer | string,
  unfinished = `${name}.part`,
): void {
  try {
    inDirectory(directory, (path, { uid, gid }) =>
      writeWhole(join(path, name), bytes, {
        unfinished: join(path, unfinished),
        ...(uid !== process.geteuid?.() && { owner: { uid, gid } }),
      }),
    );
  } catch (error) {
    const errno = errorCode(error);
    throw errno === '' ? error : failed('write', join(directory, name), { code: errno });
  }
}
