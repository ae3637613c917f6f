// What stands at the line at which a thread is held after a crash: that it is, and the ways on. Pure; code_lens.ts shows it.
import type { HeldThread } from '../../engine/model/held';
import { Command } from '../contributions';
import { canRetryMended, heldIn, heldLine } from '../state/held_threads';
import type { State } from '../state/state';
import { heldText, signalText, WAYS, WAY_KINDS, wayText } from './held_text';
import type { Lens } from './lens';

export function heldLenses(state: State, file: string): Lens[] {
  return heldIn(state, file).flatMap((thread) =>
    lensesOf(thread, heldLine(state, thread), canRetryMended(state, thread)),
  );
}

function lensesOf(thread: HeldThread, line: number, canRetry: boolean): Lens[] {
  const { pid, tid, id, ways } = thread;
  const lens = (title: string, tooltip: string, command: Command): Lens => ({
    // Of an inlined function it is in another one than that of the frame.
    line,
    title,
    tooltip,
    command,
    parameters: [{ pid, tid, id }],
  });
  const offered = WAY_KINDS.flatMap((kind) => {
    const way = ways.find((one) => one.kind === kind);
    const { title, command } = WAYS[kind];
    return way
      ? [lens(kind === 'call' && canRetry ? 'Saved: Retry the Call' : title, wayText(way), command)]
      : [];
  });
  return [
    lens(
      `$(debug-pause)\u00a0Thread ${thread.thread} held: ${signalText(thread)}`,
      heldText(thread),
      Command.goOn,
    ),
    ...offered,
  ];
}
