// Of the processes that were started without the runtime: which can be attached to, and why the others cannot. That is
// asked when they appear; an obstacle (a debugger, say) comes and goes, so it is asked again now and then.
import type { PatchableProcess, Problem } from '../../engine/model/result';
import type { AsyncEngine } from '../engine_thread/client';
import { processKey, type ProcessKey, type UnpreparedProcess } from '../state/state';

/** Looks, one a second, after which it is asked again. */
const AGAIN_AFTER = 5;

export interface Unprepared {
  /** @param anew ask again, however recently it was asked */
  look(processes: readonly PatchableProcess[], anew: boolean): Promise<readonly UnpreparedProcess[]>;
}

interface Known {
  readonly obstacle: Problem | undefined;
  /** Number of the look. */
  readonly asked: number;
}

export function watchUnprepared(engine: () => AsyncEngine): Unprepared {
  let known = new Map<ProcessKey, Known>();
  let looks = 0;

  return {
    async look(processes, anew) {
      looks++;
      const isDue = (process: PatchableProcess) => {
        const before = known.get(processKey(process));
        return anew || !before || looks - before.asked >= AGAIN_AFTER;
      };
      const due = processes.filter(isDue).map(({ pid }) => pid);
      const found = new Map(
        due.length === 0 ? [] : (await engine().attachability(due)).map((one) => [one.pid, one]),
      );
      const now = new Map<ProcessKey, Known>();
      const listed = processes.flatMap((process): UnpreparedProcess[] => {
        const key = processKey(process);
        const fresh = found.get(process.pid);
        // It has the runtime, which has not announced itself yet.
        if (fresh?.outcome === 'ready') return [];
        const about = fresh ? { obstacle: fresh.problem, asked: looks } : known.get(key);
        if (about) now.set(key, about);
        return [{ ...process, obstacle: about?.obstacle }];
      });
      known = now;
      return listed;
    },
  };
}
