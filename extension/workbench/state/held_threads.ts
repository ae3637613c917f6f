// Questions about threads that have crashed and are held, answered from the state. Pure.
import type { HeldThread, HeldWay, WayKind } from '../../engine/model/held';
import type { CrashFrame } from '../../engine/model/result';
import { qualifiedName } from './function_names';
import { processKey, type State } from './state';

/** What tells a held thread from all others, also from the same thread held earlier. */
export type HeldTarget = Pick<HeldThread, 'pid' | 'tid' | 'id'>;

export function isSameHold(one: HeldTarget, other: HeldTarget): boolean {
  return one.pid === other.pid && one.tid === other.tid && one.id === other.id;
}

/** Where the person's own code was. */
export function ownFrameOf({ frames, ownFrame }: HeldThread): CrashFrame | undefined {
  return frames[ownFrame] ?? frames[0];
}

/** Threads that are held in code of a file. */
export function heldIn({ held }: State, file: string): readonly HeldThread[] {
  return held.filter((thread) => ownFrameOf(thread)?.file === file);
}

/** The way that leaves the person's own frame and no more, or leaves none. */
export function ownWay({ ways, ownFrame }: HeldThread, kind: WayKind): HeldWay | undefined {
  return ways.find((way) => way.kind === kind && (way.frames === 0 || way.frames === ownFrame + 1));
}

/** Whether it was saved, and the call can be made again. */
export function canRetryMended(state: State, thread: HeldThread): boolean {
  return isMended(state, thread) && ownWay(thread, 'call') !== undefined;
}

/** Whether the function in which the thread is held was patched in its process since: its next call runs another version. */
export function isMended({ history, processes = [] }: State, thread: HeldThread): boolean {
  const name = ownFrameOf(thread)?.function;
  const process = processes.find(({ pid }) => pid === thread.pid);
  if (name === undefined || !process) return false;
  const key = processKey(process);
  return history.some(
    ({ at, outcome, action, functions, processes: touched }) =>
      at > thread.at &&
      outcome === 'patched' &&
      (action === 'save' || action === 'patch') &&
      touched.some((one) => one.key === key) &&
      functions.some((one) => qualifiedName(one) === qualifiedName(name)),
  );
}
