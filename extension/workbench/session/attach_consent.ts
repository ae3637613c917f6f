// Whether a save may attach to a process: the settings hotPatch.attach (ask, always, never) and hotPatch.attachPrograms,
// the programs for which a user said "always". One that was detached from is for the user alone to attach to again.
import { isAbsolute, relative, resolve } from 'node:path';
import * as vscode from 'vscode';
import type { PatchableProcess } from '../../engine/model/result';
import { Setting } from '../contributions';
import { setting } from '../settings';

export type Consent = 'yes' | 'ask' | 'no';

export function consentTo({ exe, asleep }: Pick<PatchableProcess, 'exe' | 'asleep'>): Consent {
  if (asleep) return 'no';
  switch (setting(Setting.attach)) {
    case 'always':
      return 'yes';
    case 'never':
      return 'no';
    default:
      return setting(Setting.attachPrograms).some((program) => isProgram(program, exe)) ? 'yes' : 'ask';
  }
}

/** Keeps the user's word in the workspace's settings, where it can be seen and taken back. */
export async function alwaysAttachTo(processes: readonly Pick<PatchableProcess, 'exe'>[]): Promise<void> {
  const programs = [...setting(Setting.attachPrograms), ...processes.map(({ exe }) => spelled(exe))];
  await vscode.workspace
    .getConfiguration()
    .update(Setting.attachPrograms, [...new Set(programs)], vscode.ConfigurationTarget.Workspace);
}

function isProgram(program: string, exe: string): boolean {
  return isAbsolute(program) ? program === exe : folders().some((folder) => resolve(folder, program) === exe);
}

/** Relative to its workspace folder, so that a settings file is true on another machine too. */
function spelled(exe: string): string {
  const folder = folders().find((candidate) => exe.startsWith(`${candidate}/`));
  return folder === undefined ? exe : relative(folder, exe);
}

function folders(): string[] {
  return (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath);
}
