// Comparisons of files with what runs, one after the other in the background. Each takes as long as it takes to be one:
// neither the file nor the versions that run may change from its begin to its end, or nobody knows what was compared with
// what. Knows no VS Code.
import type { PatchableProcess, ProcessStatus } from '../../engine/model/result';
import type { AsyncEngine } from '../engine_thread/client';
import { isOvertaken, isUntouched } from '../state/checked_files';
import type { Event } from '../state/events';
import { targetProcesses } from '../state/queries';
import { processKey, type ProcessKey } from '../state/state';
import type { Store } from '../state/store';

/** Of a file that keeps changing, or whose program does. */
const ATTEMPTS = 5;

type Comparing = Pick<AsyncEngine, 'processesOf' | 'status' | 'check'>;

export interface Comparisons {
  /** Resolves when the store has what was found. */
  check(file: string): Promise<void>;
  /** Whether a comparison of the file is under way or to come. */
  isWaiting(file: string): boolean;
}

/** @param textOf what a file holds; undefined when it cannot be read
 * @param failed is told of comparisons that could not be made */
export function compareFiles(
  engine: () => Comparing,
  store: Store,
  textOf: (file: string) => Promise<string | undefined>,
  log: (message: string) => void,
  failed: (file: string) => void,
): Comparisons {
  const waiting = new Map<string, number>();
  let comparing: Promise<void> = Promise.resolve();

  async function check(file: string): Promise<void> {
    store.dispatch({ type: 'check-started', file });
    try {
      const event = await compareFile(engine(), store, file, textOf);
      store.dispatch(event ?? { type: 'check-failed', file });
      if (event) log(`check of ${file}: ${event.report.verdict}. ${event.report.message}`);
    } catch (error) {
      store.dispatch({ type: 'check-failed', file });
      log(`check of ${file}: ${String(error)}`);
      failed(file);
    }
  }

  const count = (file: string, by: number) => waiting.set(file, (waiting.get(file) ?? 0) + by);
  return {
    check(file) {
      count(file, 1);
      comparing = comparing.then(() => check(file)).finally(() => count(file, -1));
      return comparing;
    },
    isWaiting: (file) => (waiting.get(file) ?? 0) > 0,
  };
}

/** Throws what the engine throws, and when nothing stays as it is for long enough.
 * @returns undefined when there was nothing to compare */
async function compareFile(
  engine: Comparing,
  store: Store,
  file: string,
  textOf: (file: string) => Promise<string | undefined>,
): Promise<Extract<Event, { type: 'check-finished' }> | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const processes = await targetsNow(engine, store, file);
    const before = await statusesOf(engine, processes);
    const at = Date.now();
    const text = await textOf(file);
    if (text === undefined) return undefined;
    const pids = processes.map(({ pid }) => pid);
    const [report] = await engine.check([file], { kind: 'pid', pids });
    if (!report) return undefined;
    const statuses = await statusesOf(engine, processes);
    const isSame = [...statuses].every(([key, status]) => isUntouched(before.get(key)!, status));
    const event = { type: 'check-finished', file, report, text, at, statuses } as const;
    if (isSame && text === (await textOf(file)) && !isOvertaken(store.state, event)) return event;
  }
  throw new Error(`the file, or what runs, changed during each of ${ATTEMPTS} comparisons`);
}

/** Processes that a save of the file would be for. One that is not in sight does not follow those that start. */
async function targetsNow(engine: Comparing, store: Store, file: string): Promise<PatchableProcess[]> {
  const built = await engine.processesOf(file);
  const targets = new Set(targetProcesses(store.state).map(({ pid }) => pid));
  return built.filter(({ pid, state }) => state === 'ready' && targets.has(pid));
}

async function statusesOf(
  engine: Comparing,
  processes: readonly PatchableProcess[],
): Promise<ReadonlyMap<ProcessKey, ProcessStatus>> {
  const read = processes.map(async (process): Promise<[ProcessKey, ProcessStatus]> => [
    processKey(process),
    await engine.status(process.pid),
  ]);
  return new Map(await Promise.all(read));
}
