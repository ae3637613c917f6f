// Command hotPatch.copyDiagnostics: what a bug report needs, as text on the clipboard. No source text, no environment
// variables, nothing is sent anywhere.
import { release } from 'node:os';
import * as vscode from 'vscode';
import { Setting } from '../contributions';
import type { Session } from '../session/session';
import { setting } from '../settings';

export async function copyDiagnostics(session: Session): Promise<void> {
  await vscode.env.clipboard.writeText(await diagnosticsText(session));
  void vscode.window.showInformationMessage('Hot Patch: diagnostics are on the clipboard.');
}

async function diagnosticsText(session: Session): Promise<string> {
  const { state } = session.store;
  const version = (session.context.extension.packageJSON as { version: string }).version;
  const part = (title: string, value: unknown) => `## ${title}\n${JSON.stringify(value, undefined, 1)}\n`;
  return [
    `# Hot Patch ${version}, VS Code ${vscode.version}, ${process.platform} ${process.arch} ${release()}, node ${process.version}\n`,
    part('Settings', Object.fromEntries(Object.values(Setting).map((name) => [name, setting(name)]))),
    part('Compile databases', await session.databases.find()),
    part('Processes', state.processes ?? []),
    part('Processes without the runtime', state.unprepared),
    part('Selection', state.selection),
    part('Status', [...state.statuses.values()]),
    part(
      'Checks',
      [...state.checks].map(([file, check]) => [file, check.kind === 'done' ? check.report : check.kind]),
    ),
    part('Last operation', state.last),
    part(
      'History',
      state.history.map(({ after: _, ...entry }) => entry),
    ),
  ].join('\n');
}
