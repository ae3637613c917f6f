// The machine that the processes and the sources are on: every file, directory and /proc entry the engine looks at is
// looked at here. Another program may have put a FIFO, a device, an endless or a huge file where one is expected, so
// only regular files are read, up to a limit. What the kernel may hold back (memory of a process that hangs in a page
// fault) is asked asynchronously with a time limit. What fails is a HostError: no errno of Node.js leaves this file.
import {
  chmodSync,
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  open,
  openSync,
  read,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { promisify } from 'node:util';
import { HotPatchError, type ErrorCode } from './model/errors';

const MIB = 1024 * 1024;
/** Bytes. Sources, databases, objects: beyond this a file is not what it should be. */
export const LARGEST_TEXT = 256 * MIB;
/** Memory maps of the largest programs are a few MiB. */
const LARGEST_PROC_FILE = 64 * MIB;
/** After so many intervals (milliseconds) a read of /proc counts as held back. A healthy one takes microseconds. One after
 * the other: time in which this thread computed, or got no processor, is no time in which an answer could come. */
const PROC_INTERVALS = 20;
const PROC_INTERVAL = 100;

/** A file operation that failed. `errno` is its name (ENOENT…), or empty when a rule of this file refused it. */
export class HostError extends HotPatchError {
  constructor(
    code: ErrorCode,
    message: string,
    readonly errno: string,
    path: string,
  ) {
    super(code, message, { file: path });
  }
}

/** errno name of what was thrown; empty for all else. */
export function errorCode(thrown: unknown): string {
  if (thrown instanceof HostError) return thrown.errno;
  return (thrown as NodeJS.ErrnoException | undefined)?.code ?? '';
}

const MEANING: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EPERM: 'not permitted',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is not a directory',
  ELOOP: 'its symbolic links lead in a circle',
  EMFILE: 'this process has too many open files',
  ENFILE: 'the system has too many open files',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EIO: 'the disk reported an error',
};

/** What the system said, as an error that names the path as others know it. */
export function failed(doing: 'read' | 'write', path: string, thrown: unknown): HostError {
  if (thrown instanceof HostError) return thrown;
  const errno = errorCode(thrown);
  if (errno === 'ENOENT')
    return new HostError(
      doing === 'read' ? 'file-not-found' : 'cannot-write',
      doing === 'read' ? `${path} does not exist` : `${path} cannot be written: its directory does not exist`,
      errno,
      path,
    );
  const why = MEANING[errno] ?? (errno || String(thrown));
  return doing === 'read'
    ? new HostError('unreadable-file', `${path} cannot be read: ${why}`, errno, path)
    : new HostError('cannot-write', `${path} cannot be written: ${why}`, errno, path);
}

// --- looking ---------------------------------------------------------------------------------------------------

