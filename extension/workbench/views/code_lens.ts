// Code lens on functions: what lens_content.ts finds, for the functions that the parser's thread finds in unsaved
// text. VS Code has those in sight resolved: of hundreds in a file, few are converted at a key press. Setting
// hotPatch.codeLens turns it off. Decides nothing.
import * as vscode from 'vscode';
import { languages, Setting } from '../contributions';
import { setting } from '../settings';
import { isChanged, type Store } from '../state/store';
import type { Documents } from '../documents/documents';
import { lensesOf, type Lens } from './lens_content';

class ContentLens extends vscode.CodeLens {
  constructor(readonly content: Lens) {
    super(new vscode.Range(content.line, 0, content.line, 0));
  }
}

export function showCodeLens(store: Store, documents: Documents): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  const provider: vscode.CodeLensProvider<ContentLens> = {
    onDidChangeCodeLenses: changed.event,
    async provideCodeLenses(document, token) {
      const isMatched = store.state.matches.has(document.uri.fsPath);
      if (!isMatched || !setting(Setting.codeLens, document)) return [];
      const functions = (await documents.functions(document)) ?? [];
      if (token.isCancellationRequested) return [];
      return lensesOf(store.state, document.uri.fsPath, functions).map((lens) => new ContentLens(lens));
    },
    resolveCodeLens(codeLens) {
      const { title, tooltip, command, parameters } = codeLens.content;
      codeLens.command = { title, tooltip, command, arguments: [...parameters] };
      return codeLens;
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
      if (
        isChanged(state, previous, [
          ...([
            'processes',
            'unprepared',
            'selection',
            'statuses',
            'matches',
            'checks',
            'delivered',
            'ahead',
          ] as const),
        ])
      )
        changed.fire();
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(Setting.codeLens)) changed.fire();
    }),
  );
}
