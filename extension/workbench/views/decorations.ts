// Marks in the margin of visible editors: functions that are patched, and functions whose running version differs
// from the text (function_marks.ts). Setting hotPatch.decorations turns them off. Decides nothing.
import * as vscode from 'vscode';
import { Setting } from '../contributions';
import { setting } from '../settings';
import { isChanged, type Store } from '../state/store';
import type { Documents } from '../documents/documents';
import { isSource } from '../documents/source_files';
import { marksOf, type FunctionMark } from './function_marks';

export function showDecorations(
  store: Store,
  documents: Documents,
  extensionUri: vscode.Uri,
): vscode.Disposable {
  const icon = (name: string) => vscode.Uri.joinPath(extensionUri, 'media', name);
  const typeOf = (kind: FunctionMark['kind'], color: string) =>
    vscode.window.createTextEditorDecorationType({
      light: { gutterIconPath: icon(`gutter-${kind}.svg`) },
      dark: { gutterIconPath: icon(`gutter-${kind}-dark.svg`) },
      gutterIconSize: 'contain',
      overviewRulerColor: new vscode.ThemeColor(color),
      overviewRulerLane: vscode.OverviewRulerLane.Left,
    });
  const types: Record<FunctionMark['kind'], vscode.TextEditorDecorationType> = {
    live: typeOf('live', 'charts.green'),
    differs: typeOf('differs', 'charts.yellow'),
  };

  const render = (editor: vscode.TextEditor) => {
    const { document } = editor;
    const wanted = isSource(document) && store.state.matches.has(document.uri.fsPath);
    if (wanted && documents.latest(document) === undefined) void documents.functions(document);
    const marks =
      wanted && setting(Setting.decorations, document)
        ? marksOf(
            store.state,
            document.uri.fsPath,
            documents.latest(document) ?? [],
            (file, text) => documents.ofText(file, text),
            document.isDirty,
          )
        : [];
    for (const kind of ['live', 'differs'] as const) {
      editor.setDecorations(
        types[kind],
        marks
          .filter((mark) => mark.kind === kind && mark.line < document.lineCount)
          .map(({ line, message }) => ({
            range: document.lineAt(line).range,
            hoverMessage: `Hot Patch: ${message}`,
          })),
      );
    }
  };
  const renderAll = () => vscode.window.visibleTextEditors.forEach(render);
  renderAll();
  return vscode.Disposable.from(
    ...Object.values(types),
    store.subscribe((state, previous) => {
      if (
        isChanged(state, previous, [
          ...(['processes', 'selection', 'statuses', 'matches', 'checks', 'delivered'] as const),
        ]) ||
        state.operation?.live !== previous.operation?.live
      )
        renderAll();
    }),
    documents.onDidParse(renderAll),
    vscode.window.onDidChangeVisibleTextEditors(renderAll),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(Setting.decorations)) renderAll();
    }),
  );
}
