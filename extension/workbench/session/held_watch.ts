// Has threads of programs held when they crash, as setting hotPatch.holdOnCrash says, and tells of those that are: in the
// state, and in notifications with what can be done, again once their function was saved. As long as this window attends; a
// runtime that nobody attends to lets them crash. Decides no way on.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { HeldThread, HoldOptions } from '../../engine/model/held';
import type { PatchableProcess } from '../../engine/model/result';
import { Command, Setting } from '../contributions';
import type { AsyncEngine } from '../engine_thread/client';
import { setting } from '../settings';
import { heldIn, isMended, isSameHold, ownWay } from '../state/held_threads';
import { processKey, type ProcessKey } from '../state/state';
import type { Store } from '../state/store';

const INTERVAL_MS = 500;
/** Where it is kept which processes were started here, the last ones. */
const STARTED = 'programs.startedHere';
const STARTED_KEPT = 20;

export interface HeldWatch extends vscode.Disposable {
  /** Looks now; resolves when the state has what was found. */
  look(): Promise<void>;
}

/** What a held thread is called, when it comes to be held and when its function was saved. */
export interface HeldTexts {
  held(thread: HeldThread): string;
  mended(thread: HeldThread): string;
}

/** @param isStartedHere whether F5 or *Start Program* of this window started the process
 * @param memory of the window: after it was loaded again VS Code tells of its tasks late, and a thread that is held waits for
 *   somebody to attend to it */
export function watchHeld(
  engine: () => AsyncEngine,
  store: Store,
  isStartedHere: (pid: number) => boolean,
  memory: vscode.Memento,
  texts: HeldTexts,
  log: (message: string) => void,
): HeldWatch {
  const asked = new Map<ProcessKey, string>();
  const ofWorkspace = new Map<ProcessKey, boolean>();
  const started = new Set(memory.get<ProcessKey[]>(STARTED, []));
  /** What was found of each process, and the files that it was read from. */
  const found = new Map<ProcessKey, { files: string; threads: readonly HeldThread[] }>();
  let active: Promise<void> | undefined;
  let disposed = false;

  async function look(): Promise<void> {
    const processes = (store.state.processes ?? []).filter(
      ({ state, runtime }) => runtime !== undefined && state !== 'other-user',
    );
    const present = new Set(processes.map(processKey));
    for (const process of processes) if (isStartedHere(process.pid)) keepStarted(processKey(process));
    for (const known of [asked, found, ofWorkspace])
      for (const key of known.keys()) if (!present.has(key)) known.delete(key);
    await Promise.all(
      processes.map(async (process) => {
        try {
          await ask(process);
          await find(process);
        } catch (error) {
          log(`held threads of ${process.name} (${process.pid}): ${String(error)}`);
        }
      }),
    );
    const threads = [...found.values()].flatMap((one) => one.threads);
    if (JSON.stringify(threads) === JSON.stringify(store.state.held)) return;
    const before = store.state.held;
    store.dispatch({ type: 'held', threads });
    for (const thread of threads)
      if (!before.some((one) => isSameHold(one, thread))) void tell(thread, texts.held(thread), false);
  }

  function keepStarted(key: ProcessKey): void {
    if (started.has(key)) return;
    started.add(key);
    void memory.update(STARTED, [...started].slice(-STARTED_KEPT));
  }

  /** What the setting says now, when that is news to the process. */
  async function ask(process: PatchableProcess): Promise<void> {
    const key = processKey(process);
    const options = await optionsFor(process);
    const text = JSON.stringify(options);
    // An operation has the runtime at work.
    if (store.state.operation || (asked.get(key) ?? JSON.stringify(OFF)) === text) return;
    asked.set(key, text);
    for (const { code, message } of await engine().hold([process.pid], options))
      // Asked again until its debugger has left it.
      if (code === 'tracer-attached') asked.delete(key);
      else log(`${process.name} (${process.pid}) is not held when it crashes: ${message} [${code}]`);
  }

  async function optionsFor(process: PatchableProcess): Promise<HoldOptions> {
    const wanted = setting(Setting.holdOnCrash);
    const isHere = started.has(processKey(process));
    const mode = wanted !== 'started' ? wanted : isHere ? 'patched' : 'off';
    if (mode === 'off' || !(isHere || (await isOfWorkspace(process)))) return OFF;
    const limit = setting(Setting.holdLimit);
    return { mode, ...(limit > 0 && { limit }), modules: [process.exe] };
  }

  /** Other programs of the user crash as ever. */
  async function isOfWorkspace(process: PatchableProcess): Promise<boolean> {
    const key = processKey(process);
    const folders = (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath);
    const known = ofWorkspace.get(key) ?? (await engine().isFrom(process.pid, folders));
    ofWorkspace.set(key, known);
    return known;
  }

  async function find(process: PatchableProcess): Promise<void> {
    const key = processKey(process);
    const files = await filesIn(join(process.runtime!.controlDirectory, 'held'));
    if (files === (found.get(key)?.files ?? '')) return;
    // What cannot be read is not asked for again before it changes.
    found.set(key, { files, threads: [] });
    if (files !== '') found.set(key, { files, threads: await engine().heldThreads(process.pid) });
  }

  /** One look at a time; one that is asked for while another is under way begins after it. */
  function begin(): Promise<void> {
    const mine = (active ?? Promise.resolve())
      .then(() => (disposed ? undefined : look()))
      .finally(() => {
        if (active === mine) active = undefined;
      });
    return (active = mine);
  }

  const timer = setInterval(() => {
    if (!active) void begin();
  }, INTERVAL_MS);
  const subscription = store.subscribe((state, previous) => {
    // A program that has just started may crash soon.
    if (state.processes !== previous.processes) void begin();
    if (state.history === previous.history) return;
    for (const thread of state.held)
      if (isMended(state, thread) && !isMended(previous, thread))
        void tell(thread, texts.mended(thread), true);
  });
  const typing = vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
    const file = document.uri.fsPath;
    if (contentChanges.length === 0 || heldIn(store.state, file).length === 0) return;
    // VS Code gives them from the last to the first, each in the text before all of them.
    const changes = contentChanges.map(({ range: { start, end }, text }) => ({
      first: start.line,
      last: end.line,
      endsAtStart: end.character === 0,
      breaks: text.split('\n').length - 1,
    }));
    store.dispatch({ type: 'typed', file, changes });
  });
  return {
    look: begin,
    dispose: () => {
      disposed = true;
      clearInterval(timer);
      subscription.dispose();
      typing.dispose();
    },
  };
}

const OFF: HoldOptions = { mode: 'off' };

/** Names and times of the files in a directory; empty where there are none. */
async function filesIn(directory: string): Promise<string> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith('.json')).sort();
  const files = await Promise.all(
    names.map(async (name) => {
      const about = await stat(join(directory, name)).catch(() => undefined);
      return about && `${name} ${about.mtimeMs}`;
    }),
  );
  return files.filter((file) => file !== undefined).join('\n');
}

async function tell(thread: HeldThread, text: string, mended: boolean): Promise<void> {
  const { pid, tid, id } = thread;
  const target = { pid, tid, id };
  const actions: Record<string, Command> = {
    ...(mended && ownWay(thread, 'call') && { 'Retry the Call': Command.retryCall }),
    'Go On…': Command.goOn,
    ...(!mended && { 'Show Line': Command.showHeld }),
    'Let It Crash': Command.letItCrash,
  };
  const show = mended ? vscode.window.showInformationMessage : vscode.window.showErrorMessage;
  const answer = await show(text, ...Object.keys(actions));
  if (answer !== undefined) await vscode.commands.executeCommand(actions[answer]!, target);
}
