// Threads that are held after a crash: listing them, saying how they go on, and attending to them while saves are watched.
import { setTimeout as pause } from 'node:timers/promises';
import { DONE, err, out, printJson } from './report';
import type { Command } from './arguments';
import type { Engine } from '../engine/engine';
import { ERROR_TABLE, HotPatchError } from '../engine/model/errors';
import type { HeldThread, HoldMode } from '../engine/model/held';
import { heldText } from '../engine/model/held_text';
import { problemText } from '../engine/model/text';

/** Milliseconds. */
const LOOK_INTERVAL = 500;

export async function listHeld(engine: Engine, { json }: Command, pids: readonly number[]): Promise<number> {
  const threads: HeldThread[] = [];
  // Of several that have one name, one may end meanwhile.
  const look = pids.length > 1 ? heldOrGone : (_: Engine, pid: number) => engine.heldThreads(pid);
  for (const pid of pids) threads.push(...(await look(engine, pid)));
  if (json) printJson(threads);
  else out(threads.map(heldText).join('\n') || 'No thread is held.\n');
  return DONE;
}

export async function resumeHeld(
  engine: Engine,
  { pid, tid, way, frames, result, json }: Extract<Command, { name: 'resume' }>,
): Promise<number> {
  const problem = await engine.resume(pid, {
    tid,
    kind: way,
    ...(frames !== undefined && { frames }),
    ...(result !== undefined && { result }),
  });
  if (json) printJson(problem ? { ok: false, problem } : { ok: true });
  else if (problem) err(problemText(problem));
  else out(way === 'crash' ? `thread ${tid} crashes\n` : `thread ${tid} goes on\n`);
  return problem ? ERROR_TABLE[problem.code].exit : DONE;
}

/** Has threads held in the processes that run code of a folder, also in those that start later, and tells of each, until it
 * is interrupted. They crash then; where this process is killed, as soon as nobody came back in time.
 * @param where the folder; the only processes, when there are any */
export async function attend(
  engine: Engine,
  mode: HoldMode,
  { folder, pids }: { folder: string; pids: readonly number[] },
  json: boolean,
  interrupted: AbortSignal,
): Promise<void> {
  const attended = new Map<string, boolean>();
  const told = new Set<string>();
  while (!interrupted.aborted) {
    for (const { pid, name, startTime, runtime, asleep } of await engine.processes()) {
      if (!runtime || asleep || (pids.length > 0 && !pids.includes(pid))) continue;
      const identity = `${pid}@${startTime}`;
      if (!attended.has(identity)) {
        const isWanted = pids.length > 0 || (await isFrom(engine, pid, folder));
        attended.set(identity, isWanted);
        if (!isWanted) continue;
        const [problem] = await engine.hold([pid], { mode });
        if (problem?.code === 'tracer-attached') {
          // Asked again until its debugger has left it.
          attended.delete(identity);
          continue;
        }
        err(
          problem
            ? problemText(problem, 'warning')
            : `threads of ${name} (process ${pid}) are held when they crash\n`,
        );
      }
      if (attended.get(identity) !== true) continue;
      for (const thread of await heldOrGone(engine, pid)) {
        const one = `${identity}#${thread.id}`;
        if (told.has(one)) continue;
        told.add(one);
        if (json) printJson(thread);
        else err(heldText(thread));
      }
    }
    await pause(LOOK_INTERVAL, undefined, { signal: interrupted }).catch(() => undefined);
  }
  const attendedPids = [...attended].flatMap(([identity, isWanted]) =>
    isWanted ? [parseInt(identity)] : [],
  );
  // Those that are gone by now, and those that a debugger has, need nobody to say so.
  await engine.hold(attendedPids, { mode: 'off' });
}

/** Also when it is gone by now: then there is nothing to hold. */
async function isFrom(engine: Engine, pid: number, folder: string): Promise<boolean> {
  try {
    return await engine.isFrom(pid, [folder]);
  } catch (error) {
    if (error instanceof HotPatchError) return false;
    throw error;
  }
}

async function heldOrGone(engine: Engine, pid: number): Promise<HeldThread[]> {
  try {
    return await engine.heldThreads(pid);
  } catch (error) {
    if (error instanceof HotPatchError && error.code === 'process-gone') return [];
    throw error;
  }
}
