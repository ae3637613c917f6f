// Code lens on functions: what lens_content.ts finds, for the functions that the parser's thread finds in unsaved
// text. Setting hotPatch.codeLens turns it off. Decides nothing.
import * as vscode from 'vscode';
import { languages, Setting } from '../contributions';
import { setting } from '../settings';
import type { Store } from '../state/store';
import type { Documents } from './documents';
import { lensesOf } from './lens_content';

export function showCodeLens(store: Store, documents: Documents): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  const provider: vscode.CodeLensProvider = {
    onDidChangeCodeLenses: changed.event,
    async provideCodeLenses(document, token) {
      const isMatched = store.state.matches.has(document.uri.fsPath);
      if (!isMatched || !setting(Setting.codeLens, document)) return [];
      const functions = (await documents.functions(document)) ?? [];
      if (token.isCancellationRequested) return [];
      return lensesOf(store.state, document.uri.fsPath, functions).map(
        (lens) =>
          new vscode.CodeLens(new vscode.Range(lens.line, 0, lens.line, 0), {
            title: lens.title,
            tooltip: lens.tooltip,
            command: lens.command,
            arguments: [...lens.parameters],
          }),
      );
    },
  };
  return vscode.Disposable.from(
    changed,
    vscode.languages.registerCodeLensProvider(
      languages.map((language) => ({ language, scheme: 'file' })),
      provider,
    ),
    store.subscribe((state, previous) => {
      // VS Code asks by itself when the text changes.
      const same = (['processes', 'selection', 'statuses', 'matches', 'checks', 'delivered'] as const).every(
        (part) => state[part] === previous[part],
      );
      if (!same) changed.fire();
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(Setting.codeLens)) changed.fire();
    }),
  );
}
