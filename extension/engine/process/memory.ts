// Reads another process's memory through /proc/PID/mem, so that what the views claim can be checked without the
// runtime's word. Reads only: all writing is the runtime's.
import { closeSync, openSync, readSync } from 'node:fs';
import { HotPatchError } from '../model/errors';

/** errno name of what a file operation threw. */
export function errorCode(thrown: unknown): string {
  return (thrown as NodeJS.ErrnoException | undefined)?.code ?? '';
}

/** What a failed access to /proc/PID means, as an error of ours. */
export function processAccessError(pid: number, thrown: unknown, what: string): HotPatchError {
  const code = errorCode(thrown);
  if (code === 'ENOENT' || code === 'ESRCH')
    return new HotPatchError('process-gone', `Process ${pid} has ended`, { pid });
  if (code === 'EACCES' || code === 'EPERM')
    return new HotPatchError('other-user', `No permission for ${what} of process ${pid}`, { pid });
  return new HotPatchError('internal', `Cannot read ${what} of process ${pid}: ${String(thrown)}`, { pid });
}

/** `length` bytes of a process's memory. Permission is that of ptrace(2) (PTRACE_MODE_ATTACH): with Yama's
 * ptrace_scope 1 only an ancestor has it.
 * Throws HotPatchError process-gone, other-user (no permission), internal (the range is not mapped). */
export function readMemory(pid: number, address: number, length: number): Buffer {
  const range = `memory 0x${address.toString(16)}+${length}`;
  const bytes = Buffer.alloc(length);
  let done = 0;
  try {
    const descriptor = openSync(`/proc/${pid}/mem`, 'r');
    try {
      while (done < length) {
        const count = readSync(descriptor, bytes, done, length - done, address + done);
        if (count === 0) break;
        done += count;
      }
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw processAccessError(pid, error, range);
  }
  // End of file, not an error, is what the kernel reports once the process's address space is gone.
  if (done < length) throw new HotPatchError('process-gone', `Process ${pid} has ended`, { pid });
  return bytes;
}
