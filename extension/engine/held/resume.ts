// Says to a runtime how a thread goes on, and to which threads this engine attends.
import { hostArchitecture } from '../arch/choose';
import type { RequestLine, RuntimeClient } from '../context';
import { linkTarget } from '../host';
import { HotPatchError, toProblem } from '../model/errors';
import type { HoldOptions, ResumeRequest, WayKind } from '../model/held';
import { readStat } from '../process/process_list';
import { readRunState } from '../process/run_state';
import { resultLines } from './returns';
import type { Held } from './threads';

/**
 * Has the runtime hold threads as long as this process lives.
 * Throws HotPatchError cannot-hold, no-runtime, process-gone; tracer-attached while a debugger traces the process: crashes are
 * its own, and it may stop at the signal that the runtime is rung with.
 */
export async function hold(
  runtime: RuntimeClient,
  { mode, limit, modules = [] }: HoldOptions,
): Promise<void> {
  const { pid, exe } = runtime.process;
  if (readRunState(pid)?.traced === true)
    throw new HotPatchError(
      'tracer-attached',
      `A debugger is attached to ${exe} (process ${pid}), and is told of its crashes`,
      { pid },
    );
  const own = readStat(process.pid)?.startTime ?? 0;
  const answer = await runtime.hold([
    ['mode', mode],
    ['engine', `${process.pid} ${own} ${linkTarget('/proc/self/ns/pid') ?? ''}`],
    ...(limit === undefined ? [] : [['limit', String(limit)] as const]),
    ...modules.map((module): RequestLine => ['module', module]),
  ]);
  if (answer.error) throw new HotPatchError(answer.error.code, answer.error.message);
}

/** Throws HotPatchError not-held, way-not-offered, process-gone. */
export async function resume(
  runtime: RuntimeClient,
  held: readonly Held[],
  request: ResumeRequest,
): Promise<void> {
  const { pid } = runtime.process;
  const { tid, id } = request;
  const thread = held.find((one) => one.thread.tid === tid && (id === undefined || one.thread.id === id));
  if (!thread)
    throw new HotPatchError(
      'not-held',
      `Thread ${tid} of process ${pid} is not held${id === undefined ? '' : ', or was held again since'}`,
      { pid },
    );
  const lines = linesOf(thread, request);
  const answer = await runtime
    .resume([['thread', String(tid)], ['held', String(thread.thread.id)], ...lines])
    .catch((error: unknown) => {
      // It may end before it has answered.
      if (request.kind === 'crash' && toProblem(error).code === 'process-gone') return undefined;
      throw error;
    });
  if (answer?.error) throw new HotPatchError(answer.error.code, answer.error.message, { pid });
}

function linesOf({ thread, found }: Held, { kind, frames, result }: ResumeRequest): RequestLine[] {
  const wanted = kind === 'return' || kind === 'call' ? (frames ?? found.ownFrame + 1) : 0;
  const isMeant = (one: { kind: WayKind; frames: number }): boolean =>
    one.kind === kind && one.frames === wanted;
  const chosen = found.ways.find(({ way }) => isMeant(way));
  if (chosen) {
    const { registers, call } = chosen;
    const results = call ? resultLines(call, result, hostArchitecture()) : [];
    return [['way', kind], ...registers, ...results];
  }
  throw new HotPatchError(
    'way-not-offered',
    `Thread ${thread.tid} (${thread.thread}) of process ${thread.pid} cannot go on this way: ` +
      (found.refused.find(isMeant)?.reason ?? 'it has no such frame'),
    { pid: thread.pid },
  );
}
