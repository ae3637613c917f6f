// What somebody types is compiled when they pause, so that the save has only to deliver it (setting hotPatch.compileAhead):
// the engine does the work, and this says when. Never beside an operation, and on battery only when that is wished.
import { readdir, readFile } from 'node:fs/promises';
import * as vscode from 'vscode';
import { Setting } from '../contributions';
import type { AsyncEngine } from '../engine_thread/client';
import { setting } from '../settings';
import { targetsOf } from '../state/queries';
import type { Store } from '../state/store';
import { isSource } from '../documents/source_files';

/** Milliseconds after the last key. */
const PAUSE = 250;

/** @param log is told why a save will not be live at once */
export function compileAhead(
  engine: () => AsyncEngine,
  store: Store,
  log: (message: string) => void,
): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;

  const later = (document: vscode.TextDocument): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void look(document), PAUSE);
  };

  const look = async (document: vscode.TextDocument): Promise<void> => {
    const file = document.uri.fsPath;
    const pids = targetsOf(store.state, file).map(({ pid }) => pid);
    if (document.isClosed || !document.isDirty || pids.length === 0) return;
    if (store.state.operation) return later(document);
    const { version } = document;
    const wish = setting(Setting.compileAhead, document);
    if (wish === 'never' || (wish === 'onMains' && (await isOnBattery()))) return;
    if (setting(Setting.firstLight) !== 'on' || setting(Setting.onSave, document) === 'never') return;
    if (document.version !== version) return;
    const text = document.getText();
    try {
      const report = await engine().ahead({ file, text, target: { kind: 'pid', pids } });
      // A newer text, or the save, stopped it.
      if (document.version !== version || !document.isDirty) return;
      if (report.outcome === 'ready' || report.outcome === 'refused')
        store.dispatch({ type: 'compiled-ahead', file, report });
      else if (report.reason !== undefined) log(`${file} is not compiled ahead: ${report.reason}`);
    } catch (error) {
      log(`${file} is not compiled ahead: ${String(error)}`);
    }
  };

  return vscode.Disposable.from(
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (!isSource(document) || contentChanges.length === 0) return;
      const file = document.uri.fsPath;
      if (store.state.ahead.has(file)) store.dispatch({ type: 'compiled-ahead', file, report: undefined });
      later(document);
    }),
    { dispose: () => clearTimeout(timer) },
  );
}

const SUPPLIES = '/sys/class/power_supply';

/** Is there a power supply, and does none give power but batteries (Documentation/ABI/testing/sysfs-class-power)? */
async function isOnBattery(): Promise<boolean> {
  const read = async (name: string, value: string): Promise<string> =>
    (await readFile(`${SUPPLIES}/${name}/${value}`, 'utf8').catch(() => '')).trim();
  const names = await readdir(SUPPLIES).catch(() => []);
  const online = await Promise.all(
    names.map(
      async (name) => (await read(name, 'type')) !== 'Battery' && (await read(name, 'online')) === '1',
    ),
  );
  const discharging = await Promise.all(
    names.map(async (name) => (await read(name, 'status')) === 'Discharging'),
  );
  return discharging.includes(true) && !online.includes(true);
}
