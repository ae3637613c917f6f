// Command hotPatch.startProgram (palette, welcome view, tooltip) and task type `hotPatch`: runs a program in a
// terminal with the runtime preloaded, without any change to the program. One that runs there already is shown.
import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { split } from 'shlex';
import * as vscode from 'vscode';
import { taskType } from '../contributions';
import { builtPrograms } from '../session/built_programs';
import type { Session } from '../session/session';
import { terminalOf } from '../session/terminal_of';
import { restart } from './restart_program';

interface ProgramTask extends vscode.TaskDefinition {
  readonly type: typeof taskType;
  readonly program: string;
  readonly args?: readonly string[];
  readonly cwd?: string;
  /** Tells runs of a program apart: VS Code runs each task once at a time. */
  readonly instance?: number;
}

interface Item extends vscode.QuickPickItem {
  readonly program?: string;
}

const RECENT = 'programs.recent';
/** Milliseconds for which a terminal is waited for that is to be shown. */
const PATIENCE_MS = 15_000;
const editArguments: vscode.QuickInputButton = {
  iconPath: new vscode.ThemeIcon('edit'),
  tooltip: 'Edit the arguments, then start',
};

export async function startProgram(session: Session): Promise<void> {
  const chosen = await chooseProgram(session);
  if (!chosen) return;
  const { program, args } = chosen;
  await session.context.workspaceState.update(
    RECENT,
    [{ program, args }, ...recentPrograms(session).filter((recent) => recent.program !== program)].slice(
      0,
      10,
    ),
  );
  const definition: ProgramTask = { type: taskType, program, args };
  const running = await runningTask(session, program, args);
  if (!running) return start(session, definition);
  const { pid, terminal } = running;
  const launch = session.launches.all().find((one) => one.pid === pid);
  const where = terminal ? `, in the terminal "${terminal.name}"` : '';
  const answer = await vscode.window.showInformationMessage(
    `Hot Patch: ${basename(program)} (${pid}) runs already${where}.`,
    'Show Terminal',
    ...(launch ? ['Restart'] : []),
    'Start Another',
  );
  if (answer === 'Show Terminal') await showTerminal(program, pid);
  if (answer === 'Restart' && launch) await restart(session, launch);
  if (answer === 'Start Another') await start(session, { ...definition, instance: Date.now() });
}

async function start(session: Session, definition: ProgramTask): Promise<void> {
  await vscode.tasks.executeTask(await taskOf(session, definition, vscode.TaskScope.Workspace));
  await session.processes.look();
}

/** The same task that runs already, maybe since before a reload: VS Code reconnects a window to its tasks, and starts none
 * for which that is so. It does so seconds after the window is there, so the processes are asked.
 * @returns `terminal`: undefined when the window has it not yet */
async function runningTask(
  { engine, launches }: Session,
  program: string,
  args: readonly string[],
): Promise<{ pid: number; terminal: vscode.Terminal | undefined } | undefined> {
  const exe = await realpath(program).catch(() => program);
  const alike = (await engine.processes()).filter(
    (process) => process.exe === exe && isDeepStrictEqual(process.commandLine.slice(1), args),
  );
  for (const { pid, parentPid } of alike) {
    const terminal = await terminalOf(pid);
    if (terminal || (await launches.isOfTerminals(parentPid))) return { pid, terminal };
  }
  return undefined;
}

async function showTerminal(program: string, pid: number): Promise<void> {
  const terminal = await terminalOf(pid, PATIENCE_MS);
  if (terminal) return terminal.show();
  void vscode.window.showInformationMessage(
    `Hot Patch: ${basename(program)} (${pid}) runs in no terminal of this window; look into the others.`,
  );
}

/** So that tasks.json can have `{ "type": "hotPatch", "program": "…" }`. */
export function provideTasks(session: () => Session): vscode.Disposable {
  return vscode.tasks.registerTaskProvider(taskType, {
    provideTasks: () => [],
    resolveTask: (task) =>
      taskOf(session(), task.definition as ProgramTask, task.scope ?? vscode.TaskScope.Workspace),
  });
}

async function taskOf(
  session: Session,
  definition: ProgramTask,
  scope: vscode.WorkspaceFolder | vscode.TaskScope,
): Promise<vscode.Task> {
  const program = definition.program;
  const env = onlyStrings(await session.engine.runEnvironment(process.env, program));
  const cwd = definition.cwd ?? vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? dirname(program);
  const execution = new vscode.ProcessExecution(program, [...(definition.args ?? [])], { cwd, env });
  const task = new vscode.Task(definition, scope, basename(program), 'Hot Patch', execution, []);
  task.presentationOptions = {
    reveal: vscode.TaskRevealKind.Always,
    panel: vscode.TaskPanelKind.Dedicated,
    focus: false,
  };
  task.isBackground = true;
  return task;
}

function onlyStrings(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

async function chooseProgram(session: Session): Promise<{ program: string; args: string[] } | undefined> {
  const picker = vscode.window.createQuickPick<Item>();
  picker.title = 'Start Program with Hot Patch';
  picker.placeholder = 'Select the program to start with the runtime in it';
  picker.matchOnDescription = true;
  picker.busy = true;
  const recent = recentPrograms(session);
  const itemsOf = (programs: readonly string[]): Item[] => [
    ...programs.map((program) => ({
      label: basename(program),
      description: vscode.workspace.asRelativePath(dirname(program)),
      detail: recent.find((one) => one.program === program)?.args.join(' '),
      program,
      buttons: [editArguments],
    })),
    { label: '$(folder-opened) Browse…', alwaysShow: true },
  ];
  picker.items = itemsOf(recent.map((one) => one.program));
  picker.show();
  void builtPrograms(session.databases).then((programs) => {
    picker.items = itemsOf([...new Set([...recent.map((one) => one.program), ...programs])]);
    picker.busy = false;
  });
  const chosen = await new Promise<{ item: Item; edit: boolean } | undefined>((resolve) => {
    picker.onDidAccept(() =>
      resolve(picker.selectedItems[0] && { item: picker.selectedItems[0], edit: false }),
    );
    picker.onDidTriggerItemButton(({ item }) => resolve({ item, edit: true }));
    picker.onDidHide(() => resolve(undefined));
  });
  picker.dispose();
  if (!chosen) return undefined;
  const program = chosen.item.program ?? (await browse());
  if (program === undefined) return undefined;
  const known = recent.find((one) => one.program === program)?.args ?? [];
  const args = chosen.edit ? await askArguments(program, known) : known;
  return args && { program, args };
}

function recentPrograms({ context }: Session): { program: string; args: string[] }[] {
  return context.workspaceState.get<{ program: string; args: string[] }[]>(RECENT, []);
}

async function browse(): Promise<string | undefined> {
  const [uri] = (await vscode.window.showOpenDialog({ title: 'Program to start', openLabel: 'Start' })) ?? [];
  return uri?.fsPath;
}

async function askArguments(program: string, known: readonly string[]): Promise<string[] | undefined> {
  const line = await vscode.window.showInputBox({
    title: `Arguments of ${basename(program)}`,
    value: known
      .map((argument) => (/[\s'"\\]/.test(argument) ? JSON.stringify(argument) : argument))
      .join(' '),
  });
  return line === undefined ? undefined : split(line);
}
