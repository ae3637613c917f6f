// Commands hotPatch.revertFunction (palette, code lens, tree), hotPatch.revertAll, hotPatch.useVersion (a version in
// the tree) and hotPatch.restore (an entry of the history). The source file is left as it is.
import * as vscode from 'vscode';
import type { Session } from '../session/session';
import type { Versions } from '../session/operations';
import {
  inlinedInto,
  patchedFunctions,
  plural,
  runningFunctions,
  type RunningFunction,
} from '../state/queries';
import { stepsBackTo, type HistoryNode } from '../views/history_nodes';
import type { FunctionTarget } from '../views/lens_content';
import type { TreeNode } from '../views/tree_node';
import { documentOf, functionAtCursor } from './patch_function';
import { tellFailure } from './tell';

export async function revertFunction(session: Session, target?: FunctionTarget | TreeNode): Promise<void> {
  const functions =
    target && 'kind' in target ? ofNode(target) : toVersions(await ofSource(session, target), 0);
  if (functions.length === 0) {
    void vscode.window.showInformationMessage('Hot Patch: this function runs its original code.');
    return;
  }
  await tellFailure(await session.operations.revert('revert', functions));
}

export async function revertAll(session: Session): Promise<void> {
  const live = patchedFunctions(session.store.state).filter((running) => running.function.version > 0);
  const pids = [...new Set(live.map((running) => running.process.pid))];
  if (pids.length === 0) {
    void vscode.window.showInformationMessage('Hot Patch: every process runs its original code.');
    return;
  }
  const versions = pids.map((pid): Versions => ({ pid, functions: 'all' }));
  await tellFailure(await session.operations.revert('revert', versions));
}

export async function useVersion(session: Session, node: TreeNode): Promise<void> {
  const { pid, address, version } = node.target ?? {};
  if (pid === undefined || address === undefined || version === undefined) return;
  await tellFailure(await session.operations.revert('restore', [{ pid, functions: [{ address, version }] }]));
}

export async function restore(session: Session, node: HistoryNode): Promise<void> {
  const entry = session.store.state.history.find((candidate) => candidate.id === node.entry);
  const steps = entry ? stepsBackTo(session.store.state, entry) : [];
  if (steps.length === 0) {
    void vscode.window.showInformationMessage('Hot Patch: the processes are in that state already.');
    return;
  }
  await tellFailure(await session.operations.revert('restore', steps));
  const count = steps.reduce((sum, step) => sum + step.functions.length, 0);
  session.log.info(`went back to ${node.label}: ${plural(count, 'function')}`);
}

function ofNode(node: TreeNode): Versions[] {
  const { pid, address } = node.target ?? {};
  return pid === undefined || address === undefined ? [] : [{ pid, functions: [{ address, version: 0 }] }];
}

async function ofSource(session: Session, target: FunctionTarget | undefined): Promise<RunningFunction[]> {
  const document = await documentOf(target?.file);
  if (!document) return [];
  const functions = (await session.documents.functions(document)) ?? [];
  const source = target
    ? functions.find((f) => f.name === target.name && f.nameLine === target.line)
    : await functionAtCursor(session, document);
  if (!source) return [];
  const { state } = session.store;
  const patched = runningFunctions(state, document.uri.fsPath, source).filter(
    (running) => running.function.version > 0,
  );
  return patched.length > 0 ? patched : inlinedInto(state, document.uri.fsPath, source);
}

function toVersions(running: readonly RunningFunction[], version: number): Versions[] {
  const pids = [...new Set(running.map((one) => one.process.pid))];
  return pids.map((pid) => ({
    pid,
    functions: running
      .filter((one) => one.process.pid === pid)
      .map((one) => ({ address: one.function.address, version })),
  }));
}
