// Commands hotPatch.patchFunction (palette, code lens), hotPatch.patchFile (palette, ⚡ in the editor title) and
// hotPatch.save (Ctrl+S beside auto-save). The first two patch without a save that counts; a file with unsaved changes
// is saved first, when the user agrees: what is compiled is the file.
import * as vscode from 'vscode';
import type { Session } from '../session/session';
import type { SourceFunction } from '../state/source_function';
import { isSource } from '../documents/source_files';
import type { FunctionTarget } from '../views/lens_content';
import type { TreeNode } from '../views/tree_node';
import { tellFailure } from './tell';

export async function patchFunction(session: Session, target?: FunctionTarget): Promise<void> {
  const document = await documentOf(target?.file);
  if (!document) return;
  const name = target?.name ?? (await functionAtCursor(session, document))?.name;
  if (name === undefined) {
    void vscode.window.showInformationMessage('Hot Patch: place the cursor in a function.');
    return;
  }
  if (!(await isSaved(session, document))) return;
  const files = [document.uri.fsPath];
  await tellFailure(await session.operations.patch({ action: 'patch', files, functionName: name }));
}

/** @param what a file of the editor's title, or of the tree */
export async function patchFile(session: Session, what?: vscode.Uri | TreeNode): Promise<void> {
  const document = await documentOf(what instanceof vscode.Uri ? what.fsPath : what?.file);
  if (!document || !(await isSaved(session, document))) return;
  await tellFailure(await session.operations.patch({ action: 'patch', files: [document.uri.fsPath] }));
}

export async function saveExplicitly(session: Session): Promise<void> {
  const document = vscode.window.activeTextEditor?.document;
  if (document) await session.saves.saveExplicitly(document);
}

/** The innermost function that has the cursor. */
export async function functionAtCursor(
  session: Session,
  document: vscode.TextDocument,
): Promise<SourceFunction | undefined> {
  const line = vscode.window.activeTextEditor?.selection.active.line ?? 0;
  const functions = (await session.documents.functions(document)) ?? [];
  return functions.filter((f) => f.startLine <= line && line <= f.endLine).at(-1);
}

export async function documentOf(file: string | undefined): Promise<vscode.TextDocument | undefined> {
  if (file !== undefined) return vscode.workspace.openTextDocument(vscode.Uri.file(file));
  const document = vscode.window.activeTextEditor?.document;
  if (document && isSource(document)) return document;
  void vscode.window.showInformationMessage('Hot Patch: open a C or C++ file.');
  return undefined;
}

/** Asks for a save when there is something to save; false when the user does not want that. */
export async function isSaved(session: Session, document: vscode.TextDocument): Promise<boolean> {
  if (!document.isDirty) return true;
  const name = vscode.workspace.asRelativePath(document.uri);
  const answer = await vscode.window.showInformationMessage(
    `${name} has unsaved changes. What is patched in is the saved file.`,
    { modal: true },
    'Save and Hot Patch',
  );
  return answer !== undefined && (await session.saves.saveSilently(document));
}
