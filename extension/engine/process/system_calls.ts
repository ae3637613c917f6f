// The system calls that Node.js does not offer, through koffi. The only file that touches koffi; it is loaded on
// first use, so that a process that never signals does not pay for it. Decides nothing.
import type * as Koffi from 'koffi';

/** fcntl(2). */
const F_SETFD = 2;
/** signal(7). */
const SIGPIPE = 13;

let loaded: Promise<{ koffi: typeof Koffi.default; library: Koffi.LibraryHandle }> | undefined;

/** The C library that Node.js itself runs on. */
async function load(): Promise<{ koffi: typeof Koffi.default; library: Koffi.LibraryHandle }> {
  loaded ??= import('koffi').then(({ default: koffi }) => ({ koffi, library: koffi.load(null) }));
  return loaded;
}

/** Loads what a signal needs now rather than when it is to be sent: tens of milliseconds that nobody waits for while
 * the compiler runs. */
export function prepareSignals(): void {
  load().catch(() => undefined); // told to the one who sends a signal
}

let threadKill: ((threadGroup: number, thread: number, signal: number) => number) | undefined;

/** tgkill(2): a signal to one thread, so that no other thread's system call is interrupted.
 * @returns 0, or the errno: ESRCH (3) when process or thread is gone, EPERM (1). */
export async function signalThread(pid: number, threadId: number, signal: number): Promise<number> {
  const { koffi, library } = await load();
  threadKill ??= library.func('int tgkill(int, int, int)') as unknown as NonNullable<typeof threadKill>;
  return threadKill(pid, threadId, signal) === 0 ? 0 : koffi.errno();
}

/** execve(2) with a search along PATH: this process becomes the program, with the same pid, terminal and parent.
 * What Node.js changed about its standard streams (close-on-exec) and about SIGPIPE (ignored) is set back, because
 * both outlive exec. Nothing may be pending: it ends with this call.
 * @returns only when it failed: the errno (ENOENT 2, EACCES 13). */
export async function replaceProcess(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  const { koffi, library } = await load();
  const signal = library.func('void *signal(int, void *)') as unknown as (
    number: number,
    action: null,
  ) => unknown;
  const control = library.func('int fcntl(int, int, ...)') as unknown as (...parameters: unknown[]) => number;
  const execute = library.func('int execvpe(const char *, const char **, const char **)') as unknown as (
    file: string,
    argv: readonly (string | null)[],
    environment: readonly (string | null)[],
  ) => number;
  for (const descriptor of [0, 1, 2]) control(descriptor, F_SETFD, 'int', 0);
  signal(SIGPIPE, null);
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value ?? ''}`);
  execute(argv[0] ?? '', [...argv, null], [...variables, null]);
  return koffi.errno();
}
