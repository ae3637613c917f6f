// Asks for the last word of each process that is gone, and tells of the crash: in the state, and in a notification with
// what can be done. Processes that ended in another way have left none.
import * as vscode from 'vscode';
import type { PatchableProcess } from '../../engine/model/result';
import { Command } from '../contributions';
import type { AsyncEngine } from '../engine_thread/client';
import type { State } from '../state/state';
import type { Store } from '../state/store';

export function watchCrashes(
  engine: () => AsyncEngine,
  store: Store,
  /** What a crash is called. */
  textOf: (state: State) => string,
  log: (message: string) => void,
): vscode.Disposable {
  const gone = async (process: PatchableProcess): Promise<void> => {
    try {
      const report = await engine().crash(process);
      if (!report) return;
      store.dispatch({ type: 'crashed', process, report });
      await tell(textOf(store.state));
    } catch (error) {
      log(`the last word of ${process.name} (${process.pid}): ${String(error)}`);
    }
  };
  return store.subscribe((state, previous) => {
    if (state.processes === previous.processes && state.unprepared === previous.unprepared) return;
    const present = new Set(all(state).map(identity));
    for (const process of all(previous)) if (!present.has(identity(process))) void gone(process);
  });
}

/** Also those whose runtime was not seen yet: it may have announced itself since the last look. */
function all({ processes = [], unprepared }: State): readonly PatchableProcess[] {
  return [...processes, ...unprepared];
}

/** Of the process, whatever it runs. */
function identity({ pid, startTime }: PatchableProcess): string {
  return `${pid}@${startTime}`;
}

async function tell(text: string): Promise<void> {
  const actions = {
    Restart: Command.restartProgram,
    'Restart Without the Last Patch': Command.restartWithoutLastPatch,
    'Show Backtrace': Command.showBacktrace,
  };
  const answer = await vscode.window.showErrorMessage(text, ...Object.keys(actions));
  if (answer !== undefined) await vscode.commands.executeCommand(actions[answer as keyof typeof actions]);
}
