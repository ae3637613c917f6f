// Status bar item `hotPatch.status`: what indicator.ts finds, as status_bar_content.ts words it. The tooltip is the
// control panel. Setting hotPatch.statusBar turns it off. Decides nothing.
import * as vscode from 'vscode';
import { Command, languages, Setting } from '../contributions';
import { setting } from '../settings';
import type { State } from '../state/state';
import type { Store } from '../state/store';
import { indicatorOf, olderTroubles } from './indicator';
import { escapeMarkdown } from './markdown';
import { statusBarContent, type StatusBarContent } from './status_bar_content';

const PANEL: readonly (readonly [Command, string])[] = [
  [Command.startProgram, '$(play) Start Program'],
  [Command.selectProcess, '$(server-process) Select Process'],
  [Command.attach, '$(plug) Attach'],
  [Command.showTrampolines, '$(list-tree) Trampolines'],
  [Command.revertAll, '$(discard) Revert All'],
  [Command.restartEngine, '$(debug-restart) Restart Engine'],
  [Command.showLog, '$(output) Log'],
];

export function showStatusBar(store: Store): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('status', vscode.StatusBarAlignment.Left, 10);
  item.name = 'Hot Patch';
  const render = () => {
    if (!setting(Setting.statusBar) || !isOfInterest(store.state)) return item.hide();
    const content = statusBarContent(indicatorOf(store.state), olderTroubles(store.state));
    item.text = content.text;
    item.accessibilityInformation = { label: content.label, role: 'button' };
    item.tooltip = tooltip(content);
    item.command = content.command;
    item.backgroundColor =
      content.level === 'normal'
        ? undefined
        : new vscode.ThemeColor(`statusBarItem.${content.level}Background`);
    item.show();
  };
  render();
  return vscode.Disposable.from(
    item,
    store.subscribe(render),
    vscode.window.onDidChangeActiveTextEditor(render),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(Setting.statusBar)) render();
    }),
  );
}

/** Icons and code are markup, everything else is text. */
function escapeTooltip(text: string): string {
  return text
    .split(/(\$\(\w+\)|`[^`]+`)/)
    .map((part) => (/^(\$\(\w+\)|`[^`]+`)$/.test(part) ? part : escapeMarkdown(part)))
    .join('');
}

/** Beside files of other languages the item stays only while there is something running to tell about. */
function isOfInterest(state: State): boolean {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const isSource = language === undefined || (languages as readonly string[]).includes(language);
  return (
    isSource ||
    (state.processes ?? []).length > 0 ||
    state.lost.length > 0 ||
    state.held.length > 0 ||
    state.operation !== undefined
  );
}

function tooltip(content: StatusBarContent): vscode.MarkdownString {
  const markdown = new vscode.MarkdownString(undefined, true);
  markdown.isTrusted = { enabledCommands: PANEL.map(([command]) => command) };
  markdown.appendMarkdown(`**Hot Patch**\n\n${escapeTooltip(content.tooltip)}\n\n---\n\n`);
  markdown.appendMarkdown(PANEL.map(([command, title]) => `[${title}](command:${command})`).join('  \n'));
  return markdown;
}
