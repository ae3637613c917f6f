// Context keys for the `when` clauses of package.json: which welcome view, which commands can work. From the state;
// decides nothing.
import * as vscode from 'vscode';
import type { ContextKey } from '../contributions';
import type { Store } from '../state/store';
import { contextOf } from './context_values';

export function setContextKeys(store: Store): vscode.Disposable {
  const set = new Map<ContextKey, unknown>();
  const render = () => {
    for (const [key, value] of Object.entries(contextOf(store.state)) as [ContextKey, unknown][]) {
      if (set.get(key) === value) continue;
      set.set(key, value);
      void vscode.commands.executeCommand('setContext', key, value);
    }
  };
  render();
  return store.subscribe(render);
}
