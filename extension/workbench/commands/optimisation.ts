// Commands hotPatch.deoptimiseFunction (palette, code lens, tree) and hotPatch.optimiseFunction (the same places): one
// function of an optimised program at -O0, so that a debugger shows all of it, and back. What is compiled is the file.
import * as vscode from 'vscode';
import type { PatchOrder } from '../session/operations';
import type { Session } from '../session/session';
import type { FunctionTarget } from '../views/lens_content';
import type { TreeNode } from '../views/tree_node';
import { documentOf, functionAtCursor, isSaved } from './patch_function';
import { tellFailure } from './tell';

export function deoptimiseFunction(session: Session, target?: FunctionTarget | TreeNode): Promise<void> {
  return change(session, target, (deoptimise) => ({ deoptimise }));
}

export function optimiseFunction(session: Session, target?: FunctionTarget | TreeNode): Promise<void> {
  return change(session, target, (optimise) => ({ optimise }));
}

async function change(
  session: Session,
  target: FunctionTarget | TreeNode | undefined,
  what: (name: string) => Pick<PatchOrder, 'deoptimise' | 'optimise'>,
): Promise<void> {
  const { file, name: known } = (target && 'kind' in target ? target.target : target) ?? {};
  const document = await documentOf(file);
  if (!document) return;
  const name = known ?? (await functionAtCursor(session, document))?.name;
  if (name === undefined) {
    void vscode.window.showInformationMessage('Hot Patch: place the cursor in a function.');
    return;
  }
  if (!(await isSaved(session, document))) return;
  const order: PatchOrder = { action: 'patch', files: [document.uri.fsPath], ...what(name) };
  await tellFailure(await session.operations.patch(order));
}
