// Commands hotPatch.restartProgram (tree, palette, status bar once a program has ended, Quick Fix of a refusal) and
// hotPatch.restartWithoutLastPatch (after a crash): end a process and start its program again as it was started: in the
// same task, debug session or terminal, else in a task with the same arguments, environment and folder. Live patches come
// along, unless setting hotPatch.bringOver says never.
import { readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { quote } from 'shlex';
import * as vscode from 'vscode';
import { taskType } from '../contributions';
import type { Launch } from '../session/launches';
import type { Session } from '../session/session';
import { terminalOf } from '../session/terminal_of';
import { targetsOf } from '../state/queries';
import { processKey } from '../state/state';
import type { TreeNode } from '../views/tree_node';

/** Milliseconds that a program has to end after SIGTERM before the user is asked. */
const PATIENCE_MS = 5000;

export async function restartProgram(session: Session, node?: TreeNode): Promise<void> {
  const launch = node?.target ? session.launches.of(node.target.key) : await choose(session);
  if (!launch) {
    if (node)
      void vscode.window.showInformationMessage(
        'Hot Patch: how this process was started could not be read; start it again as you did.',
      );
    return;
  }
  await restart(session, launch);
}

/** Ends it, if it still runs, and starts it again. */
export async function restart(session: Session, launch: Launch): Promise<void> {
  if (launch.debugSession && (await isRunning(launch.key))) return restartDebugging(launch.debugSession);
  await endAndStart(session, launch, []);
}

/** @param without files whose patches stay behind */
async function endAndStart(session: Session, launch: Launch, without: readonly string[]): Promise<void> {
  if (!(await end(launch))) return;
  session.bringOver.restarted(launch.program, without);
  await startAgain(session, launch);
  await session.processes.look();
}

/** The program that crashed, started again with the original code of what was patched last; other live patches come along
 * as with Restart Program. */
export async function restartWithoutLastPatch(session: Session): Promise<void> {
  const { crash, history } = session.store.state;
  const launch = crash && session.launches.of(crash.key);
  if (!launch) {
    void vscode.window.showInformationMessage('Hot Patch: no program of this workspace has crashed.');
    return;
  }
  const last = history.find(
    ({ outcome, processes }) => outcome === 'patched' && processes.some(({ key }) => key === crash.key),
  );
  await endAndStart(session, launch, last?.files ?? []);
}

/** The one that ended last, that of the file in the editor, or a choice. */
async function choose(session: Session): Promise<Launch | undefined> {
  const { state } = session.store;
  const lost = state.lost.filter(({ reason }) => reason === 'ended').at(-1);
  if (lost) return session.launches.of(lost.key);
  const ofFile = state.activeFile === undefined ? [] : targetsOf(state, state.activeFile);
  const running = ofFile.length > 0 ? ofFile : [...(state.processes ?? []), ...state.unprepared];
  const launches = running.flatMap((process) => session.launches.of(processKey(process)) ?? []);
  const candidates = launches.length > 0 ? launches : session.launches.all();
  if (candidates.length <= 1) {
    if (candidates.length === 0)
      void vscode.window.showInformationMessage('Hot Patch: no program of this workspace was seen running.');
    return candidates[0];
  }
  const chosen = await vscode.window.showQuickPick(
    candidates.map((launch) => ({
      label: launch.name,
      description: `pid ${launch.pid}`,
      detail: launch.args.join(' '),
      launch,
    })),
    { title: 'Program to restart', matchOnDescription: true, matchOnDetail: true },
  );
  return chosen?.launch;
}

/** Whether the process is gone. */
async function end({ key, pid, name, task }: Launch): Promise<boolean> {
  if (!(await isRunning(key))) return true;
  if (task) task.terminate();
  else signal(pid, 'SIGTERM');
  if (await hasEnded(key)) return true;
  const answer = await vscode.window.showWarningMessage(
    `${name} (${pid}) does not end. Kill it?`,
    { modal: true },
    'Kill',
  );
  if (answer === undefined) return false;
  signal(pid, 'SIGKILL');
  return hasEnded(key);
}

async function startAgain(session: Session, launch: Launch): Promise<void> {
  const { debugSession, task, program, args, cwd, env } = launch;
  if (debugSession) {
    await vscode.debug.startDebugging(debugSession.workspaceFolder, debugSession.configuration);
    return;
  }
  if (task) {
    await vscode.tasks.executeTask(task.task);
    return;
  }
  // By hand, in its shell.
  const terminal = await terminalOf(launch.parentPid);
  if (terminal) {
    const line = [program, ...args].map((word) => quote(word)).join(' ');
    const shellFolder = await readlink(`/proc/${launch.parentPid}/cwd`).catch(() => undefined);
    terminal.show(true);
    terminal.sendText(shellFolder === cwd ? line : `(cd ${quote(cwd)} && exec ${line})`);
    return;
  }
  const isPrepared = env['LD_PRELOAD']?.includes('libhot_fix.so') ?? false;
  const environment = isPrepared ? env : await session.engine.runEnvironment(env, program);
  const definition = { type: taskType, program, args: [...args] };
  const execution = new vscode.ProcessExecution(program, [...args], {
    cwd,
    env: environment as Record<string, string>,
  });
  const scope = vscode.TaskScope.Workspace;
  const again = new vscode.Task(definition, scope, basename(program), 'Hot Patch', execution, []);
  again.isBackground = true;
  again.presentationOptions = { panel: vscode.TaskPanelKind.Dedicated, focus: false };
  await vscode.tasks.executeTask(again);
}

/** The debugger's own Restart where it can be asked for, which is of the session in focus only. */
async function restartDebugging(session: vscode.DebugSession): Promise<void> {
  if (vscode.debug.activeDebugSession?.id === session.id) {
    await vscode.commands.executeCommand('workbench.action.debug.restart');
    return;
  }
  await vscode.debug.stopDebugging(session);
  await vscode.debug.startDebugging(session.workspaceFolder, session.configuration);
}

async function hasEnded(key: string): Promise<boolean> {
  const until = Date.now() + PATIENCE_MS;
  while (await isRunning(key)) {
    if (Date.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

/** Neither ended nor a zombie, whose parent has not asked for it yet, and not another process with its number. */
async function isRunning(key: string): Promise<boolean> {
  const [, pid, startTime] = /^(\d+)@(\d+)/.exec(key)!;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // proc_pid_stat(5): the name, in parentheses, may hold anything; state is the third field, starttime the 22nd.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[19] === startTime && fields[0] !== 'Z' && fields[0] !== 'X';
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile, or is not ours: that it runs on is seen.
  }
}
