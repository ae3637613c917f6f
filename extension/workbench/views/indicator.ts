// The status bar's state, found from the one state: which of the things there are to say is said. Pure;
// status_bar.ts shows it.
import type { CheckReport, PatchableProcess, Problem, Step } from '../../engine/model/result';
import type { HeldThread } from '../../engine/model/held';
import { canRetryMended } from '../state/held_threads';
import { isNotAttached } from '../state/not_attached';
import type { Finished, LostProcess, Report, State, UnpreparedProcess } from '../state/state';
import { patchedFunctions, targetProcesses, targetsOf, unpreparedOf } from '../state/queries';
import { problemItems, type ProblemItem } from './problem_items';

export type Indicator =
  | { readonly kind: 'platform' }
  | { readonly kind: 'untrusted' }
  | {
      readonly kind: 'working';
      readonly files: readonly string[];
      readonly step: Step | undefined;
      /** Milliseconds after which the edited functions were live. */
      readonly live?: number | undefined;
    }
  | {
      readonly kind: 'held';
      readonly threads: readonly HeldThread[];
      /** The function of one of them was saved since, and can be called again. */
      readonly canRetry: boolean;
    }
  | { readonly kind: 'lost'; readonly lost: LostProcess }
  | { readonly kind: 'compile-error'; readonly count: number; readonly first: ProblemItem | undefined }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[]; readonly first: Problem }
  | { readonly kind: 'live'; readonly finished: Finished }
  | { readonly kind: 'database' }
  | { readonly kind: 'no-process' }
  | {
      readonly kind: 'not-attached';
      readonly processes: readonly UnpreparedProcess[];
      /** Why the first of them cannot be attached to. */
      readonly obstacle: Problem | undefined;
    }
  | { readonly kind: 'unusable'; readonly process: PatchableProcess }
  | { readonly kind: 'checking'; readonly processes: readonly PatchableProcess[] }
  | { readonly kind: 'mismatch'; readonly report: CheckReport }
  | {
      readonly kind: 'ready';
      readonly processes: readonly PatchableProcess[];
      readonly verdict: 'ready' | 'edited' | undefined;
      readonly patched: number;
    };

/** The first that applies is shown. */
export function indicatorOf(state: State): Indicator {
  if (!state.environment.platform) return { kind: 'platform' };
  if (!state.environment.trusted) return { kind: 'untrusted' };
  if (state.operation) {
    const { files, step, live } = state.operation;
    return { kind: 'working', files, step, ...(live && { live: live.milliseconds }) };
  }
  const { held } = state;
  if (held.length > 0) {
    return { kind: 'held', threads: held, canRetry: held.some((thread) => canRetryMended(state, thread)) };
  }
  const lost = state.lost.at(-1);
  if (lost) return { kind: 'lost', lost };
  const file = isLookedUp(state) ? state.activeFile : undefined;
  const processes = file === undefined ? targetProcesses(state) : targetsOf(state, file);
  return trouble(state) ?? (processes.length === 0 ? nothingToPatch(state) : patchable(state, processes));
}

/** Until it is known what was built from a file, what is said is about the processes that there are. */
function isLookedUp({ activeFile, matches, processes = [] }: State): boolean {
  return activeFile !== undefined && (matches.has(activeFile) || processes.length === 0);
}

/** Files with problems that the status bar does not speak of: those of earlier saves. */
export function olderTroubles(state: State): readonly string[] {
  const shown = shownReports(state);
  const older = state.reports.filter((report) => !shown.includes(report) && report.refusals.some(isShown));
  return [...new Set(older.flatMap(({ files }) => files))];
}

/** What the last save met, also while another file is looked at; after one that went well, what an earlier save met
 * of the file in the editor. */
function shownReports({ last, activeFile, reports }: State): readonly Report[] {
  if (last && (last.outcome === 'refused' || last.outcome === 'failed')) {
    const ofLast = reports.filter(({ files }) =>
      last.files.length === 0 ? files.length === 0 : files.some((file) => last.files.includes(file)),
    );
    if (ofLast.length > 0) return ofLast;
  } else if (last && isFor(last, activeFile)) return [];
  return activeFile === undefined ? [] : reports.filter(({ files }) => files.includes(activeFile));
}

function trouble(state: State): Indicator | undefined {
  const { last } = state;
  const reports = shownReports(state);
  const refusals = reports.flatMap((report) => report.refusals).filter(isShown);
  const failing = reports.filter((report) => report.refusals.some(({ code }) => code === 'compile-failed'));
  // As they are listed: units that include the same header report its errors once each.
  const errors = problemItems({ reports: failing, ahead: new Map() }).filter(
    ({ severity, code }) => severity === 'error' && !(code && 'ours' in code),
  );
  const failed = refusals.find((problem) => problem.code === 'compile-failed');
  if (failed || (last?.outcome === 'failed' && errors.length > 0)) {
    return { kind: 'compile-error', count: errors.length, first: errors[0] };
  }
  const [first] = refusals;
  return first ? { kind: 'refused', problems: refusals, first } : undefined;
}

/** That there is no process is said by the indicator itself. */
function isShown(problem: Problem): boolean {
  return problem.code !== 'no-process';
}

function nothingToPatch(state: State): Indicator {
  const matching = state.activeFile === undefined ? [] : (state.matches.get(state.activeFile) ?? []);
  const unprepared = state.activeFile === undefined ? [] : unpreparedOf(state, [state.activeFile]);
  if (unprepared.length > 0) {
    return { kind: 'not-attached', processes: unprepared, obstacle: obstacleOf(state, unprepared) };
  }
  const process = matching.find(({ state: is }) => is === 'other-user' || is === 'rebuilt');
  if (process) return { kind: 'unusable', process };
  return state.environment.database === false ? { kind: 'database' } : { kind: 'no-process' };
}

/** What the last save met is newer than what was seen beforehand. */
function obstacleOf({ last }: State, processes: readonly UnpreparedProcess[]): Problem | undefined {
  const met = last && isNotAttached(last) ? last.refusals : [];
  return (
    met.find(({ code, pid }) => code !== 'no-runtime' && processes.some((process) => process.pid === pid)) ??
    processes.find(({ obstacle }) => obstacle !== undefined)?.obstacle
  );
}

function patchable(state: State, processes: readonly PatchableProcess[]): Indicator {
  const { last, activeFile } = state;
  if (last && isFor(last, activeFile) && last.outcome !== 'refused' && last.outcome !== 'failed') {
    return { kind: 'live', finished: last };
  }
  const check = activeFile === undefined ? undefined : state.checks.get(activeFile);
  if (check?.kind === 'running') return { kind: 'checking', processes };
  const pids = new Set(processes.map((process) => process.pid));
  const patched = patchedFunctions(state).filter(
    (running) => running.function.version > 0 && pids.has(running.process.pid),
  ).length;
  const report = check?.report;
  if (!report || report.verdict === 'no-process') {
    return { kind: 'ready', processes, patched, verdict: undefined };
  }
  switch (report.verdict) {
    case 'ready':
    case 'edited':
      return { kind: 'ready', processes, patched, verdict: report.verdict };
    default:
      return { kind: 'mismatch', report };
  }
}

function isFor(finished: Finished, file: string | undefined): boolean {
  return file === undefined || finished.files.length === 0 || finished.files.includes(file);
}
