// Says how a command that the user gave ended, when nothing else on the screen does: a failure, with the way to its
// explanation and to the log. Saves are not told here; the status bar and Problems have them.
import * as vscode from 'vscode';
import type { PatchResult } from '../../engine/model/result';
import { ERROR_TABLE, type ErrorCode } from '../../engine/model/errors';
import { Command } from '../contributions';

export async function tellFailure(result: PatchResult): Promise<void> {
  const [problem] = result.refusals;
  if (result.outcome !== 'refused' && result.outcome !== 'failed') return;
  // A compiler's messages are in Problems, and the status bar says so; whether to attach is a question of its own.
  if (!problem || problem.code === 'compile-failed' || problem.code === 'no-runtime') return;
  await showProblem(problem.code, problem.message);
}

export async function showProblem(code: ErrorCode, message: string): Promise<void> {
  const answer = await vscode.window.showErrorMessage(
    `Hot Patch: ${message} ${ERROR_TABLE[code].hint}`,
    'Explain',
    'Show Log',
  );
  if (answer === 'Explain') await vscode.commands.executeCommand(Command.troubleshoot, code);
  if (answer === 'Show Log') await vscode.commands.executeCommand(Command.showLog);
}
