// Threads that the runtime holds after a crash, as the runtime's own tests ask for them and let them go, without the engine.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { RuntimeProcess } from './runtime_process';
import { until } from './until';

/** As the engine of that process names itself. */
export function engine(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
  return `engine ${pid} ${startTime} ${readlinkSync('/proc/self/ns/pid')}`;
}

export interface HeldDocument {
  held: number;
  tid: number;
  signal: number;
  fault: boolean;
  registers: string[];
}

export const documents = ({ controlDirectory }: RuntimeProcess): HeldDocument[] =>
  readdirSync(join(controlDirectory, 'held'))
    .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
    .map((name) => JSON.parse(readFileSync(join(controlDirectory, 'held', name), 'utf8')) as HeldDocument);
export const heldThread = async (process: RuntimeProcess): Promise<HeldDocument> =>
  (
    await until(
      () => Promise.resolve(documents(process)),
      ({ length }) => length === 1,
    )
  )[0]!;
export const hold = (process: RuntimeProcess, mode: string, ...more: string[]) =>
  process.done('hold', `mode ${mode}`, engine(globalThis.process.pid), ...more);
/** It ends before it has answered. */
export function letCrash(process: RuntimeProcess, thread: HeldDocument): void {
  const text = ['hot_fix 1', 'command resume', ...lines(thread, 'way crash'), 'end', ''];
  const { pid, workerTid, signal } = process.identity;
  process.place('crash', text.join('\n'));
  try {
    process.session.ring(pid, workerTid, signal);
  } catch {
    // The worker looks every second while a thread is held, and may have found it before.
  }
}

export const lines = ({ tid, held }: HeldDocument, ...more: string[]) => [
  `thread ${tid}`,
  `held ${held}`,
  ...more,
];
