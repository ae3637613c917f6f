// Whether the live patches of a program are brought over to it when it was started again. Settings hotPatch.bringOver and
// hotPatch.attach: ask, always, never.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { PatchableProcess } from '../../engine/model/result';
import { Setting } from '../contributions';
import { setting } from '../settings';
import { consentTo } from './attach_consent';

/** @param isRestart the user had it started again */
export async function isBringingOverWanted(
  process: PatchableProcess,
  patched: readonly string[],
  isRestart: boolean,
): Promise<boolean> {
  const wanted = setting(Setting.bringOver);
  const isReady = process.state === 'ready' || consentTo(process) === 'yes';
  if (wanted === 'never') return false;
  if ((wanted === 'always' || isRestart) && isReady) return true;
  const files = patched.map((file) => basename(file)).join(', ');
  const answer = await vscode.window.showInformationMessage(
    `${process.name} was started again from the same binary. ${isReady ? 'Bring' : 'Attach to it and bring'} the live patches of ${files} over to it?`,
    'Bring Over',
    'Always',
  );
  if (answer === 'Always') {
    const configuration = vscode.workspace.getConfiguration();
    await configuration.update(Setting.bringOver, 'always', vscode.ConfigurationTarget.Workspace);
  }
  return answer !== undefined;
}
