// Saving patches: setting hotPatch.onSave says which saves count. VS Code tells why a document is saved before, and
// that it was saved after; files whose saves overlap (Save All) are one patch. Decides when, operations.ts does it.
import * as vscode from 'vscode';
import { Setting } from '../contributions';
import { setting } from '../settings';
import { isSource } from '../documents/source_files';
import { counts, type Save } from './save_policy';

/** How long after the last write of a Save All the next one may begin. */
const TOGETHER_MS = 20;
/** A save that another extension cancelled is never written; what was saved beside it waits no longer than this. */
const ABANDONED_MS = 1000;

export interface SaveWatch extends vscode.Disposable {
  /** Saves a document on behalf of a command that patches it itself. */
  saveSilently(document: vscode.TextDocument): Promise<boolean>;
}

export function watchSaves(saved: (files: readonly string[]) => unknown): SaveWatch {
  const writing = new Map<string, Save>();
  const written = new Set<string>();
  const silent = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const end = () => {
    writing.clear();
    const files = [...written];
    written.clear();
    saved(files);
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(end, writing.size > 0 ? ABANDONED_MS : TOGETHER_MS);
  };
  const subscriptions = [
    vscode.workspace.onWillSaveTextDocument(({ document, reason }) => {
      if (!isSource(document)) return;
      const explicit = reason === vscode.TextDocumentSaveReason.Manual;
      writing.set(document.uri.fsPath, { explicit, dirty: document.isDirty });
    }),
    vscode.workspace.onDidSaveTextDocument((document) => {
      const file = document.uri.fsPath;
      const save = writing.get(file);
      writing.delete(file);
      if (save && !silent.has(file) && counts(save, setting(Setting.onSave, document))) written.add(file);
      if (written.size > 0) wait();
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
    dispose() {
      clearTimeout(timer);
      vscode.Disposable.from(...subscriptions).dispose();
    },
  };
}
