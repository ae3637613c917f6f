// The same program, started again: its live patches can be brought over. A program is the same when the file it was
// started from is (device, inode, time of change). One that was started without the runtime is attached to first. Knows no
// VS Code: whom to ask is passed in (bring_over_question.ts).
import { stat } from 'node:fs/promises';
import type { PatchableProcess } from '../../engine/model/result';
import { processKey, type ProcessKey, type State } from '../state/state';
import type { Store } from '../state/store';
import type { Operations } from './operations';

/** Milliseconds after it was first seen for which a process may still be about to announce its runtime. */
const ANNOUNCED_AFTER_MS = 3000;

interface Left {
  readonly files: readonly string[];
  readonly functions: number;
}

export interface BringOver {
  dispose(): void;
  /** The user had the program restarted: its live patches come along without a question, unless they never do.
   * @param without files whose patches stay behind */
  restarted(program: string, without: readonly string[]): void;
}

export interface BringOverRules {
  /** Whether a debug session that started the process brings its patches over by itself. */
  isTakenCareOf(pid: number): boolean;
  /** Whether a process without the runtime may be attached to, perhaps after a question. */
  mayAttach(process: PatchableProcess): boolean;
  /** @param isRestart the user had it started again: that is no question */
  isWanted(process: PatchableProcess, files: readonly string[], isRestart: boolean): Promise<boolean>;
}

export function offerToBringOver(
  store: Store,
  operations: Pick<Operations, 'patch'>,
  rules: BringOverRules,
): BringOver {
  const builds = new Map<ProcessKey, Promise<string | undefined>>();
  /** By build: what ran patched when a process of it ended. */
  const left = new Map<string, Left>();
  /** By program that the user had restarted: files whose patches stay behind. */
  const restarts = new Map<string, readonly string[]>();
  const timers = new Set<NodeJS.Timeout>();

  /** One that is only starting has no runtime yet, and counts as another process once it has. */
  const startedPlain = (process: PatchableProcess) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (store.state.unprepared.some((one) => processKey(one) === processKey(process)))
        void started(process);
    }, ANNOUNCED_AFTER_MS);
    timers.add(timer);
  };
  const started = async (process: PatchableProcess) => {
    const build = await buildOf(process, builds);
    const patches = build === undefined ? undefined : left.get(build);
    const isPlain = process.state === 'no-runtime';
    const without = restarts.get(process.exe);
    restarts.delete(process.exe);
    if (!build || !patches || (process.state !== 'ready' && !isPlain)) return;
    // Once it is attached to, it is a process that starts, and asked about.
    if (isPlain && !rules.mayAttach(process)) return;
    left.delete(build);
    const files = patches.files.filter((file) => !without?.includes(file));
    if (rules.isTakenCareOf(process.pid) || files.length === 0) return;
    if (await rules.isWanted(process, files, without !== undefined)) {
      const pids = [process.pid];
      const attachTo = isPlain ? { attachTo: pids } : {};
      await operations.patch({ action: 'bring-over', files, pids, ...attachTo });
    }
  };
  const ended = async (key: ProcessKey, patches: Left) => {
    const build = await builds.get(key);
    builds.delete(key);
    if (build !== undefined && patches.files.length > 0) left.set(build, patches);
  };

  const subscription = store.subscribe((state, previous) => {
    if (state.processes === previous.processes && state.unprepared === previous.unprepared) return;
    const before = new Set(all(previous).map(processKey));
    const now = new Set(all(state).map(processKey));
    const endings = [...before]
      .filter((key) => !now.has(key))
      .map((key) => ended(key, liveIn(previous, key)));
    // A restart within one look: what ended is known before what started is asked about.
    void Promise.all(endings).then(() => {
      for (const process of all(state)) {
        if (before.has(processKey(process))) continue;
        if (process.state === 'no-runtime') startedPlain(process);
        else void started(process);
      }
    });
  });
  return {
    restarted: (program, without) => void restarts.set(program, without),
    dispose: () => {
      subscription.dispose();
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

function all({ processes = [], unprepared }: State): readonly PatchableProcess[] {
  return [...processes, ...unprepared];
}

function buildOf(
  process: PatchableProcess,
  builds: Map<ProcessKey, Promise<string | undefined>>,
): Promise<string | undefined> {
  const key = processKey(process);
  const known = builds.get(key) ?? identityOf(process.pid);
  builds.set(key, known);
  return known;
}

async function identityOf(pid: number): Promise<string | undefined> {
  try {
    const { dev, ino, mtimeMs } = await stat(`/proc/${pid}/exe`);
    return `${dev}:${ino}:${mtimeMs}`;
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}

function liveIn(state: State, key: ProcessKey): Left {
  const live = (state.statuses.get(key)?.functions ?? []).filter((f) => f.version > 0);
  return { files: [...new Set(live.flatMap((f) => f.file ?? []))], functions: live.length };
}
