// Why a runtime that is in a process does not answer, from /proc: each reason with a sentence of its own instead of
// "did not answer". Looks once, after the time is over; decides nothing.
import { hostArchitecture } from '../arch/choose';
import { namesIn, readProcess, readProcessText } from '../host';
import { parseMaps } from './maps';

/** What keeps the worker thread from working; undefined when nothing is seen. */
export async function obstacleOf(pid: number, workerTid: number): Promise<string | undefined> {
  return noDescriptorFree(pid) ?? (await lockWaitedFor(pid, workerTid));
}

/** All file descriptors in use: it cannot even open the directory of its requests. */
function noDescriptorFree(pid: number): string | undefined {
  const limits = readProcessText(pid, 'limits');
  const most = Number(/^Max open files\s+(\d+)/m.exec(limits ?? '')?.[1] ?? NaN);
  const open = namesIn(`/proc/${pid}/fd`).length;
  return open >= most ? `it has no free file descriptor (${open} of ${most} are open)` : undefined;
}

/** The worker has begun with something and waits for a lock. Whose it is, the address tells: the loader's own data, or
 * the program's heap and the C library. */
async function lockWaitedFor(pid: number, workerTid: number): Promise<string | undefined> {
  let path = '';
  try {
    const waiting = await readProcess(pid, `task/${workerTid}/syscall`);
    const [call, address] = waiting.toString('utf8').split(' ');
    if (Number(call) !== hostArchitecture().futexCall || address === undefined) return undefined;
    const at = Number(address);
    const mappings = parseMaps((await readProcess(pid, 'maps')).toString('utf8'));
    path = mappings.find(({ start, end }) => at >= start && at < end)?.path ?? '';
  } catch {
    return undefined; // it ends at this moment
  }
  if (/\/ld[-.][^/]*\.so/.test(path))
    return "its runtime waits for the loader's lock, which another thread holds (a library is being loaded, or its constructor runs)";
  if (path === '[heap]' || /\/libc[-.][^/]*so/.test(path))
    return `its runtime waits for a lock in ${path}, which another thread holds`;
  return undefined;
}
