// The same program, started again: its live patches can be brought over. A program is the same when the file it was
// started from is (device, inode, time of change). One that was started without the runtime is attached to first.
// Settings hotPatch.bringOver and hotPatch.attach: ask, always, never.
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { PatchableProcess } from '../../engine/model/result';
import { Setting } from '../contributions';
import { setting } from '../settings';
import { processKey, type ProcessKey, type State } from '../state/state';
import type { Store } from '../state/store';
import { consentTo } from './attach_consent';
import type { Operations } from './operations';

interface Left {
  readonly files: readonly string[];
  readonly functions: number;
}

export interface BringOver extends vscode.Disposable {
  /** The user had the program restarted: its live patches come along without a question, unless they never do.
   * @param without files whose patches stay behind */
  restarted(program: string, without: readonly string[]): void;
}

/** @param isTakenCareOf whether a debug session that started the process brings its patches over by itself */
export function offerToBringOver(
  store: Store,
  operations: Operations,
  isTakenCareOf: (pid: number) => boolean,
): BringOver {
  const builds = new Map<ProcessKey, Promise<string | undefined>>();
  /** By build: what ran patched when a process of it ended. */
  const left = new Map<string, Left>();
  /** By program that the user had restarted: files whose patches stay behind. */
  const restarts = new Map<string, readonly string[]>();

  const started = async (process: PatchableProcess) => {
    const build = await buildOf(process, builds);
    const patches = build === undefined ? undefined : left.get(build);
    const isPlain = process.state === 'no-runtime';
    const without = restarts.get(process.exe);
    restarts.delete(process.exe);
    if (!build || !patches || (process.state !== 'ready' && !isPlain)) return;
    // Once it is attached to, it is a process that starts, and asked about.
    if (isPlain && consentTo(process) === 'no') return;
    left.delete(build);
    const files = patches.files.filter((file) => !without?.includes(file));
    if (isTakenCareOf(process.pid) || files.length === 0) return;
    if (await isWanted(process, files, without !== undefined)) {
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
        if (!before.has(processKey(process))) void started(process);
      }
    });
  });
  return {
    restarted: (program, without) => void restarts.set(program, without),
    dispose: () => subscription.dispose(),
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

/** @param isRestart the user had it started again */
async function isWanted(
  process: PatchableProcess,
  patched: readonly string[],
  isRestart: boolean,
): Promise<boolean> {
  const wanted = setting(Setting.bringOver);
  const isReady = process.state === 'ready' || consentTo(process) === 'yes';
  if (wanted === 'never') return false;
  if ((wanted === 'always' || isRestart) && isReady) return true;
  const files = patched.map((file) => basename(file)).join(', ');
  const answer = await vscode.window.showInformationMessage(
    `${process.name} was started again from the same binary. ${isReady ? 'Bring' : 'Attach to it and bring'} the live patches of ${files} over to it?`,
    'Bring Over',
    'Always',
  );
  if (answer === 'Always') {
    const configuration = vscode.workspace.getConfiguration();
    await configuration.update(Setting.bringOver, 'always', vscode.ConfigurationTarget.Workspace);
  }
  return answer !== undefined;
}
