// Follows the workspace's processes as they start, fork, exec and end: those that have the runtime with what it reports,
// and those that could be given it (unprepared.ts). Processes of other projects belong to other windows. One look a second, never two at a time, and none begins
// while an operation is under way, which reports by itself.
import type { PatchableProcess } from '../../engine/model/result';
import type { AsyncEngine } from '../engine_thread/client';
import { processKey, type ProcessKey } from '../state/state';
import type { Store } from '../state/store';
import { watchUnprepared } from './unprepared';

const INTERVAL_MS = 1000;

export interface ProcessWatch {
  /** Looks now, also at what stands in the way of attaching; resolves when the store has what was found. */
  look(options?: { count: boolean }): Promise<void>;
  dispose(): void;
}

/**
 * @param folders of the workspace and its builds. A process belongs to the workspace if its executable is under one of
 * them or was built from an open file.
 * @param othersChanged called when other processes have started or ended
 * @param isSeen Whether a view that shows thread counts is visible; only then are runtimes asked to recount.
 */
export function watchProcesses(
  engine: () => AsyncEngine,
  store: Store,
  folders: () => readonly string[],
  isSeen: () => boolean,
  othersChanged: () => void,
  log: (message: string) => void,
): ProcessWatch {
  let timer: NodeJS.Timeout | undefined;
  let disposed = false;
  let active: Promise<void> | undefined;
  /** What was last said of each process, and of looking for them (''). */
  const troubles = new Map<string, string>();
  let others: string | undefined;
  const reported = new Map<ProcessKey, string>();
  const plain = watchUnprepared(engine);

  async function look(count: boolean, anew: boolean): Promise<void> {
    try {
      const all = await engine().processes();
      const matching = new Set([...store.state.matches.values()].flat().map(processKey));
      const isOurs = (process: PatchableProcess) =>
        matching.has(processKey(process)) || folders().some((folder) => process.exe.startsWith(`${folder}/`));
      const ours = all.filter(isOurs);
      const processes = ours.filter((process) => process.runtime !== undefined);
      const unprepared = await plain.look(ours.filter(isUnprepared), anew);
      const { processes: known, unprepared: knownUnprepared } = store.state;
      if (JSON.stringify([processes, unprepared]) !== JSON.stringify([known, knownUnprepared])) {
        store.dispatch({ type: 'processes', processes, unprepared });
      }
      const rest = all.filter((process) => !processes.includes(process)).map(processKey);
      if (others !== (others = rest.join(' '))) othersChanged();
      const present = new Set(processes.map(processKey));
      for (const key of reported.keys()) if (!present.has(key)) reported.delete(key);
      for (const key of troubles.keys()) if (key !== '' && !present.has(key)) troubles.delete(key);
      const readable = processes.filter((process) => process.state !== 'other-user');
      await Promise.all(readable.map((process) => lookAt(process, count)));
      troubles.delete('');
    } catch (error) {
      say('', `looking for processes: ${String(error)}`);
    }
  }

  /** The same trouble every second is one line in the log. */
  function say(key: string, trouble: string): void {
    if (troubles.get(key) !== trouble) log(trouble);
    troubles.set(key, trouble);
  }

  async function lookAt(process: PatchableProcess, count: boolean): Promise<void> {
    const key = processKey(process);
    const isSilent = store.state.lost.some((lost) => lost.key === key && lost.reason === 'silent');
    const inOldCode = store.state.statuses.get(key)?.functions.some((f) => f.activeThreads > 0) ?? false;
    const refresh = count || isSilent || (inOldCode && isSeen());
    try {
      const status = await engine().status(process.pid, { refresh });
      troubles.delete(key);
      const text = JSON.stringify(status);
      if (text === reported.get(key) && !isSilent) return;
      // What an operation reports at its end is newer; a look after that reports what is newer still.
      if (store.state.operation !== undefined) return;
      const known = store.state.statuses.get(key);
      if (known && status.sequence < known.sequence) return;
      reported.set(key, text);
      store.dispatch({ type: 'status', key, status, answered: refresh });
    } catch (error) {
      if (refresh && !isSilent) store.dispatch({ type: 'silent', key });
      say(key, `status of ${process.name} (${process.pid}): ${String(error)}`);
    }
  }

  function begin(count: boolean, anew: boolean): Promise<void> {
    const mine = (active ?? Promise.resolve())
      .then(() => (disposed ? undefined : look(count, anew)))
      .finally(() => {
        // Another look may have been asked for meanwhile; the next is counted from the last of them.
        if (active !== mine) return;
        active = undefined;
        clearTimeout(timer);
        if (!disposed) timer = setTimeout(tick, INTERVAL_MS);
      });
    return (active = mine);
  }

  function tick(): void {
    if (store.state.operation === undefined && !active) void begin(false, false);
    else timer = setTimeout(tick, INTERVAL_MS);
  }

  // The engine's thread starts after activation, which it would hold up.
  timer = setTimeout(tick, 0);
  return {
    look: (options) => begin(options?.count ?? false, true),
    dispose: () => {
      disposed = true;
      clearTimeout(timer);
    },
  };
}

/** Programs of packages that are installed in the workspace are not built from its sources. */
function isUnprepared({ state, exe }: PatchableProcess): boolean {
  return state === 'no-runtime' && !exe.includes('/node_modules/');
}
