// Command hotPatch.loadPatch: loads a hand-written patch (a shared object with `FIXTABLE fix_table`) into a process.
import * as vscode from 'vscode';
import type { PatchableProcess } from '../../engine/model/result';
import type { Session } from '../session/session';
import { targetProcesses } from '../state/queries';
import { tellFailure } from './tell';

export async function loadPatch(session: Session, file?: vscode.Uri, pid?: number): Promise<void> {
  const process = pid ?? (await chooseProcess(targetProcesses(session.store.state)))?.pid;
  if (process === undefined) return;
  const patch = file ?? (await choosePatch());
  if (patch) await tellFailure(await session.operations.load(process, patch.fsPath));
}

async function chooseProcess(processes: readonly PatchableProcess[]): Promise<PatchableProcess | undefined> {
  if (processes.length === 0) {
    void vscode.window.showInformationMessage('Hot Patch: no process has the runtime in it.');
  }
  if (processes.length <= 1) return processes[0];
  const items = processes.map((process) => ({
    label: process.name,
    description: `pid ${process.pid}`,
    detail: process.commandLine.join(' '),
    process,
  }));
  const chosen = await vscode.window.showQuickPick(items, { title: 'Process to load the patch into' });
  return chosen?.process;
}

async function choosePatch(): Promise<vscode.Uri | undefined> {
  const [chosen] =
    (await vscode.window.showOpenDialog({
      title: 'Hand-written patch (shared object with fix_table)',
      openLabel: 'Load',
      filters: { 'Shared objects': ['so'], 'All files': ['*'] },
    })) ?? [];
  return chosen;
}
