// Problems whose file was written since, not by a save: a branch was switched, a header restored. They speak of a text
// that is gone, so they go; what the file is now, a check says.
import { stat } from 'node:fs/promises';
import * as vscode from 'vscode';
import { filesOf } from '../state/queries';
import type { Store } from '../state/store';

/** @param changed is told of the files of reports that went */
export function dropStaleReports(
  store: Store,
  changed: (files: readonly string[]) => void,
): vscode.Disposable {
  const watcher = vscode.workspace.createFileSystemWatcher('**/*', false, false, true);

  async function look(file: string): Promise<void> {
    const before = store.state.reports;
    const at = await stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => undefined,
    );
    if (at === undefined) return;
    store.dispatch({ type: 'source-changed', file, at });
    const gone = before.filter((report) => !store.state.reports.includes(report));
    if (gone.length > 0) changed(gone.flatMap(({ files }) => files));
  }

  const written = ({ fsPath }: vscode.Uri) => {
    if (store.state.reports.some((report) => filesOf(report).includes(fsPath))) void look(fsPath);
  };
  return vscode.Disposable.from(
    watcher,
    watcher.onDidChange(written),
    watcher.onDidCreate(written),
    store.subscribe((state, previous) => {
      // One that was written while it was compiled.
      const fresh = state.reports.filter((report) => !previous.reports.includes(report));
      for (const file of new Set(fresh.flatMap(filesOf))) void look(file);
    }),
  );
}
