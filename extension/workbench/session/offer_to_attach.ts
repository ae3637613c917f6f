// A save, or a command, whose process was started without the runtime: asks whether to attach to it, once for each
// process, and then does what was asked for. Settings hotPatch.attach and hotPatch.attachPrograms; where they have the
// answer, operations.ts attaches by itself and nothing is asked.
import * as vscode from 'vscode';
import { unpreparedOf } from '../state/queries';
import { processKey, type ProcessKey, type UnpreparedProcess } from '../state/state';
import type { Store } from '../state/store';
import { alwaysAttachTo, consentTo } from './attach_consent';
import type { Operations, PatchOrder } from './operations';

const ATTACH = 'Attach';
const ALWAYS = 'Always for This Program';

export function offerToAttach(store: Store, operations: Operations): { dispose(): void } {
  /** Those that the user was asked about. */
  const asked = new Set<ProcessKey>();
  /** Files that were saved while the question stands; they are for the same answer. */
  let waiting: Set<string> | undefined;

  async function offer(order: PatchOrder): Promise<void> {
    if (waiting) {
      for (const file of order.files) waiting.add(file);
      return;
    }
    const processes = unpreparedOf(store.state, order.files).filter(
      (process) =>
        process.obstacle === undefined &&
        !asked.has(processKey(process)) &&
        (order.pids?.includes(process.pid) ?? true) &&
        consentTo(process) === 'ask',
    );
    if (processes.length === 0) return;
    for (const process of processes) asked.add(processKey(process));
    const files = (waiting = new Set(order.files));
    const answer = await vscode.window.showInformationMessage(question(processes), ATTACH, ALWAYS);
    waiting = undefined;
    if (answer === ALWAYS) await alwaysAttachTo(processes);
    if (answer === undefined) return;
    await operations.patch({ ...order, files: [...files], attachTo: processes.map(({ pid }) => pid) });
  }

  return { dispose: operations.onNotAttached((order) => void offer(order)) };
}

function question(processes: readonly UnpreparedProcess[]): string {
  const [first] = processes;
  const which =
    processes.length === 1 ? `${first!.name} (${first!.pid})` : `${processes.length} × ${first!.name}`;
  return `${which} was started without Hot Patch. Attach to it, so that this save and the next ones are live? The program goes on running.`;
}
