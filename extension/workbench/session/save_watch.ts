// Saving patches: setting hotPatch.onSave says which saves count. VS Code tells why a document is saved before, and
// that it was saved after; save_batches.ts makes patches of that. Decides nothing.
import * as vscode from 'vscode';
import { Setting } from '../contributions';
import { isSource } from '../documents/source_files';
import { setting } from '../settings';
import { SaveBatches } from './save_batches';
import { counts } from './save_policy';

export interface SaveWatch extends vscode.Disposable {
  /** Saves a document on behalf of a command that patches it itself. */
  saveSilently(document: vscode.TextDocument): Promise<boolean>;
  /** Ctrl+S beside auto-save: an explicit save, whichever of the two writes the file. */
  saveExplicitly(document: vscode.TextDocument): Promise<void>;
}

/** @param saved called with files that were saved together, and when that began (`performance.now()`) */
export function watchSaves(saved: (files: readonly string[], since: number) => unknown): SaveWatch {
  const silent = new Set<string>();
  const batches = new SaveBatches(
    (file, save) => !silent.has(file) && counts(save, setting(Setting.onSave, vscode.Uri.file(file))),
    saved,
  );
  const subscriptions = [
    batches,
    vscode.workspace.onWillSaveTextDocument(({ document, reason }) => {
      if (!isSource(document)) return;
      const explicit = reason === vscode.TextDocumentSaveReason.Manual;
      batches.willSave(document.uri.fsPath, { explicit, dirty: document.isDirty });
    }),
    vscode.workspace.onDidSaveTextDocument((document) => {
      if (isSource(document)) batches.didSave(document.uri.fsPath);
    }),
  ];
  return {
    async saveSilently(document) {
      silent.add(document.uri.fsPath);
      try {
        return await document.save();
      } finally {
        silent.delete(document.uri.fsPath);
      }
    },
    async saveExplicitly({ uri }) {
      const save = async () => vscode.commands.executeCommand('workbench.action.files.save');
      await batches.explicitly(uri.fsPath, save);
    },
    dispose: () => void vscode.Disposable.from(...subscriptions).dispose(),
  };
}
