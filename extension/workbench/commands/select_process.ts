// Command hotPatch.selectProcess (palette, status bar): which of the running processes a save is for. The list
// appears at once and is busy while the system is looked through; those that cannot be patched say why.
import * as vscode from 'vscode';
import type { PatchableProcess } from '../../engine/model/result';
import { Command } from '../contributions';
import type { Session } from '../session/session';
import { processKey, type Selection } from '../state/state';

interface Item extends vscode.QuickPickItem {
  readonly selection?: Selection;
  readonly command?: Command;
}

const WHY_NOT: Record<Exclude<PatchableProcess['state'], 'ready'>, string> = {
  'no-runtime': 'has no runtime: start it with Hot Patch',
  'other-user': 'belongs to another user',
  rebuilt: 'was rebuilt since it started: restart it',
};

export async function selectProcess(session: Session): Promise<void> {
  session.store.dispatch({ type: 'lost-dismissed' });
  const picker = vscode.window.createQuickPick<Item>();
  picker.title = 'Processes that a save patches';
  picker.placeholder = 'Select a process';
  picker.matchOnDescription = true;
  picker.matchOnDetail = true;
  picker.busy = true;
  picker.items = itemsOf(session, matching(session));
  picker.show();
  void found(session).then((processes) => {
    picker.items = itemsOf(session, processes);
    picker.busy = false;
  });
  const chosen = await new Promise<Item | undefined>((resolve) => {
    picker.onDidAccept(() => resolve(picker.selectedItems[0]));
    picker.onDidHide(() => resolve(undefined));
  });
  picker.dispose();
  if (chosen?.selection) session.store.dispatch({ type: 'selection', selection: chosen.selection });
  if (chosen?.command) await vscode.commands.executeCommand(chosen.command);
}

function matching({ store }: Session): readonly PatchableProcess[] {
  const { activeFile, matches } = store.state;
  return activeFile === undefined ? [] : (matches.get(activeFile) ?? []);
}

/** Those with the runtime, and those that were built from the file in the editor. */
async function found(session: Session): Promise<PatchableProcess[]> {
  await session.processes.look();
  const { activeFile, processes = [] } = session.store.state;
  const ofFile = activeFile === undefined ? [] : await session.engine.processesOf(activeFile).catch(() => []);
  const others = ofFile.filter(
    (process) => !processes.some((known) => processKey(known) === processKey(process)),
  );
  return [...processes, ...others];
}

function itemsOf(session: Session, processes: readonly PatchableProcess[]): Item[] {
  const ready = processes.filter((process) => process.state === 'ready');
  const others = processes.filter((process) => process.state !== 'ready');
  const { selection } = session.store.state;
  const isChosen = (process: PatchableProcess) =>
    selection.kind === 'processes' && selection.keys.includes(processKey(process));
  const all: Item = {
    label: `${selection.kind === 'all' ? '$(check) ' : ''}All matching processes`,
    description: `${ready.length} running`,
    detail: 'Each save patches every process that was built from the file',
    selection: { kind: 'all' },
  };
  return [
    ...(ready.length > 0 ? [separator('With the runtime'), all] : []),
    ...ready.map((process) => ({
      ...itemOf(process, `${isChosen(process) ? '$(check) ' : ''}${process.name}`),
      selection: { kind: 'processes', keys: [processKey(process)] } as const,
    })),
    ...(others.length > 0 ? [separator('Cannot be patched')] : []),
    ...others.map((process) => ({
      ...itemOf(process, process.name),
      description: `pid ${process.pid}, ${process.state === 'ready' ? '' : WHY_NOT[process.state]}`,
      ...(process.state === 'no-runtime' ? { command: Command.startProgram } : {}),
    })),
    separator(''),
    { label: '$(play) Start Program with Hot Patch…', command: Command.startProgram, alwaysShow: true },
  ];
}

function itemOf(process: PatchableProcess, label: string): Item {
  return {
    label,
    description: `pid ${process.pid}, parent ${process.parentPid}`,
    detail: process.commandLine.join(' ') || process.exe,
  };
}

function separator(label: string): Item {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}
