// Command hotPatch.selectProcess (palette, status bar): which of the running processes a save is for. The list
// appears at once and is busy while the system is looked through. One without the runtime is attached to when it is
// chosen; those that cannot be patched say why.
import * as vscode from 'vscode';
import type { PatchableProcess } from '../../engine/model/result';
import { Command } from '../contributions';
import type { Session } from '../session/session';
import { processKey, type Selection, type UnpreparedProcess } from '../state/state';
import { distinctionOf } from '../views/process_text';
import { attachTo } from './attach';
import { showProblem } from './tell';

interface Item extends vscode.QuickPickItem {
  readonly selection?: Selection;
  readonly unprepared?: UnpreparedProcess;
  readonly command?: Command;
}

const WHY_NOT: Partial<Record<PatchableProcess['state'], string>> = {
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
  const { unprepared } = chosen ?? {};
  if (unprepared?.obstacle) await showProblem(unprepared.obstacle.code, unprepared.obstacle.message);
  else if (unprepared) await attachTo(session, [unprepared.pid]);
  if (chosen?.command) await vscode.commands.executeCommand(chosen.command);
}

function matching({ store }: Session): readonly PatchableProcess[] {
  const { activeFile, matches } = store.state;
  return activeFile === undefined ? [] : (matches.get(activeFile) ?? []);
}

/** Those with the runtime, and those that were built from the file in the editor and cannot be patched. */
async function found(session: Session): Promise<PatchableProcess[]> {
  await session.processes.look();
  const { activeFile, processes = [] } = session.store.state;
  const ofFile = activeFile === undefined ? [] : await session.engine.processesOf(activeFile).catch(() => []);
  const others = ofFile.filter(
    (process) =>
      process.state !== 'no-runtime' && !processes.some((known) => processKey(known) === processKey(process)),
  );
  return [...processes, ...others];
}

function itemsOf(session: Session, processes: readonly PatchableProcess[]): Item[] {
  const ready = processes.filter((process) => process.state === 'ready');
  const others = processes.filter(({ state }) => WHY_NOT[state] !== undefined);
  const { selection, unprepared } = session.store.state;
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
      ...itemOf(session, process, `${isChosen(process) ? '$(check) ' : ''}${process.name}`),
      selection: { kind: 'processes', keys: [processKey(process)] } as const,
    })),
    ...(unprepared.length > 0 ? [separator('Not attached')] : []),
    ...unprepared.map((process) => unpreparedItem(session, process)),
    ...(others.length > 0 ? [separator('Cannot be patched')] : []),
    ...others.map((process) => ({
      ...itemOf(session, process, process.name),
      description: `pid ${process.pid}, ${WHY_NOT[process.state]}`,
    })),
    separator(''),
    { label: '$(play) Start Program with Hot Patch…', command: Command.startProgram, alwaysShow: true },
  ];
}

function unpreparedItem(session: Session, process: UnpreparedProcess): Item {
  const { name, pid, obstacle } = process;
  return {
    ...itemOf(session, process, `$(${obstacle ? 'circle-slash' : 'plug'}) ${name}`),
    description: `pid ${pid}, ${obstacle ? 'cannot be attached to' : 'attach'}`,
    ...(obstacle ? { detail: obstacle.message } : {}),
    unprepared: process,
  };
}

function itemOf({ store }: Session, process: PatchableProcess, label: string): Item {
  const { pid, parentPid } = process;
  return {
    label,
    description: [distinctionOf(store.state, process), `pid ${pid}`, `parent ${parentPid}`]
      .filter(Boolean)
      .join(', '),
    detail: process.commandLine.join(' ') || process.exe,
  };
}

function separator(label: string): Item {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}
