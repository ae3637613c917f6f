// Command hotPatch.attach (tree, picker, status bar, palette): brings the runtime into processes that were started without
// it. Without a node: into those that were built from the file in the editor, or all of the workspace, after a choice.
import * as vscode from 'vscode';
import type { Session } from '../session/session';
import { unpreparedOf } from '../state/queries';
import type { UnpreparedProcess } from '../state/state';
import { argumentsOf } from '../views/process_text';
import type { TreeNode } from '../views/tree_node';
import { showProblem } from './tell';

export async function attach(session: Session, node?: TreeNode): Promise<void> {
  await attachTo(session, node?.target ? [node.target.pid] : await choose(session));
}

export async function attachTo(session: Session, pids: readonly number[]): Promise<void> {
  if (pids.length === 0) return;
  for (const { problem } of await session.operations.attach(pids)) {
    if (problem) await showProblem(problem.code, problem.message);
  }
}

async function choose(session: Session): Promise<readonly number[]> {
  await session.processes.look();
  const { state } = session.store;
  const ofFile = state.activeFile === undefined ? [] : unpreparedOf(state, [state.activeFile]);
  const processes = ofFile.length > 0 ? ofFile : state.unprepared;
  if (processes.length === 1) return [processes[0]!.pid];
  if (processes.length === 0) {
    void vscode.window.showInformationMessage(
      'Hot Patch: no process of this workspace is waiting to be attached to.',
    );
    return [];
  }
  const chosen = await vscode.window.showQuickPick(processes.map(itemOf), {
    title: 'Processes to attach to',
    canPickMany: true,
    matchOnDescription: true,
    matchOnDetail: true,
  });
  return (chosen ?? []).map(({ pid }) => pid);
}

function itemOf(process: UnpreparedProcess): vscode.QuickPickItem & { readonly pid: number } {
  const { pid, name, obstacle } = process;
  return {
    pid,
    label: name,
    description: `pid ${pid}`,
    detail: obstacle?.message ?? argumentsOf(process),
    picked: obstacle === undefined,
  };
}