/** What a path leads to; undefined when nothing is there, or it is not ours to see. */
export function look(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** The same for the path itself, not what a symbolic link leads to. */
export function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

/** What tells the state of a file or directory from a later one; undefined when it is not there. */
export function stampOf(path: string): string | undefined {
  const stats = look(path);
  return stats && `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}`;
}

export function isThere(path: string): boolean {
  return look(path) !== undefined;
}

/** The path without symbolic links; undefined when it leads nowhere. */
export function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** The same, or the path as it is when it leads nowhere here (moved sources, prefix maps). */
export function realPathOrSelf(path: string): string {
  return realPath(path) ?? path;
}

export function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Names in a directory; none when it is gone or not readable. Not their kinds: Node asks for the kind of each entry
 * that the kernel did not tell (in /proc those of processes that are just ending), and the whole call fails when that
 * one is gone by then. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

// --- reading files ---------------------------------------------------------------------------------------------

/** A regular file that is open for reading at any offset. */
export interface HostFile {
  readonly size: number;
  readonly stats: Stats;
  /** Throws HostError unreadable-file, also when the file ends before. */
  read: (offset: number, length: number) => Buffer;
  close: () => void;
}

/** Opens a regular file. Looks before it opens, because opening alone makes some devices act, and again behind it,
 * because what is at a path may change between the two.
 * Throws HostError file-not-found, unreadable-file. */
export function openFile(path: string): HostFile {
  let descriptor: number;
  try {
    requireRegular(path, statSync(path));
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw failed('read', path, error);
  }
  try {
    const stats = fstatSync(descriptor);
    requireRegular(path, stats);
    return {
      size: stats.size,
      stats,
      read: (offset, length) => readFully(path, descriptor, offset, length),
      close: () => closeSync(descriptor),
    };
  } catch (error) {
    closeSync(descriptor);
    throw failed('read', path, error);
  }
}

function requireRegular(path: string, stats: Stats): void {
  if (stats.isFile()) return;
  const kind = stats.isDirectory() ? 'a directory' : stats.isFIFO() ? 'a FIFO' : 'not a regular file';
  throw new HostError('unreadable-file', `${path} cannot be read: it is ${kind}`, '', path);
}

function readFully(path: string, descriptor: number, offset: number, length: number): Buffer {
  try {
    const bytes = Buffer.allocUnsafe(length);
    for (let done = 0; done < length;) {
      const count = readSync(descriptor, bytes, done, length - done, offset + done);
      if (count === 0)
        throw new HostError('unreadable-file', `${path} ends before offset ${offset + length}`, '', path);
      done += count;
    }
    return bytes;
  } catch (error) {
    throw failed('read', path, error);
  }
}

/** A whole regular file. @param limit bytes
 * Throws HostError file-not-found, unreadable-file. */
export function readFile(path: string, limit: number = LARGEST_TEXT): Buffer {
  const file = openFile(path);
  try {
    if (file.size > limit)
      throw new HostError(
        'unreadable-file',
        `${path} cannot be read: it has ${megabytes(file.size)}, more than the ${megabytes(limit)} that are read`,
        '',
        path,
      );
    return file.read(0, file.size);
  } finally {
    file.close();
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`;
}

/** Text of a file where a missing or unusable one means the same to the caller. */
export function readTextIfThere(path: string, limit?: number): string | undefined {
  try {
    return readFile(path, limit).toString('utf8');
  } catch {
    return undefined;
  }
}

// --- writing files ---------------------------------------------------------------------------------------------

/** Writes a file that appears under its name only when it is whole, and leaves nothing when it cannot.
 * @param options.unfinished its name until then, in the same file system; what has that name is removed
 * @param options.owner whose the file is, if not the engine's
 * Throws HostError cannot-write. */
export function writeWhole(
  path: string,
  bytes: Buffer | string,
  { unfinished = `${path}.part`, owner }: { unfinished?: string; owner?: { uid: number; gid: number } } = {},
): void {
  try {
    // Left behind by a killed engine. Exclusive, so that nothing planted there is written through.
    rmSync(unfinished, { force: true });
    const descriptor = openSync(unfinished, 'wx', 0o600);
    try {
      if (owner) fchownSync(descriptor, owner.uid, owner.gid);
      const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
      for (let done = 0; done < content.length;)
        done += writeSync(descriptor, content, done, content.length - done);
    } finally {
      closeSync(descriptor);
    }
    renameSync(unfinished, path);
  } catch (error) {
    remove(unfinished);
    throw failed('write', path, error);
  }
}

/** Gives a file another name in its file system, in place of what has it. Throws HostError cannot-write. */
export function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    throw failed('write', to, error);
  }
}

/** Makes now the time at which a file was last written. That it cannot be concerns nobody. */
export function touch(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    return; // removed meanwhile
  }
}

/** A directory of the user's own, if it is not there yet. What lies above it must be there: a directory that its owner
 * has removed is not made anew. Throws HostError cannot-write. */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
    chmodSync(path, 0o700);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw failed('write', path, error);
  }
}

/** A new directory whose name begins with a prefix. Throws HostError cannot-write. */
export function makeUniqueDirectory(prefix: string): string {
  try {
    return mkdtempSync(prefix);
  } catch (error) {
    throw failed('write', prefix, error);
  }
}

/** Removes a file that another program may be about to take. False: it has it already.
 * Throws HostError cannot-write. */
export function takeBack(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw failed('write', path, error);
  }
}

/** Removes a file or a tree. That it is gone already, or cannot be removed, concerns nobody: it is swept later. */
export function remove(path: string): boolean {
  try {
    rmSync(path, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

// --- processes -------------------------------------------------------------------------------------------------

/** Reads that the kernel holds back. Each occupies a thread of Node.js, of which there are four for everybody, so a
 * path is not asked for again while it is held back. */
const heldBack = new Set<string>();

/** A file of /proc/PID, or a part of it. The memory map, the command line and the like wait for a lock of the process.
 * Throws HostError file-not-found (the process is gone), unreadable-file (no permission, or held back). */
export async function readProcess(
  pid: number,
  name: string,
  range?: { offset: number; length: number },
): Promise<Buffer> {
  const path = `/proc/${pid}/${name}`;
  const late = (): HostError =>
    new HostError(
      'unreadable-file',
      `${path} cannot be read: process ${pid} hangs in the kernel`,
      'ETIMEDOUT',
      path,
    );
  if (heldBack.has(path)) throw late();
  const reading = range ? readRange(path, range.offset, range.length) : readToEnd(path, WHOLE.has(name));
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    let left = PROC_INTERVALS;
    timer = setInterval(() => {
      if (--left > 0) return;
      heldBack.add(path);
      reading.catch(() => undefined).finally(() => heldBack.delete(path));
      reject(late());
    }, PROC_INTERVAL);
  });
  try {
    return await Promise.race([reading, timeout]);
  } catch (error) {
    throw errorCode(error) === 'ESRCH'
      ? new HostError('file-not-found', `${path} does not exist`, 'ENOENT', path)
      : failed('read', path, error);
  } finally {
    clearInterval(timer);
  }
}

const openLater = promisify(open);
const readLater = promisify(read);

/** Bytes. A save reads hundreds of files of /proc, most of them of a few hundred bytes. */
const PAGE = 4096;
/** Bytes that Node.js takes out of memory that it has at hand. */
const FEW = 2048;

/** The kernel gives as much of these as is asked for, so less is all that there is. Of others it gives a page at a time. */
const WHOLE: ReadonlySet<string> = new Set(['cmdline', 'environ']);

async function readToEnd(path: string, isWhole: boolean): Promise<Buffer> {
  const descriptor = await openLater(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const parts: Buffer[] = [];
    for (let size = 0; ;) {
      const part = Buffer.allocUnsafe(PAGE);
      const { bytesRead } = await readLater(descriptor, part, 0, part.length, null);
      parts.push(part.subarray(0, bytesRead));
      size += bytesRead;
      if (bytesRead === 0 || (isWhole && bytesRead < part.length)) return Buffer.concat(parts, size);
      if (size > LARGEST_PROC_FILE)
        throw new HostError('unreadable-file', `${path} has no end within ${megabytes(size)}`, '', path);
    }
  } finally {
    closeSync(descriptor);
  }
}

/** As many bytes as there are from an offset on. */
async function readRange(path: string, offset: number, length: number): Promise<Buffer> {
  const descriptor = await openLater(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const bytes = Buffer.alloc(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await readLater(descriptor, bytes, done, length - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  } finally {
    closeSync(descriptor);
  }
}

/** Text of a file of /proc/PID that never waits for the process (stat, status, task/…/comm) and that the kernel gives as
 * a whole; undefined when the process is gone, or it is not ours to read. */
export function readProcessText(pid: number, name: string): string | undefined {
  const path = `/proc/${pid}/${name}`;
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const parts: Buffer[] = [];
    for (let size = 0; size < MIB;) {
      const part = Buffer.allocUnsafe(FEW);
      const count = readSync(descriptor, part, 0, part.length, null);
      parts.push(part.subarray(0, count));
      size += count;
      if (count < part.length) break;
    }
    return Buffer.concat(parts).toString('utf8');
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
