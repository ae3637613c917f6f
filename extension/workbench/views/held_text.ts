// What a thread that is held after a crash, and each way on for it, is called in the tree, in notifications, lenses and the
// status bar. What a way means is the engine's to say. Pure.
import { basename } from 'node:path';
import type { HeldThread, HeldWay, WayKind } from '../../engine/model/held';
import { Command } from '../contributions';
import { qualifiedName } from '../state/function_names';
import { ownFrameOf } from '../state/held_threads';
import { placeText } from './crash_text';

/** In the order in which they are offered. */
export const WAYS: Readonly<Record<WayKind, { title: string; icon: string; command: Command }>> = {
  call: { title: 'Retry the Call', icon: 'debug-restart', command: Command.retryCall },
  instruction: { title: 'Retry the Instruction', icon: 'debug-continue', command: Command.retryInstruction },
  return: { title: 'Return from Here…', icon: 'debug-step-out', command: Command.returnFromHere },
  crash: { title: 'Let It Crash', icon: 'flame', command: Command.letItCrash },
};
export const WAY_KINDS = Object.keys(WAYS) as WayKind[];

/** `SIGSEGV: null pointer (address 0x8)` */
export function signalText({ signal, cause }: HeldThread): string {
  return cause === '' ? signal : `${signal}: ${cause}`;
}

/** `thread game-loop held at loot.cpp:9` */
export function heldTitle(thread: HeldThread): string {
  const frame = ownFrameOf(thread);
  const place =
    frame && (placeText(frame) || (frame.function ? qualifiedName(frame.function) : frame.address));
  return `thread ${thread.thread} held${place === undefined ? '' : ` at ${place}`}`;
}

/** All of it, in sentences. */
export function heldText(thread: HeldThread): string {
  const { exe, pid } = thread;
  return `${basename(exe)} (${pid}): ${heldTitle(thread)}, ${signalText(thread)}. It crashed there, and waits to be told how to go on; all other threads go on meanwhile.`;
}

/** After a save of its function. */
export function mendedText(thread: HeldThread): string {
  const name = ownFrameOf(thread)?.function;
  const which = name === undefined ? 'The function' : qualifiedName(name);
  return `${which} is saved and live in ${basename(thread.exe)} (${thread.pid}), where thread ${thread.thread} is held.`;
}

/** What a way comes to, with why it may be wrong. */
export function wayText({ meaning, warnings }: HeldWay): string {
  return [meaning, ...warnings.map((warning) => `Warning: ${warning}`)].join(' ');
}
