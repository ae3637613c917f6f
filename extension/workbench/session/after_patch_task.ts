// The task that runs when a save, or a patch by command, is live (setting hotPatch.afterPatchTask): tests against the
// running program, a reload of a page. One at a time; what becomes live meanwhile has it run once more.
import * as vscode from 'vscode';
import type { PatchResult } from '../../engine/model/result';
import { Setting } from '../contributions';
import { setting } from '../settings';
import type { Action } from '../state/state';
import type { Operations } from './operations';

/** Whether edits are live now that were not before. Versions that the user chose are not edits. */
const bringsEdits = (action: Action, { outcome }: PatchResult): boolean =>
  (action === 'save' || action === 'patch') && (outcome === 'patched' || outcome === 'reverted');

export function runAfterPatch(operations: Operations, warn: (message: string) => void): vscode.Disposable {
  let isWanted = false;
  let isRunning = false;
  const runAll = async (): Promise<void> => {
    isRunning = true;
    try {
      while (isWanted) {
        isWanted = false;
        await runOnce(setting(Setting.afterPatchTask));
      }
    } catch (error) {
      warn(`the task after the patch: ${String(error)}`);
    } finally {
      isRunning = false;
    }
  };
  const stop = operations.onResult((result, action) => {
    if (!bringsEdits(action, result) || setting(Setting.afterPatchTask) === '') return;
    isWanted = true;
    if (!isRunning) void runAll();
  });
  return { dispose: stop };
}

/** Resolves when the task has ended. One that nobody knows is said to the user, whose setting it is. */
async function runOnce(name: string): Promise<void> {
  if (name === '') return;
  const known = await vscode.tasks.fetchTasks();
  const task = known.find((one) => one.name === name || `${one.source}: ${one.name}` === name);
  if (!task) {
    const problem = `Hot Patch: there is no task "${name}" to run after a patch (${Setting.afterPatchTask}).`;
    const answer = await vscode.window.showWarningMessage(problem, 'Open Setting');
    if (answer) await vscode.commands.executeCommand('workbench.action.openSettings', Setting.afterPatchTask);
    return;
  }
  let execution: vscode.TaskExecution | undefined;
  let isOver = (): void => undefined;
  const over = new Promise<void>((resolve) => (isOver = resolve));
  const ended = new Set<vscode.TaskExecution>();
  const subscription = vscode.tasks.onDidEndTask((event) => {
    ended.add(event.execution);
    if (event.execution === execution) isOver();
  });
  try {
    execution = await vscode.tasks.executeTask(task);
    if (!ended.has(execution)) await over;
  } finally {
    subscription.dispose();
  }
}
