// A node of the tree as plain data: tree_nodes.ts and crash_nodes.ts make them, tree.ts shows them, commands are given them.
import type { TreeItemKind } from '../contributions';
import type { HeldTarget } from '../state/held_threads';
import type { ProcessKey } from '../state/state';

export interface TreeNode {
  /** The same thing has the same id in every state, so that the tree keeps its expansion and selection. */
  readonly id: string;
  readonly kind: TreeItemKind;
  readonly label: string;
  readonly description?: string;
  /** Markdown. */
  readonly tooltip?: string;
  readonly icon?: string;
  readonly color?: 'error' | 'warning' | 'live';
  readonly expanded?: boolean;
  readonly children: readonly TreeNode[];
  readonly target?: NodeTarget;
  /** The file that it stands for; a click opens it, at the line (1-based) where there is one. */
  readonly file?: string;
  readonly line?: number;
}

/** What an action on a node is about. */
export interface NodeTarget {
  readonly key: ProcessKey;
  readonly pid: number;
  readonly name?: string;
  readonly address?: string;
  readonly version?: number;
  readonly file?: string;
  readonly line?: number;
  readonly held?: HeldTarget;
  /** Bytes to show as instructions, with the address they are at. */
  readonly code?: readonly { readonly title: string; readonly address: string; readonly bytes: string }[];
}
