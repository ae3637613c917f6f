// For the files in sight: which processes were built from them, and, in the background and once for each file and
// process, whether their compile command reproduces the running code (setting hotPatch.checkOnOpen). So that the
// status bar and the lens know before the first save.
import { readFile } from 'node:fs/promises';
import * as vscode from 'vscode';
import { Setting } from '../contributions';
import type { AsyncEngine } from '../engine_thread/client';
import { setting } from '../settings';
import { targetProcesses, targetsOf } from '../state/queries';
import { processKey } from '../state/state';
import type { Store } from '../state/store';
import { isSource } from '../documents/source_files';

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
  let checking: Promise<void> = Promise.resolve();
  let round = 0;

  async function lookUp(): Promise<void> {
    const current = ++round;
    const active = vscode.window.activeTextEditor?.document;
    const documents = vscode.window.visibleTextEditors.map((editor) => editor.document).filter(isSource);
    const files = [...new Set(documents.map((document) => document.uri.fsPath))];
    const open = vscode.workspace.textDocuments.map((document) => document.uri.fsPath);
    store.dispatch({ type: 'open-files', files: open });
    store.dispatch({ type: 'active-file', file: active && isSource(active) ? active.uri.fsPath : undefined });
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
        log(`processes of ${file}: ${String(error)}`);
      }
    }
  }

  function checkOnce(file: string): Promise<void> {
    const against = targetsOf(store.state, file).map(processKey).join(' ');
    if (checked.get(file) === against) return Promise.resolve();
    checked.set(file, against);
    return check(file);
  }

  /** Processes that a save of the file would be for. One that is not in sight does not follow those that start. */
  async function targetPids(file: string): Promise<number[]> {
    const built = await engine().processesOf(file);
    const targets = new Set(targetProcesses(store.state).map(({ pid }) => pid));
    return built.filter(({ pid, state }) => state === 'ready' && targets.has(pid)).map(({ pid }) => pid);
  }

  /** One compiler at a time: this is background work. */
  function check(file: string): Promise<void> {
    checking = checking.then(async () => {
      store.dispatch({ type: 'check-started', file });
      try {
        const pids = await targetPids(file);
        const at = Date.now();
        const text = await readFile(file, 'utf8');
        const [report] = await engine().check([file], { kind: 'pid', pids });
        if (report) store.dispatch({ type: 'check-finished', file, report, text, at });
        if (report) log(`check of ${file}: ${report.verdict}. ${report.message}`);
      } catch (error) {
        checked.delete(file);
        log(`check of ${file}: ${String(error)}`);
      }
    });
    return checking;
  }

  const subscriptions = [
    vscode.window.onDidChangeVisibleTextEditors(() => void lookUp()),
    vscode.window.onDidChangeActiveTextEditor(() => void lookUp()),
    store.subscribe((state, previous) => {
      if (state.processes !== previous.processes || state.unprepared !== previous.unprepared) void lookUp();
    }),
  ];
  return {
    check: (file) => check(file),
    checkAgain(files) {
      const { checks, reports } = store.state;
      for (const file of files) {
        const known = checks.get(file);
        const isKnown =
          reports.some((report) => report.files.includes(file)) ||
          (known?.kind === 'done' && known.report.verdict === 'ready' && known.text === openText(file));
        if (isKnown || !setting(Setting.checkOnOpen, vscode.Uri.file(file))) continue;
        if (targetsOf(store.state, file).length > 0) void check(file);
      }
    },
    othersChanged() {
      const { activeFile } = store.state;
      if (activeFile !== undefined && targetsOf(store.state, activeFile).length === 0) void lookUp();
    },
    forget() {
      checked.clear();
      void lookUp();
    },
    dispose: () => void vscode.Disposable.from(...subscriptions).dispose(),
  };
}

function openText(file: string): string | undefined {
  return vscode.workspace.textDocuments.find(({ uri }) => uri.fsPath === file)?.getText();
}
