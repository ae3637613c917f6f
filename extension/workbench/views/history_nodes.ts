// The log of patches, newest first, as plain nodes. Pure; history.ts shows it.
import { basename } from 'node:path';
import type { Outcome } from '../../engine/model/result';
import { migratedText } from '../../engine/model/text';
import { TreeItemKind } from '../contributions';
import { qualifiedName } from '../state/function_names';
import { shortList } from '../state/queries';
import { confirmedText } from './first_light_text';
import type { Action, HistoryEntry, ProcessKey, State } from '../state/state';
import { processKey } from '../state/state';

export interface HistoryNode {
  readonly id: string;
  readonly kind: TreeItemKind;
  readonly label: string;
  readonly description: string;
  readonly tooltip: string;
  readonly icon: string;
  readonly failed: boolean;
  readonly entry: number;
}

/** In front of the functions; a save needs no word. */
const ACTIONS: Record<Action, string> = {
  save: '',
  patch: '',
  load: 'Loaded ',
  revert: 'Reverted ',
  restore: 'Went back: ',
  'bring-over': 'Brought over ',
  attach: 'Attached ',
  detach: 'Detached ',
};

const ICONS: Record<Outcome, string> = {
  patched: 'zap',
  unchanged: 'zap',
  reverted: 'discard',
  refused: 'shield',
  failed: 'error',
};

export function historyOf(state: State): HistoryNode[] {
  const alive = new Set((state.processes ?? []).map(processKey));
  return state.history.map((entry) => historyNode(state, entry, alive));
}

/** Versions that going back to this entry would change, for each process that still runs. */
export function stepsBackTo(
  state: State,
  entry: HistoryEntry,
): { pid: number; functions: { address: string; version: number }[] }[] {
  return (state.processes ?? []).flatMap((process) => {
    const then = entry.after.get(processKey(process));
    const now = state.statuses.get(processKey(process))?.functions ?? [];
    if (!then) return [];
    const functions = now
      .map((f) => ({ address: f.address, version: then.get(f.address) ?? 0, current: f.version }))
      .filter((f) => f.version !== f.current)
      .map(({ address, version }) => ({ address, version }));
    return functions.length > 0 ? [{ pid: process.pid, functions }] : [];
  });
}

function historyNode(state: State, entry: HistoryEntry, alive: ReadonlySet<ProcessKey>): HistoryNode {
  const partly = entry.partly.length > 0;
  const failed = !partly && (entry.outcome === 'refused' || entry.outcome === 'failed');
  // Instances of a template, and overloads, are one function to the person who edited it.
  const functions = [...new Set(entry.functions.map(qualifiedName))];
  const what = functions.length > 0 ? functions : entry.files.map((file) => basename(file));
  const restorable =
    !failed &&
    entry.processes.some((process) => alive.has(process.key)) &&
    stepsBackTo(state, entry).length > 0;
  const processes = entry.processes.map((process) => `${process.name} (${process.pid})`);
  const migrated = (entry.migrated ?? []).map(migratedText);
  const outcome = failed ? entry.outcome : `${entry.milliseconds} ms${confirmedText(entry.confirmed)}`;
  return {
    id: `history ${entry.id}`,
    kind: restorable ? TreeItemKind.restorableEntry : TreeItemKind.historyEntry,
    label: `${ACTIONS[entry.action]}${shortList(what)}`.trimEnd(),
    description: [
      failed && outcome,
      partly && `live in ${entry.partly.length} of ${processes.length} processes`,
      entry.change,
      ...migrated,
      !failed && outcome,
      time(entry.at),
      !partly && (processes.length <= 1 ? processes[0] : `${processes.length} processes`),
    ]
      .filter(Boolean)
      .join(' · '),
    tooltip: [
      new Date(entry.at).toLocaleString(),
      ...(entry.message ? [entry.message] : []),
      ...(entry.change === undefined ? [] : [entry.change]),
      ...migrated,
      ...(entry.functions.length > 0 ? [`Functions: ${entry.functions.join(', ')}`] : []),
      ...(entry.files.length > 0 ? [`Files: ${entry.files.join(', ')}`] : []),
      ...(processes.length > 0 ? [`Processes: ${processes.join(', ')}`] : []),
      `Outcome: ${entry.outcome}, ${entry.milliseconds} ms${confirmedText(entry.confirmed)}`,
    ].join('\n'),
    icon: partly ? 'warning' : ICONS[entry.outcome],
    failed,
    entry: entry.id,
  };
}

function time(at: number): string {
  return new Date(at).toTimeString().slice(0, 8);
}
