// The tree's row of the process that crashed last, with its backtrace: a click on a frame opens its source. Pure.
import { basename } from 'node:path';
import type { CrashFrame } from '../../engine/model/result';
import { TreeItemKind } from '../contributions';
import { qualifiedName } from '../state/function_names';
import type { CrashedProcess } from '../state/state';
import { crashShort, crashText, placeText } from './crash_text';
import { escapeMarkdown } from './markdown';
import type { TreeNode } from './tree_node';

export function crashNode(crash: CrashedProcess): TreeNode {
  const { key, pid, name, report } = crash;
  return {
    id: `crash ${key}`,
    kind: TreeItemKind.crash,
    label: `${name} crashed`,
    description: crashShort(report),
    tooltip: `${escapeMarkdown(crashText(crash, report))}\n\nThread ${escapeMarkdown(report.thread)} (${report.tid}), ${new Date(report.at).toLocaleTimeString()}.`,
    icon: 'bug',
    color: 'error',
    expanded: true,
    target: { key, pid, name },
    children: report.frames.map((frame, index) => frameNode(`crash ${key} ${index}`, frame, report.at)),
  };
}

/** @param at when it crashed, Unix milliseconds */
export function frameNode(id: string, frame: CrashFrame, at: number): TreeNode {
  const { address, module, version, patchedAt, file, line } = frame;
  const isPatched = patchedAt !== undefined;
  const where = file === undefined ? (module === undefined ? '' : basename(module)) : placeText(frame);
  const patch = isPatched ? (version === undefined ? 'patched' : `version ${version}`) : '';
  return {
    id,
    kind: TreeItemKind.frame,
    label: frame.function === undefined ? address : qualifiedName(frame.function),
    description: [where, patch].filter(Boolean).join(' · '),
    tooltip: [
      frame.function ?? address,
      ...(file === undefined ? [] : [`${file}${line === undefined ? '' : `:${line}`}`]),
      ...(module === undefined ? ['no module lies there'] : [`${address} in ${module}`]),
      ...(isPatched ? [`patched ${Math.round((at - patchedAt) / 1000)} s before the crash`] : []),
    ]
      .map(escapeMarkdown)
      .join('\n\n'),
    icon: isPatched ? 'zap' : file === undefined ? 'circle-small' : 'debug-stackframe',
    color: isPatched ? 'live' : undefined,
    ...(file !== undefined && { file, ...(line !== undefined && { line }) }),
    children: [],
  };
}
