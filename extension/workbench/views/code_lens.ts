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

/** An editor that loses the focus, or is told of another provider, forgets that it was told of lenses, or throws away what it
 * asked for, be it the lenses or what they are resolved to: it is told again, each time after twice as long, until it has
 * resolved the same lenses twice. One that shows no lenses (`editor.codeLens`, a comparison) never does: it is told nothing
 * more until something changes. */
const FORGOTTEN_MS = 2000;
const GIVEN_UP_MS = 60_000;

const NO_LENSES = JSON.stringify([]);

/** What VS Code was given for a document when it asked. */
interface Answer {
  readonly text: string;
  readonly lines: readonly number[];
  /** How many times in a row VS Code asked and was given just this. */
  readonly times: number;
  /** Whether it went on to have some of it resolved, which it does with what it is about to draw. */
  isResolved: boolean;
}
const ENOUGH_TIMES = 2;

/** A document that VS Code was told about. */
interface Told {
  readonly again: NodeJS.Timeout;
  hasAsked: boolean;
}

class ContentLens extends vscode.CodeLens {
  constructor(
    readonly content: Lens,
    readonly answer: Answer,
  ) {
    super(new vscode.Range(content.line, 0, content.line, 0));
  }
}

export function showCodeLens(store: Store, documents: Documents): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  /** What was given last for each document. */
  const given = new WeakMap<vscode.TextDocument, Answer>();
  /** Documents whose lenses are not known to be drawn yet. VS Code asks 250 ms after the last event and shows the answer after
   * as long again: of the steps of a save, each would postpone what the one before it brought, so it is told no more until
   * it has asked. */
  const told = new Map<vscode.TextDocument, Told>();
  const isWanted = (document: vscode.TextDocument): boolean =>
    store.state.matches.has(document.uri.fsPath) && setting(Setting.codeLens, document);
  const isStale = (document: vscode.TextDocument): boolean => {
    const last = given.get(document)?.text ?? NO_LENSES;
    const functions = isWanted(document) ? documents.latest(document) : [];
    // What was not parsed yet is not known to be the same.
    return !functions || last !== JSON.stringify(lensesOf(store.state, document.uri.fsPath, functions));
  };
  const isMissing = ({ document, visibleRanges }: vscode.TextEditor): boolean => {
    const answer = given.get(document);
    if (!answer || isShown(answer)) return false;
    const isInSight = (line: number) =>
      visibleRanges.some(({ start, end }) => start.line <= line && line <= end.line);
    return answer.lines.length === 0 || answer.lines.some(isInSight);
  };
  const isShown = ({ isResolved, times, lines }: Answer): boolean =>
    times >= ENOUGH_TIMES && (isResolved || lines.length === 0);
  const forget = (document: vscode.TextDocument): void => {
    clearTimeout(told.get(document)?.again);
    told.delete(document);
  };
  /** @param wait milliseconds until VS Code is told again */
  const expect = (document: vscode.TextDocument, hasAsked: boolean, wait: number): void => {
    forget(document);
    const again = setTimeout(() => {
      told.delete(document);
      if (wait < GIVEN_UP_MS) announce((editor) => isStale(editor.document) || isMissing(editor), 2 * wait);
    }, wait);
    told.set(document, { again, hasAsked });
  };
  const announce = (
    isDue: (editor: vscode.TextEditor) => boolean = ({ document }) => isStale(document),
    wait = FORGOTTEN_MS,
  ): void => {
    const due = vscode.window.visibleTextEditors.filter((editor) => {
      const isExpected = told.get(editor.document)?.hasAsked === false;
      return !isExpected && isDue(editor);
    });
    if (due.length === 0) return;
    for (const { document } of due) expect(document, false, wait);
    changed.fire();
  };
  const provider: vscode.CodeLensProvider<ContentLens> = {
    onDidChangeCodeLenses: changed.event,
    async provideCodeLenses(document, token) {
      const functions = isWanted(document) ? await documents.functions(document) : [];
      if (token.isCancellationRequested) return [];
      const content = lensesOf(store.state, document.uri.fsPath, functions ?? []);
      const text = JSON.stringify(content);
      const last = given.get(document);
      const times = last?.text === text && (last.isResolved || content.length === 0) ? last.times + 1 : 1;
      const answer: Answer = { text, lines: content.map(({ line }) => line), times, isResolved: false };
      given.set(document, answer);
      const before = told.get(document);
      if (isShown(answer)) forget(document);
      else if (before) before.hasAsked = true;
      else expect(document, true, FORGOTTEN_MS);
      return content.map((lens) => new ContentLens(lens, answer));
    },
    resolveCodeLens(codeLens, token) {
      const { content, answer } = codeLens;
      const document = vscode.window.visibleTextEditors.find(
        (editor) => given.get(editor.document) === answer,
      )?.document;
      if (document && !token.isCancellationRequested) {
        answer.isResolved = true;
        if (isShown(answer)) forget(document);
      }
      const { title, tooltip, command, parameters } = content;
      codeLens.command = { title, tooltip, command, arguments: [...parameters] };
      return codeLens;
    },
  };
  return vscode.Disposable.from(
    changed,
    { dispose: () => [...told.keys()].forEach(forget) },
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
