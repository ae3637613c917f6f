// Reads another process's memory through /proc/PID/mem, so that what the views claim can be checked without the
// runtime's word. Reads only: all writing is the runtime's.
import { errorCode, readProcess } from '../host';
import { HotPatchError } from '../model/errors';

/** What a failed access to /proc/PID means, as an error of ours. */
export function processAccessError(pid: number, thrown: unknown, what: string): HotPatchError {
  const code = errorCode(thrown);
  if (code === 'ENOENT' || code === 'ESRCH')
    return new HotPatchError('process-gone', `Process ${pid} has ended`, { pid });
  if (code === 'EACCES' || code === 'EPERM')
    return new HotPatchError('other-user', `No permission for ${what} of process ${pid}`, { pid });
  if (thrown instanceof HotPatchError) return thrown;
  return new HotPatchError('internal', `Cannot read ${what} of process ${pid}: ${String(thrown)}`, { pid });
}

/** `length` bytes of a process's memory. Permission is that of ptrace(2) (PTRACE_MODE_ATTACH): with Yama's
 * ptrace_scope 1 only an ancestor has it.
 * Throws HotPatchError process-gone, other-user (no permission), unreadable-file (the range is not mapped, or the
 * process hangs in the kernel). */
export async function readMemory(pid: number, address: number, length: number): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readProcess(pid, 'mem', { offset: address, length });
  } catch (error) {
    throw processAccessError(pid, error, `memory 0x${address.toString(16)}+${length}`);
  }
  // End of file, not an error, is what the kernel reports once the process's address space is gone.
  if (bytes.length < length) throw new HotPatchError('process-gone', `Process ${pid} has ended`, { pid });
  return bytes;
}
