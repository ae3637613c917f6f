// Quick Fixes at what Hot Patch refused (Ctrl+.): its explanation, the edit undone, the program started again. Only one
// refusal can be accepted: a compile database that somebody else could have written, whose directory the user names. The
// others say that a process would go wrong, which nobody can vouch for. Decides nothing about the refusal: the text that
// runs is known from the state.
import * as vscode from 'vscode';
import { ERROR_TABLE, type ErrorCode } from '../../engine/model/errors';
import type { Problem } from '../../engine/model/result';
import { Command, languages } from '../contributions';
import { knownText, OF_COMMANDS } from '../state/queries';
import type { State } from '../state/state';
import type { Store } from '../state/store';

export function provideQuickFixes(store: Store): vscode.Disposable {
  const provider: vscode.CodeActionProvider = {
    provideCodeActions(document, _range, { diagnostics }) {
      return diagnostics.flatMap((diagnostic) => {
        const code = codeOf(diagnostic);
        return code === undefined ? [] : fixesOf(document, diagnostic, code, store);
      });
    },
  };
  return vscode.languages.registerCodeActionsProvider(
    languages.map((language) => ({ language, scheme: 'file' })),
    provider,
    { providedCodeActionKinds: [vscode.CodeActionKind.QuickFix] },
  );
}

/** Of those that this extension made. */
function codeOf({ source, code }: vscode.Diagnostic): ErrorCode | undefined {
  const value = typeof code === 'object' ? code.value : code;
  return source === 'Hot Patch' && typeof value === 'string' && value in ERROR_TABLE
    ? (value as ErrorCode)
    : undefined;
}

function fixesOf(
  document: vscode.TextDocument,
  diagnostic: vscode.Diagnostic,
  code: ErrorCode,
  store: Store,
): vscode.CodeAction[] {
  const action = (title: string, how: Partial<vscode.CodeAction>) =>
    Object.assign(new vscode.CodeAction(title, vscode.CodeActionKind.QuickFix), {
      diagnostics: [diagnostic],
      ...how,
    });
  const running = (title: string, command: Command, ...parameters: unknown[]) =>
    action(title, { command: { title, command, arguments: parameters } });
  const before = knownText(store.state, document.uri.fsPath);
  const problem = problemOf(store.state, diagnostic);
  const layouts = problem?.layouts;
  /** Of the edit: neither another text nor another process has other compile commands. */
  const isRefusal = ERROR_TABLE[code].kind === 'refused' && !OF_COMMANDS.has(code);
  return [
    running(`Explain ${code}`, Command.troubleshoot, code),
    ...(layouts ? [running('Show both layouts', Command.showLayouts, layouts)] : []),
    ...(problem?.untrusted ?? []).map((directory) =>
      running(`Accept ${directory}: compile as it says`, Command.chooseBuildDirectory, directory),
    ),
    ...(isRefusal && before !== undefined && before !== document.getText()
      ? [action('Undo this edit: back to the text that runs', { edit: replaced(document, before) })]
      : []),
    ...(isRefusal ? [running('Restart the program as it was built last', Command.restartProgram)] : []),
  ];
}

/** What the entry was made from. */
function problemOf({ reports, ahead }: State, { message }: vscode.Diagnostic): Problem | undefined {
  const problems = [...reports, ...ahead.values()].flatMap(({ refusals }) => refusals);
  return problems.find((problem) => message.includes(problem.message));
}

/** The lines that differ, and no others: the cursor and what was folded stay where they are. */
function replaced(document: vscode.TextDocument, text: string): vscode.WorkspaceEdit {
  const now = document.getText();
  let start = 0;
  while (start < Math.min(now.length, text.length) && now[start] === text[start]) start++;
  let end = 0;
  while (
    end < Math.min(now.length, text.length) - start &&
    now[now.length - 1 - end] === text[text.length - 1 - end]
  )
    end++;
  const edit = new vscode.WorkspaceEdit();
  const range = new vscode.Range(document.positionAt(start), document.positionAt(now.length - end));
  edit.replace(document.uri, range, text.slice(start, text.length - end));
  return edit;
}
