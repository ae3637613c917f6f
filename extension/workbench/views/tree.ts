// View `hotPatch.trampolines`: shows the nodes of tree_nodes.ts. Counts of threads in old code are asked for again
// while the view is seen (session/process_watch.ts). Decides nothing.
import * as vscode from 'vscode';
import { disassemble } from '../../engine/arch/disassembler';
import { View } from '../contributions';
import type { State } from '../state/state';
import { isChanged, type Store } from '../state/store';
import type { TreeNode } from './tree_node';
import { treeOf } from './tree_nodes';

const COLORS: Record<NonNullable<TreeNode['color']>, vscode.ThemeColor> = {
  error: new vscode.ThemeColor('list.errorForeground'),
  warning: new vscode.ThemeColor('list.warningForeground'),
  live: new vscode.ThemeColor('charts.yellow'),
};

const TREE_PARTS = [
  'processes',
  'unprepared',
  'twins',
  'selection',
  'statuses',
  'lost',
  'crash',
  'held',
  'history',
  'written',
] as const;

export interface Tree extends vscode.Disposable {
  readonly visible: boolean;
  /** Opens the view and selects the first node that the predicate accepts. */
  reveal(isMeant: (node: TreeNode) => boolean): Promise<void>;
}

export function showTree(store: Store): Tree {
  /** Of the state as it is, once they are asked for: a tree that nobody sees costs nothing. */
  let roots: readonly TreeNode[] | undefined;
  const parents = new Map<string, TreeNode>();
  const changed = new vscode.EventEmitter<undefined>();
  const current = (): readonly TreeNode[] => {
    if (!roots) {
      roots = treeOf(store.state);
      parents.clear();
      index(roots, parents);
    }
    return roots;
  };

  const provider: vscode.TreeDataProvider<TreeNode> = {
    onDidChangeTreeData: changed.event,
    getChildren: (node) => [...(node?.children ?? current())],
    getParent: (node) => parents.get(node.id),
    getTreeItem: itemOf,
    resolveTreeItem: (item, node) => {
      item.tooltip = tooltipOf(node);
      return item;
    },
  };
  const view = vscode.window.createTreeView(View.trampolines, {
    treeDataProvider: provider,
    showCollapseAll: true,
  });
  const subscription = store.subscribe((state, previous) => {
    if (!isChanged(state, previous, TREE_PARTS)) return;
    view.badge = badgeOf(state);
    roots = undefined;
    changed.fire(undefined);
  });

  return {
    get visible() {
      return view.visible;
    },
    async reveal(isMeant) {
      await vscode.commands.executeCommand(`${View.trampolines}.focus`);
      const node = find(current(), isMeant);
      if (node) await view.reveal(node, { select: true, focus: true, expand: 2 });
    },
    dispose: () => void vscode.Disposable.from(view, changed, subscription).dispose(),
  };
}

function itemOf(node: TreeNode): vscode.TreeItem {
  const state =
    node.children.length === 0
      ? vscode.TreeItemCollapsibleState.None
      : node.expanded
        ? vscode.TreeItemCollapsibleState.Expanded
        : vscode.TreeItemCollapsibleState.Collapsed;
  const item = new vscode.TreeItem(node.label, state);
  item.id = node.id;
  item.description = node.description;
  item.contextValue = node.kind;
  item.accessibilityInformation = { label: [node.label, node.description].filter(Boolean).join(', ') };
  if (node.file !== undefined) {
    item.resourceUri = vscode.Uri.file(node.file);
    const start = node.line === undefined ? undefined : new vscode.Position(node.line - 1, 0);
    const options = start && { selection: new vscode.Range(start, start) };
    item.command = { title: 'Open', command: 'vscode.open', arguments: [item.resourceUri, options] };
  }
  if (node.icon) item.iconPath = new vscode.ThemeIcon(node.icon, node.color && COLORS[node.color]);
  return item;
}

function tooltipOf(node: TreeNode): vscode.MarkdownString | undefined {
  const markdown = new vscode.MarkdownString(node.tooltip);
  const code = node.target?.code ?? [];
  if (code.length > 0) {
    for (const { title, address, bytes } of code) {
      const instructions = disassemble(Buffer.from(bytes, 'hex'), Number(address));
      // The last one may be only a beginning.
      const lines = instructions.map((one) => `0x${one.address.toString(16)}  ${one.text ?? '…'}`);
      markdown.appendMarkdown(`\n\n${title}:\n`).appendCodeblock(lines.join('\n'), 'asm');
    }
  }
  return markdown.value === '' ? undefined : markdown;
}

function badgeOf(state: State): vscode.ViewBadge | undefined {
  const live = [...state.statuses.values()].flatMap((status) =>
    status.functions.filter((f) => f.version > 0),
  ).length;
  return live === 0 ? undefined : { value: live, tooltip: `${live} functions patched` };
}

function index(nodes: readonly TreeNode[], parents: Map<string, TreeNode>): void {
  for (const node of nodes) {
    for (const child of node.children) parents.set(child.id, node);
    index(node.children, parents);
  }
}

function find(nodes: readonly TreeNode[], isMeant: (node: TreeNode) => boolean): TreeNode | undefined {
  for (const node of nodes) {
    const found = isMeant(node) ? node : find(node.children, isMeant);
    if (found) return found;
  }
  return undefined;
}
