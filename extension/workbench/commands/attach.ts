// Command hotPatch.attach (tree, picker, status bar, palette): brings the runtime into processes that were started without
// it. Without a node: into those that were built from the file in the editor, or all of the workspace, after a choice.
// Where a debug session of another extension has the process, its debugger does it, if that can.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { Problem } from '../../engine/model/result';
import type { Session } from '../session/session';
import { unpreparedOf } from '../state/queries';
import type { UnpreparedProcess } from '../state/state';
import { argumentsOf } from '../views/process_text';
import type { TreeNode } from '../views/tree_node';
import { showProblem } from './tell';

export async function attach(session: Session, node?: TreeNode): Promise<void> {
  await attachTo(session, node?.target ? [node.target.pid] : await choose(session));
}

export async function attachTo(session: Session, pids: readonly number[]): Promise<void> {
  if (pids.length === 0) return;
  for (const { pid, exe, problem } of await session.operations.attach(pids)) {
    if (!problem || (await attachThroughDebugger(session, `${basename(exe)} (${pid})`, problem))) continue;
    await showProblem(problem.code, problem.message);
  }
}

/** @returns false when no debugger of a session here could be asked */
async function attachThroughDebugger(
  { debuggers, log }: Session,
  name: string,
  { pid, debugger: asked }: Problem,
): Promise<boolean> {
  const found = [...debuggers].find((each) => each.name === 'lldb' && pid !== undefined && each.has(pid));
  if (!found || asked?.name !== 'lldb') return false;
  const [command] = asked.commands;
  const said = await found.tellAtBreakpoint(command!);
  if (said === undefined) {
    void vscode.window.showInformationMessage(
      `Hot Patch: a debugger has ${name}. Stop at a breakpoint and attach again: the debugger brings the runtime in.`,
    );
    return true;
  }
  log.info(`${command}: ${said}`);
  // `(void *) $0 = 0x…`, the loader's handle.
  if (/= 0x0*[1-9a-f]/.test(said))
    void vscode.window.showInformationMessage(
      `Hot Patch: the debugger has brought the runtime into ${name}. Saves are live when the program goes on.`,
    );
  else await showProblem('not-loaded', `The debugger could not load the runtime: ${said.trim()}.`);
  return true;
}

async function choose(session: Session): Promise<readonly number[]> {
  await session.processes.look();
  const { state } = session.store;
  const ofFile = state.activeFile === undefined ? [] : unpreparedOf(state, [state.activeFile]);
  const processes = ofFile.length > 0 ? ofFile : state.unprepared;
  if (processes.length === 1) return [processes[0]!.pid];
  if (processes.length === 0) {
    void vscode.window.showInformationMessage(
      'Hot Patch: no process of this workspace is waiting to be attached to.',
    );
    return [];
  }
  const chosen = await vscode.window.showQuickPick(processes.map(itemOf), {
    title: 'Processes to attach to',
    canPickMany: true,
    matchOnDescription: true,
    matchOnDetail: true,
  });
  return (chosen ?? []).map(({ pid }) => pid);
}

function itemOf(process: UnpreparedProcess): vscode.QuickPickItem & { readonly pid: number } {
  const { pid, name, obstacle } = process;
  return {
    pid,
    label: name,
    description: `pid ${pid}`,
    detail: obstacle?.message ?? argumentsOf(process),
    picked: obstacle === undefined,
  };
}
