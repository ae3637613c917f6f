// Quick Fixes (Ctrl+.) in a function in which a thread is held after a crash: the ways on, as held_lenses.ts finds them.
// Decides nothing.
import * as vscode from 'vscode';
import { languages } from '../contributions';
import type { Documents } from '../documents/documents';
import type { Store } from '../state/store';
import { heldLenses } from './held_lenses';

export function provideWaysOn(store: Store, documents: Documents): vscode.Disposable {
  const provider: vscode.CodeActionProvider = {
    provideCodeActions(document, range) {
      if (store.state.held.length === 0) return [];
      const functions = documents.latest(document) ?? [];
      return heldLenses(store.state, document.uri.fsPath)
        .filter(({ line }) => {
          const source = functions.find(({ startLine, endLine }) => startLine <= line && line <= endLine);
          const { startLine: first, endLine: last } = source ?? { startLine: line, endLine: line };
          return range.end.line >= first && range.start.line <= last;
        })
        .map(({ title: text, tooltip, command, parameters }) => {
          // An icon is a lens's.
          const title = text.replace(/^\$\([\w-]+\)\s*/, '');
          const action = new vscode.CodeAction(title, vscode.CodeActionKind.QuickFix);
          action.command = { title, tooltip, command, arguments: [...parameters] };
          return action;
        });
    },
  };
  return vscode.languages.registerCodeActionsProvider(
    languages.map((language) => ({ language, scheme: 'file' })),
    provider,
    { providedCodeActionKinds: [vscode.CodeActionKind.QuickFix] },
  );
}
