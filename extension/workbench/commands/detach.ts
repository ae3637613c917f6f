// Command hotPatch.detach (tree, palette): takes all patches of a process back and leaves its runtime asleep. Without a
// node: of the one that is attached to, or of those that are chosen.
import * as vscode from 'vscode';
import type { Session } from '../session/session';
import { argumentsOf } from '../views/process_text';
import type { TreeNode } from '../views/tree_node';
import { tellFailure } from './tell';

export async function detach(session: Session, node?: TreeNode): Promise<void> {
  const pids = node?.target ? [node.target.pid] : await choose(session);
  if (pids.length > 0) await tellFailure(await session.operations.detach(pids));
}

async function choose({ store }: Session): Promise<readonly number[]> {
  const { processes = [] } = store.state;
  if (processes.length <= 1) return processes.map(({ pid }) => pid);
  const items = processes.map((process) => ({
    pid: process.pid,
    label: process.name,
    description: `pid ${process.pid}`,
    detail: argumentsOf(process),
  }));
  const chosen = await vscode.window.showQuickPick(items, {
    title: 'Processes to detach from',
    placeHolder: 'Their original code runs again, and saves leave them as they are',
    canPickMany: true,
    matchOnDescription: true,
    matchOnDetail: true,
  });
  return (chosen ?? []).map(({ pid }) => pid);
}
