// Commands on threads that are held after a crash: hotPatch.goOn (status bar, notification, lens) asks how; retryCall,
// retryInstruction, returnFromHere and letItCrash (lens, Quick Fix, tree) are the ways, hotPatch.showHeld shows the place.
// What is offered, and what it means, the engine says.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { HeldThread, HeldWay, WayKind } from '../../engine/model/held';
import type { Session } from '../session/session';
import { qualifiedName } from '../state/function_names';
import { heldLine, isSameHold, ownFrameOf, ownWay, type HeldTarget } from '../state/held_threads';
import { heldTitle, signalText, WAYS, WAY_KINDS, wayText } from '../views/held_text';
import type { TreeNode } from '../views/tree_node';
import { showProblem } from './tell';

type Meant = HeldTarget | TreeNode | undefined;

/** Asks for the way on. */
export async function goOn(session: Session, meant?: Meant): Promise<void> {
  const thread = await threadOf(session, meant);
  if (!thread) return;
  const kinds = WAY_KINDS.flatMap((kind) => ofKind(thread, kind)[0] ?? []);
  const first = await chooseWay(heldTitle(thread), kinds);
  if (!first) return;
  const ways = ofKind(thread, first.kind);
  const way = ways.length === 1 ? first : await chooseWay(WAYS[first.kind].title, ways);
  if (way) await resume(session, thread, way);
}

/** Those that leave the fewest frames first. */
function ofKind({ ways }: HeldThread, kind: WayKind): readonly HeldWay[] {
  return ways.filter((way) => way.kind === kind);
}

/** The command of a way on. */
const by =
  (kind: WayKind) =>
  (session: Session, meant?: Meant): Promise<void> =>
    goOnBy(session, kind, meant);
export const retryCall = by('call');
export const retryInstruction = by('instruction');
export const returnFromHere = by('return');
export const letItCrash = by('crash');

async function goOnBy(session: Session, kind: WayKind, meant: Meant): Promise<void> {
  const thread = await threadOf(session, meant);
  if (!thread) return;
  const ways = ofKind(thread, kind);
  if (ways.length === 0) {
    const why = thread.refused.find((way) => way.kind === kind)?.reason ?? 'it has no such frame';
    await showProblem('way-not-offered', `${WAYS[kind].title}: ${why}.`);
    return;
  }
  // From which frame a person returns is asked; the call that is meant is that of the function at the line.
  const own = kind === 'return' && ways.length > 1 ? undefined : ownWay(thread, kind);
  const way = own ?? (await chooseWay(WAYS[kind].title, ways));
  if (way) await resume(session, thread, way);
}

/** Opens the line at which it is held. */
export async function showHeld(session: Session, meant?: Meant): Promise<void> {
  const thread = await threadOf(session, meant);
  const { file } = (thread && ownFrameOf(thread)) ?? {};
  if (!thread || file === undefined) return;
  const at = new vscode.Position(heldLine(session.store.state, thread), 0);
  await vscode.window.showTextDocument(vscode.Uri.file(file), { selection: new vscode.Range(at, at) });
}

/** The thread that is meant, as it is held now. */
async function threadOf({ store }: Session, meant: Meant): Promise<HeldThread | undefined> {
  const { held } = store.state;
  const target = meant && 'children' in meant ? meant.target?.held : meant;
  if (target) {
    const found = held.find((thread) => isSameHold(thread, target));
    if (!found)
      await showProblem('not-held', `Thread ${target.tid} of process ${target.pid} is not held any more.`);
    return found;
  }
  if (held.length <= 1) {
    if (held.length === 0) void vscode.window.showInformationMessage('Hot Patch: no thread is held.');
    return held[0];
  }
  const items = held.map((thread) => ({
    label: heldTitle(thread),
    description: `${basename(thread.exe)} (${thread.pid})`,
    detail: signalText(thread),
    thread,
  }));
  return (await vscode.window.showQuickPick(items, { title: 'Threads that are held' }))?.thread;
}

async function chooseWay(title: string, ways: readonly HeldWay[]): Promise<HeldWay | undefined> {
  const items = ways.map((way) => ({
    label: `$(${WAYS[way.kind].icon}) ${WAYS[way.kind].title}`,
    description: way.function === undefined ? '' : qualifiedName(way.function),
    detail: wayText(way),
    way,
  }));
  const options = { title, placeHolder: 'How does it go on?', matchOnDescription: true };
  return (await vscode.window.showQuickPick(items, options))?.way;
}

async function resume(session: Session, { pid, tid, id }: HeldThread, way: HeldWay): Promise<void> {
  const { kind, frames } = way;
  if (!(await isMeantAllTheSame(way))) return;
  const result = kind === 'return' ? await resultOf(way) : undefined;
  if (kind === 'return' && result === undefined) return;
  const problem = await session.engine.resume(pid, {
    ...{ tid, id, kind },
    ...(frames > 0 && { frames }),
    ...(result && { result }),
  });
  if (problem) await showProblem(problem.code, problem.message);
  await session.held.look();
}

/** Whoever goes on although it may be wrong has read why. */
async function isMeantAllTheSame({ kind, meaning, warnings }: HeldWay): Promise<boolean> {
  if (warnings.length === 0) return true;
  const { title } = WAYS[kind];
  const detail = `${meaning}\n\n${warnings.join('\n\n')}`;
  return (await vscode.window.showWarningMessage(`${title}?`, { modal: true, detail }, title)) === title;
}

/** Results that can be given, with what a value must look like. */
const RESULTS: Readonly<Record<string, { pattern: RegExp; what: string }>> = {
  integer: { pattern: /^[-+]?(0x[\da-f]+|\d+)$/i, what: 'A whole number, such as 0, -1 or 0x10' },
  pointer: { pattern: /^(0x[\da-f]+|\d+)$/i, what: 'An address, such as 0 or 0x7f00' },
  boolean: { pattern: /^(true|false)$/, what: 'true or false' },
  float: { pattern: /^[-+]?\d+(\.\d*)?(e[-+]?\d+)?$/i, what: 'A number, such as 0 or 1.5' },
};

/** What the function is to have returned; empty where it gives nothing, undefined when the question was closed. */
async function resultOf({ result = 'none', meaning, function: name }: HeldWay): Promise<string | undefined> {
  const form = RESULTS[result === 'double' ? 'float' : result];
  if (!form) return '';
  return vscode.window.showInputBox({
    title: name === undefined ? 'Return' : `Return from ${qualifiedName(name)} with`,
    value: result === 'boolean' ? 'false' : '0',
    prompt: `${meaning} ${form.what}.`,
    validateInput: (text) => (form.pattern.test(text.trim()) ? undefined : form.what),
  });
}
