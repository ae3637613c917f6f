// The same program, started again: its live patches can be brought over. A program is the same when the file it was
// started from is (device, inode, time of change). Setting hotPatch.bringOver: ask, always, never.
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { PatchableProcess } from '../../engine/model/result';
import { Setting } from '../contributions';
import { setting } from '../settings';
import { processKey, type ProcessKey, type State } from '../state/state';
import type { Store } from '../state/store';
import type { Operations } from './operations';

interface Left {
  readonly files: readonly string[];
  readonly functions: number;
}

/** @param isTakenCareOf whether a debug session that started the process brings its patches over by itself */
export function offerToBringOver(
  store: Store,
  operations: Operations,
  isTakenCareOf: (pid: number) => boolean,
): vscode.Disposable {
  const builds = new Map<ProcessKey, Promise<string | undefined>>();
  /** By build: what ran patched when a process of it ended. */
  const left = new Map<string, Left>();

  const started = async (process: PatchableProcess) => {
    const build = await buildOf(process, builds);
    const patches = build === undefined ? undefined : left.get(build);
    if (!build || !patches || process.state !== 'ready') return;
    left.delete(build);
    if (isTakenCareOf(process.pid)) return;
    if (await isWanted(process, patches)) {
      await operations.patch({ action: 'bring-over', files: patches.files, pids: [process.pid] });
    }
  };
  const ended = async (key: ProcessKey, patches: Left) => {
    const build = await builds.get(key);
    builds.delete(key);
    if (build !== undefined && patches.files.length > 0) left.set(build, patches);
  };

  return store.subscribe((state, previous) => {
    if (state.processes === previous.processes) return;
    const before = new Set((previous.processes ?? []).map(processKey));
    const now = new Set((state.processes ?? []).map(processKey));
    const endings = [...before]
      .filter((key) => !now.has(key))
      .map((key) => ended(key, liveIn(previous, key)));
    // A restart within one look: what ended is known before what started is asked about.
    void Promise.all(endings).then(() => {
      for (const process of state.processes ?? []) {
        if (!before.has(processKey(process))) void started(process);
      }
    });
  });
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

async function isWanted(process: PatchableProcess, patches: Left): Promise<boolean> {
  const wanted = setting(Setting.bringOver);
  if (wanted !== 'ask') return wanted === 'always';
  const files = patches.files.map((file) => basename(file)).join(', ');
  const answer = await vscode.window.showInformationMessage(
    `${process.name} was started again from the same binary. Bring the live patches of ${files} over to it?`,
    'Bring Over',
    'Always',
  );
  if (answer === 'Always') {
    const configuration = vscode.workspace.getConfiguration();
    await configuration.update(Setting.bringOver, 'always', vscode.ConfigurationTarget.Workspace);
  }
  return answer !== undefined;
}
