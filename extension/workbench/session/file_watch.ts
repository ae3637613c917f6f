// For the files in sight: which processes were built from them, and, in the background and once for each file and
// process, whether their compile command reproduces the running code (setting hotPatch.checkOnOpen). So that the
// status bar and the lens know before the first save.
import * as vscode from 'vscode';
import { Setting } from '../contributions';
import type { AsyncEngine } from '../engine_thread/client';
import { setting } from '../settings';
import { targetsOf } from '../state/queries';
import { processKey } from '../state/state';
import type { Store } from '../state/store';
import { isSource } from '../documents/source_files';
import { textOfFile } from '../documents/text_of_file';
import { compareFiles } from './comparisons';

/** Milliseconds until what could not be looked up or compared is tried again; twice as long each time. */
const PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

export interface FileWatch extends vscode.Disposable {
  /** Checks a file again, whatever the setting. */
  check(file: string): Promise<void>;
  /** These files were written: those of which nothing newer is known are checked again, as the setting says. */
  checkAgain(files: readonly string[]): void;
  /** Processes that are not watched started or ended: one of them may be what the file in the editor waits for. */
  othersChanged(): void;
  /** Compile commands may have changed: everything is looked up again. */
  forget(): void;
}

export function watchFiles(
  engine: () => AsyncEngine,
  store: Store,
  log: (message: string) => void,
): FileWatch {
  /** What a file was checked against: the same processes need no second check. */
  const checked = new Map<string, string>();
  let round = 0;
  let later: NodeJS.Timeout | undefined;
  let pause = PAUSE_MS;
  const comparisons = compareFiles(engine, store, textOfFile, log, (file) => {
    checked.delete(file);
    lookUpLater();
  });

  async function lookUp(): Promise<void> {
    const current = ++round;
    const active = vscode.window.activeTextEditor?.document;
    const documents = vscode.window.visibleTextEditors.map((editor) => editor.document).filter(isSource);
    const files = [...new Set(documents.map((document) => document.uri.fsPath))];
    const open = vscode.workspace.textDocuments.map((document) => document.uri.fsPath);
    store.dispatch({ type: 'open-files', files: open });
    store.dispatch({ type: 'active-file', file: active && isSource(active) ? active.uri.fsPath : undefined });
    let hasFailed = false;
    for (const file of files) {
      try {
        const processes = await engine().processesOf(file);
        if (current !== round) return;
        if (JSON.stringify(processes) !== JSON.stringify(store.state.matches.get(file))) {
          store.dispatch({ type: 'matches', file, processes });
        }
        if (setting(Setting.checkOnOpen, vscode.Uri.file(file)) && targetsOf(store.state, file).length > 0) {
          void checkOnce(file);
        }
      } catch (error) {
        hasFailed = true;
        log(`processes of ${file}: ${String(error)}`);
      }
    }
    if (hasFailed && current === round) lookUpLater();
  }

  /** What failed is asked for again, as nothing else may ever happen that has it asked for. */
  function lookUpLater(): void {
    clearTimeout(later);
    later = setTimeout(() => void lookUp(), pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }

  function lookUpNow(): void {
    clearTimeout(later);
    pause = PAUSE_MS;
    void lookUp();
  }

  function checkOnce(file: string): Promise<void> {
    const against = targetsOf(store.state, file).map(processKey).join(' ');
    // Of processes that were not found for a moment everything is forgotten.
    const isKnown = store.state.checks.has(file) || comparisons.isWaiting(file);
    if (checked.get(file) === against && isKnown) return Promise.resolve();
    checked.set(file, against);
    return comparisons.check(file);
  }

  const subscriptions = [
    vscode.window.onDidChangeVisibleTextEditors(() => lookUpNow()),
    vscode.window.onDidChangeActiveTextEditor(() => lookUpNow()),
    store.subscribe((state, previous) => {
      if (state.processes !== previous.processes || state.unprepared !== previous.unprepared) lookUpNow();
    }),
  ];
  return {
    check: (file) => comparisons.check(file),
    checkAgain(files) {
      const { checks, reports } = store.state;
      for (const file of files) {
        const known = checks.get(file);
        const isKnown =
          reports.some((report) => report.files.includes(file)) ||
          (known?.kind === 'done' && known.report.verdict === 'ready' && known.text === openText(file));
        if (isKnown || !setting(Setting.checkOnOpen, vscode.Uri.file(file))) continue;
        if (targetsOf(store.state, file).length > 0) void comparisons.check(file);
      }
    },
    othersChanged() {
      const { activeFile } = store.state;
      if (activeFile !== undefined && targetsOf(store.state, activeFile).length === 0) lookUpNow();
    },
    forget() {
      checked.clear();
      lookUpNow();
    },
    dispose: () => {
      clearTimeout(later);
      vscode.Disposable.from(...subscriptions).dispose();
    },
  };
}

function openText(file: string): string | undefined {
  return vscode.workspace.textDocuments.find(({ uri }) => uri.fsPath === file)?.getText();
}
