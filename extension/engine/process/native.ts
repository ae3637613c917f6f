// The system calls that Node.js does not offer, through koffi. The only file that touches koffi; it is loaded on
// first use, so that a process that never signals does not pay for it. Decides nothing.
import type Koffi from 'koffi';

type ThreadKill = (threadGroup: number, thread: number, signal: number) => number;

let loaded: Promise<{ koffi: typeof Koffi; tgkill: ThreadKill }> | undefined;

async function load(): Promise<{ koffi: typeof Koffi; tgkill: ThreadKill }> {
  const { default: koffi } = await import('koffi');
  // The C library Node.js itself runs on; glibc has the wrapper since 2.30.
  const library = koffi.load(null);
  return { koffi, tgkill: library.func('int tgkill(int, int, int)') as unknown as ThreadKill };
}

/** tgkill(2): a signal to one thread, so that no other thread's system call is interrupted.
 * @returns 0, or the errno: ESRCH (3) when process or thread is gone, EPERM (1). */
export async function signalThread(pid: number, threadId: number, signal: number): Promise<number> {
  loaded ??= load();
  const { koffi, tgkill } = await loaded;
  return tgkill(pid, threadId, signal) === 0 ? 0 : koffi.errno();
}
