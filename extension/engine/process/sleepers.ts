// Processes that were detached from: their runtime is still in them and does nothing but wake (docs/PROTOCOL.md,
// section 2). To attach to such a process is to wake it: no thread is borrowed, and no right to trace is needed.
import type { RuntimeClient } from '../context';
import { HotPatchError, toProblem } from '../model/errors';
import type { AttachResult, PatchableProcess, Problem } from '../model/result';
import type { Attacher } from './attach';
import type { ProcessList } from './process_list';
import { readRunState } from './run_state';

/** The attacher for every process: those that sleep are woken, the others are left to `attacher`.
 * @param runtime speaks with the runtime of a process */
export function wakingAttacher(
  attacher: Attacher,
  list: ProcessList,
  runtime: (process: PatchableProcess) => RuntimeClient,
): Attacher {
  return {
    attach: (process) =>
      process.asleep ? wake(process, runtime(withAddress(process))) : attacher.attach(process),

    async look(pids) {
      const asleep = new Map((await list()).flatMap((one) => (one.asleep ? [[one.pid, one]] : [])));
      const found = pids
        .flatMap((pid) => asleep.get(pid) ?? [])
        .map((process) => {
          const problem = whyNot(process);
          return {
            pid: process.pid,
            outcome: problem ? ('refused' as const) : ('attachable' as const),
            problem,
          };
        });
      return [
        ...found.map(({ problem, ...one }) => ({ ...one, ...(problem && { problem }) })),
        ...(await attacher.look(pids.filter((pid) => !asleep.has(pid)))),
      ];
    },
  };
}

/** A sleeping runtime where requests look for one that is awake. */
export function withAddress(process: PatchableProcess): PatchableProcess {
  const runtime = process.runtime ?? process.asleep;
  return { ...process, ...(runtime && { runtime }) };
}

async function wake(process: PatchableProcess, runtime: RuntimeClient): Promise<AttachResult> {
  const { pid, exe } = process;
  const start = performance.now();
  const result = (outcome: AttachResult['outcome'], problem?: Problem): AttachResult => ({
    ...{ pid, exe, outcome, pause: 0, milliseconds: performance.now() - start },
    ...(problem && { problem }),
  });
  const obstacle = whyNot(process);
  if (obstacle) return result('refused', obstacle);
  try {
    const { ok, error } = await runtime.wake();
    if (ok) return result('attached');
    throw new HotPatchError(error?.code ?? 'internal', error?.message ?? 'It did not wake', { pid });
  } catch (thrown) {
    return result('refused', toProblem(thrown));
  }
}

/** A process that is stopped hears no signal. */
function whyNot({ pid }: PatchableProcess): Problem | undefined {
  const stopped = readRunState(pid)?.stopped;
  if (!stopped) return undefined;
  return stopped.tracer === undefined
    ? { code: 'stopped', message: `Process ${pid} is stopped`, pid }
    : { code: 'debugged', message: `A debugger (process ${stopped.tracer}) holds process ${pid}`, pid };
}
