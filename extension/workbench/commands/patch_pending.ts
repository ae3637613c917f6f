// Command hotPatch.patchPending (tree, palette): every file that is not what runs, in one go. Those with unsaved
// changes are saved first: what is compiled is the file.
import * as vscode from 'vscode';
import type { Session } from '../session/session';
import { pendingOf } from '../state/queries';
import { tellFailure } from './tell';

export async function patchPending(session: Session): Promise<void> {
  const files = pendingOf(session.store.state).map(({ file }) => file);
  if (files.length === 0) {
    void vscode.window.showInformationMessage('Hot Patch: every file is what runs.');
    return;
  }
  for (const document of vscode.workspace.textDocuments) {
    if (!document.isDirty || !files.includes(document.uri.fsPath)) continue;
    if (!(await session.saves.saveSilently(document))) return;
  }
  await tellFailure(await session.operations.patch({ action: 'patch', files }));
}
