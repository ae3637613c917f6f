// The tree's row of a thread that is held after a crash, under its process, with its backtrace. Pure.
import type { HeldThread } from '../../engine/model/held';
import { TreeItemKind } from '../contributions';
import { ownFrameOf } from '../state/held_threads';
import type { ProcessKey } from '../state/state';
import { frameNode } from './crash_nodes';
import { heldText, heldTitle, signalText, wayText, WAYS } from './held_text';
import { escapeMarkdown } from './markdown';
import type { TreeNode } from './tree_node';

export function heldNode(key: ProcessKey, thread: HeldThread, canRetry: boolean): TreeNode {
  const { pid, tid, id, frames, at, ways, refused } = thread;
  const frame = ownFrameOf(thread);
  const node = `${key} held ${tid} ${id}`;
  return {
    id: node,
    kind: TreeItemKind.held,
    label: heldTitle(thread),
    description: [signalText(thread), ...(canRetry ? ['saved: retry the call'] : [])].join(' · '),
    tooltip: [
      escapeMarkdown(heldText(thread)),
      ...ways.map((way) => `*${WAYS[way.kind].title}:* ${escapeMarkdown(wayText(way))}`),
      ...refused.map(
        ({ kind, reason }) => `*${WAYS[kind].title}* is not offered: ${escapeMarkdown(reason)}.`,
      ),
    ].join('\n\n'),
    icon: 'debug-pause',
    color: 'error',
    expanded: false,
    target: { key, pid, held: { pid, tid, id } },
    ...(frame?.file !== undefined && {
      file: frame.file,
      ...(frame.line !== undefined && { line: frame.line }),
    }),
    children: frames.map((one, index) => frameNode(`${node} ${index}`, one, at)),
  };
}
