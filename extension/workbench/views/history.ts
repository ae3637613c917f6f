// View `hotPatch.history`: the log of patches (history_nodes.ts). Its inline action goes back to the state that an
// entry left (commands/revert.ts).
import * as vscode from 'vscode';
import { View } from '../contributions';
import { isChanged, type Store } from '../state/store';
import { historyOf, type HistoryNode } from './history_nodes';

export function showHistory(store: Store): vscode.Disposable {
  const changed = new vscode.EventEmitter<undefined>();
  const provider: vscode.TreeDataProvider<HistoryNode> = {
    onDidChangeTreeData: changed.event,
    getChildren: (node) => (node ? [] : historyOf(store.state)),
    getTreeItem: (node) => {
      const item = new vscode.TreeItem(node.label);
      item.id = node.id;
      item.description = node.description;
      item.tooltip = node.tooltip;
      item.contextValue = node.kind;
      item.iconPath = new vscode.ThemeIcon(
        node.icon,
        node.failed ? new vscode.ThemeColor('list.errorForeground') : undefined,
      );
      item.accessibilityInformation = { label: `${node.label}, ${node.description}` };
      return item;
    },
  };
  return vscode.Disposable.from(
    changed,
    vscode.window.createTreeView(View.history, { treeDataProvider: provider }),
    store.subscribe((state, previous) => {
      if (isChanged(state, previous, ['history', 'statuses', 'processes'])) changed.fire(undefined);
    }),
  );
}
