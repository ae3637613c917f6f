// Code lens on functions: what lens_content.ts finds, for the functions that the parser's thread finds in unsaved
// text. VS Code has those in sight resolved: of hundreds in a file, few are converted at a key press. Setting
// hotPatch.codeLens turns it off. Decides nothing.
import * as vscode from 'vscode';
import { languages, Setting } from '../contributions';
import { setting } from '../settings';
import { isChanged, type Store } from '../state/store';
import type { Documents } from '../documents/documents';
import type { Lens } from './lens';
import { lensesOf } from './lens_content';

const LENS_PARTS = [
  'processes',
  'unprepared',
  'selection',
  'statuses',
  'matches',
  'checks',
  'delivered',
  'ahead',
  'held',
  'heldLines',
  'history',
] as const;

/** An editor that loses the focus within 250 ms of what it was told forgets it, also that it was opened: it is told
 * again, each time after twice as long. One that shows no lenses (`editor.codeLens`, a comparison) never asks: it is told
 * nothing more until something changes. */
const FORGOTTEN_MS = 2000;
const GIVEN_UP_MS = 60_000;

const NO_LENSES = JSON.stringify([]);

class ContentLens extends vscode.CodeLens {
  constructor(readonly content: Lens) {
    super(new vscode.Range(content.line, 0, content.line, 0));
  }
}

export function showCodeLens(store: Store, documents: Documents): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  /** What was given last for each document. */
  const given = new WeakMap<vscode.TextDocument, string>();
  /** Documents that VS Code was told about and has not asked for yet. It asks 250 ms after the last event and shows the
   * answer after as long again: of the steps of a save, each would postpone what the one before it brought. */
  const announced = new Map<vscode.TextDocument, NodeJS.Timeout>();
  const isWanted = (document: vscode.TextDocument): boolean =>
    store.state.matches.has(document.uri.fsPath) && setting(Setting.codeLens, document);
  const isStale = (document: vscode.TextDocument): boolean => {
    const last = given.get(document);
    const functions = isWanted(document) ? documents.latest(document) : [];
    // What was not parsed yet is not known to be the same.
    return (
      !functions ||
      (last ?? NO_LENSES) !== JSON.stringify(lensesOf(store.state, document.uri.fsPath, functions))
    );
  };
  /** @param wait milliseconds until those that have not asked are told again */
  const announce = (wait = FORGOTTEN_MS): void => {
    const stale = vscode.window.visibleTextEditors
      .map(({ document }) => document)
      .filter((document) => !announced.has(document) && isStale(document));
    if (stale.length === 0) return;
    for (const document of stale) {
      const again = setTimeout(() => {
        announced.delete(document);
        if (wait < GIVEN_UP_MS) announce(2 * wait);
      }, wait);
      announced.set(document, again);
    }
    changed.fire();
  };
  const provider: vscode.CodeLensProvider<ContentLens> = {
    onDidChangeCodeLenses: changed.event,
    async provideCodeLenses(document, token) {
      const functions = isWanted(document) ? await documents.functions(document) : [];
      if (token.isCancellationRequested) return [];
      clearTimeout(announced.get(document));
      announced.delete(document);
      const content = lensesOf(store.state, document.uri.fsPath, functions ?? []);
      given.set(document, JSON.stringify(content));
      return content.map((lens) => new ContentLens(lens));
    },
    resolveCodeLens(codeLens) {
      const { title, tooltip, command, parameters } = codeLens.content;
      codeLens.command = { title, tooltip, command, arguments: [...parameters] };
      return codeLens;
    },
  };
  return vscode.Disposable.from(
    changed,
    { dispose: () => announced.forEach((again) => clearTimeout(again)) },
    vscode.languages.registerCodeLensProvider(
      languages.map((language) => ({ language, scheme: 'file' })),
      provider,
    ),
    store.subscribe((state, previous) => {
      if (isChanged(state, previous, LENS_PARTS) || state.operation?.live !== previous.operation?.live)
        announce();
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(Setting.codeLens)) changed.fire();
    }),
  );
}
