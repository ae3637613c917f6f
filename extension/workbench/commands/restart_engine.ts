// Command hotPatch.restartEngine (palette, status bar tooltip): gives up whatever is under way, however it hangs, and
// starts the engine again. Processes keep their patches.
import * as vscode from 'vscode';
import type { Session } from '../session/session';

export async function restartEngine(session: Session): Promise<void> {
  session.operations.cancel();
  session.engine.restart('on request');
  await session.processes.look();
  void vscode.window.showInformationMessage('Hot Patch: the engine was started again.');
}
