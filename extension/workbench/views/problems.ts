// Diagnostic collection `hotPatch`: what problem_items.ts finds. The code of a refusal links to its section of
// TROUBLESHOOTING.md (commands/show.ts). Decides nothing.
import * as vscode from 'vscode';
import { Command } from '../contributions';
import type { Store } from '../state/store';
import { problemItems, type ProblemItem } from './problem_items';

const SEVERITIES: Record<ProblemItem['severity'], vscode.DiagnosticSeverity> = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  information: vscode.DiagnosticSeverity.Information,
};

export function showProblems(store: Store): vscode.Disposable {
  const collection = vscode.languages.createDiagnosticCollection('hotPatch');
  return vscode.Disposable.from(
    collection,
    store.subscribe((state, previous) => {
      if (state.reports === previous.reports && state.ahead === previous.ahead) return;
      const byFile = new Map<string, ProblemItem[]>();
      for (const item of problemItems(state)) {
        byFile.set(item.file, [...(byFile.get(item.file) ?? []), item]);
      }
      collection.set([
        ...[...fileNames(collection)].map((file): [vscode.Uri, undefined] => [
          vscode.Uri.file(file),
          undefined,
        ]),
        ...[...byFile].map(([file, items]): [vscode.Uri, vscode.Diagnostic[]] => [
          vscode.Uri.file(file),
          items.map(diagnosticOf),
        ]),
      ]);
    }),
  );
}

function fileNames(collection: vscode.DiagnosticCollection): string[] {
  return [...collection].map(([uri]) => uri.fsPath);
}

function diagnosticOf(item: ProblemItem): vscode.Diagnostic {
  const diagnostic = new vscode.Diagnostic(rangeOf(item), item.message, SEVERITIES[item.severity]);
  diagnostic.source = 'Hot Patch';
  if (item.code) diagnostic.code = 'ours' in item.code ? linked(item.code.ours) : item.code.option;
  diagnostic.relatedInformation = item.notes.map(
    (note) =>
      new vscode.DiagnosticRelatedInformation(
        new vscode.Location(vscode.Uri.file(note.file), rangeOf(note)),
        note.message,
      ),
  );
  return diagnostic;
}

function linked(code: string): { value: string; target: vscode.Uri } {
  const parameters = encodeURIComponent(JSON.stringify([code]));
  return { value: code, target: vscode.Uri.parse(`command:${Command.troubleshoot}?${parameters}`) };
}

/** Without an end: the word at the place, where the document is open to be asked, else its line's rest. */
function rangeOf({ file, start, end }: Pick<ProblemItem, 'file' | 'start' | 'end'>): vscode.Range {
  const from = new vscode.Position(start.line, start.column);
  if (end) return new vscode.Range(from, new vscode.Position(end.line, end.column));
  const document = vscode.workspace.textDocuments.find((open) => open.uri.fsPath === file);
  if (!document || start.line >= document.lineCount) return new vscode.Range(from, from.translate(0, 1));
  const line = document.lineAt(start.line);
  if (start.column === 0)
    return new vscode.Range(
      line.lineNumber,
      line.firstNonWhitespaceCharacterIndex,
      line.lineNumber,
      line.text.length,
    );
  return document.getWordRangeAtPosition(from) ?? new vscode.Range(from, line.range.end);
}
