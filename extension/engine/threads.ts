// Where the threads of a running process are, without stopping any: what /proc says of a thread that waits in the kernel, and
// the stack above it. A thread that went on meanwhile is told of as running, and never with frames of two moments.
import { backtrace, describeFrames, openModules, registersAt, type FrameContext } from './backtrace';
import { namesIn, readProcess, readProcessText } from './host';
import type { PatchableProcess, ThreadReport } from './model/result';
import { readAddressSpace } from './process/maps';
import { readMemory } from './process/memory';

/** Bytes of a stack that are read. */
const MOST_STACK = 256 * 1024;

/** Throws HotPatchError process-gone, other-user, unreadable-file. */
export async function readThreads(
  { pid, runtime }: Pick<PatchableProcess, 'pid' | 'runtime'>,
  context: FrameContext,
): Promise<ThreadReport[]> {
  const { mappings } = await readAddressSpace(pid);
  const modules = openModules(mappings, context.log, context.debugDirectories);
  try {
    const threads: ThreadReport[] = [];
    for (const tid of namesIn(`/proc/${pid}/task`).map(Number)) {
      const name = readProcessText(pid, `task/${tid}/comm`)?.trimEnd();
      if (name === undefined) continue; // it has ended
      const place = await placeOf(pid, tid);
      const isRuntime = tid === runtime?.workerTid;
      const found = { tid, name, isRuntime };
      const stack = typeof place === 'string' ? undefined : await stackOf(pid, tid, place);
      if (typeof place === 'string' || !stack) {
        threads.push({ ...found, state: place === 'unknown' ? 'unknown' : 'running', frames: [] });
        continue;
      }
      const frames = backtrace(registersAt(place.stackPointer, place.counter), stack, modules.all);
      threads.push({
        ...found,
        state: 'waiting',
        frames: await describeFrames(frames, modules.all, context),
      });
    }
    return threads;
  } finally {
    modules.close();
  }

  async function stackOf(
    pid: number,
    tid: number,
    place: Place,
  ): Promise<{ address: number; bytes: Buffer } | undefined> {
    const { stackPointer: address } = place;
    const mapping = mappings.find(({ start, end }) => start <= address && address < end);
    if (!mapping) return undefined;
    try {
      const bytes = await readMemory(pid, address, Math.min(mapping.end - address, MOST_STACK));
      const after = await placeOf(pid, tid);
      return typeof after !== 'string' && after.text === place.text ? { address, bytes } : undefined;
    } catch {
      return undefined; // its stack is gone with it
    }
  }
}

interface Place {
  readonly stackPointer: number;
  readonly counter: number;
  /** All that /proc said: the same again means that the thread has not moved. */
  readonly text: string;
}

/** /proc/PID/task/TID/syscall (proc(5)): `running`, or a system call with its arguments, stack pointer and counter; of a
 * thread that is stopped elsewhere `-1` and the two. */
async function placeOf(pid: number, tid: number): Promise<Place | 'running' | 'unknown'> {
  let text: string;
  try {
    text = (await readProcess(pid, `task/${tid}/syscall`)).toString('latin1').trim();
  } catch {
    return 'unknown';
  }
  const [stackPointer, counter] = text.split(' ').slice(-2).map(Number);
  if (stackPointer === undefined || counter === undefined || !Number.isSafeInteger(counter)) return 'running';
  return { stackPointer, counter, text };
}
