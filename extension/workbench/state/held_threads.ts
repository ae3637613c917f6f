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

export function holdKey({ pid, tid, id }: HeldTarget): string {
  return `${pid} ${tid} ${id}`;
}

/** Lines that were replaced in a text, from 0: from the one in which the change begins to the one in which it ends. */
export interface LineChange {
  readonly first: number;
  readonly last: number;
  /** Whether it ends where the last one begins. */
  readonly endsAtStart: boolean;
  /** How many line breaks stand there now. */
  readonly breaks: number;
}

/** The line of the person's own code at which a thread is held, from 0, in the text as it is now. */
export function heldLine({ heldLines }: State, thread: HeldThread): number {
  return heldLines.get(holdKey(thread)) ?? (ownFrameOf(thread)?.line ?? 1) - 1;
}

/** @returns the lines after that was typed in a file */
export function heldLinesAfter(
  state: State,
  file: string,
  changes: readonly LineChange[],
): ReadonlyMap<string, number> {
  const lines = heldIn(state, file).map((thread): [string, number] => {
    const line = changes.reduce(
      (at, { first, last, endsAtStart, breaks }) => {
        if (last < at || (last === at && endsAtStart)) return at + breaks - (last - first);
        return first < at ? first : at;
      },
      heldLine(state, thread),
    );
    return [holdKey(thread), line];
  });
  return new Map([...state.heldLines, ...lines]);
}

/** The state with other threads held; lines of those that are not held any more are forgotten. */
export function withHeld(state: State, held: readonly HeldThread[]): State {
  const keys = new Set(held.map(holdKey));
  const heldLines = new Map([...state.heldLines].filter(([key]) => keys.has(key)));
  return { ...state, held, heldLines };
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
