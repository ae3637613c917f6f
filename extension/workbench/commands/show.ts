// Commands that only show: hotPatch.showTrampolines, hotPatch.showCause, hotPatch.showBacktrace, hotPatch.goToSource,
// hotPatch.copyAddress, hotPatch.troubleshoot, hotPatch.refresh, hotPatch.checkFile. They change nothing in any process.
import * as vscode from 'vscode';
import { TreeItemKind } from '../contributions';
import type { Session } from '../session/session';
import { isSameFunction } from '../state/function_names';
import { ownFrame } from '../views/crash_text';
import { problemItems } from '../views/problem_items';
import type { FunctionTarget } from '../views/lens_content';
import type { Tree } from '../views/tree';
import type { TreeNode } from '../views/tree_node';
import { documentOf } from './patch_function';

const FUNCTION_NODES: ReadonlySet<TreeNode['kind']> = new Set([
  TreeItemKind.patchedFunction,
  TreeItemKind.deoptimisedFunction,
  TreeItemKind.originalFunction,
  TreeItemKind.deoptimisedInlined,
]);

export async function showTrampolines(tree: Tree, target?: FunctionTarget): Promise<void> {
  await tree.reveal((node) => {
    return (
      FUNCTION_NODES.has(node.kind) &&
      (target === undefined || isSameFunction(node.target?.name ?? '', target.name))
    );
  });
}

/** Where the first thing that went wrong is, or else the log. */
export async function showCause(session: Session): Promise<void> {
  const items = problemItems(session.store.state);
  const first = items.find((item) => item.severity === 'error') ?? items[0];
  if (!first) return session.log.show(true);
  const at = new vscode.Position(first.start.line, first.start.column);
  await vscode.window.showTextDocument(vscode.Uri.file(first.file), { selection: new vscode.Range(at, at) });
}

/** How the process came to where it crashed: the place itself, and the backtrace in the tree. */
export async function showBacktrace({ store }: Session, tree: Tree): Promise<void> {
  const { crash } = store.state;
  if (!crash) {
    void vscode.window.showInformationMessage('Hot Patch: no process of this workspace has crashed.');
    return;
  }
  const place = ownFrame(crash.report);
  if (place?.file !== undefined) await showPlace(place.file, place.line ?? 1);
  await tree.reveal((node) => node.kind === TreeItemKind.crash);
}

async function showPlace(file: string, line: number): Promise<void> {
  const at = new vscode.Position(line - 1, 0);
  await vscode.window.showTextDocument(vscode.Uri.file(file), { selection: new vscode.Range(at, at) });
}

export async function goToSource(_session: Session, node: TreeNode): Promise<void> {
  const { file, line = 1, name } = node.target ?? {};
  if (file === undefined) {
    void vscode.window.showInformationMessage(
      `Hot Patch: the source of ${name ?? 'this function'} is not known.`,
    );
    return;
  }
  await showPlace(file, line);
}

export async function copyAddress(_session: Session, node: TreeNode): Promise<void> {
  await vscode.env.clipboard.writeText(node.target?.address ?? '');
}

export async function refresh(session: Session): Promise<void> {
  await session.processes.look({ count: true });
}

export async function checkFile(session: Session, file?: string): Promise<void> {
  const document = await documentOf(file);
  if (!document) return;
  await session.files.check(document.uri.fsPath);
  const check = session.store.state.checks.get(document.uri.fsPath);
  if (check?.kind !== 'done') return;
  const answer = await vscode.window.showInformationMessage(`Hot Patch: ${check.report.message}`, 'Show Log');
  if (answer) session.log.show(true);
}

/** The section of TROUBLESHOOTING.md that has the code as its anchor. */
export async function troubleshoot(session: Session, code?: string): Promise<void> {
  const page = vscode.Uri.joinPath(session.context.extensionUri, 'TROUBLESHOOTING.md');
  await vscode.commands.executeCommand('markdown.showPreview', code ? page.with({ fragment: code }) : page);
}
