// State and event to state, and nothing else: no effects, no clock, no vscode. What an event means to every part
// of the state stands here in one place, so that two views can never disagree.
import type { AheadReport, PatchableProcess, PatchResult, ProcessStatus } from '../../engine/model/result';
import { checked, checksAfter, isOvertaken, notChecked } from './checked_files';
import { deliveredBy, textOf, withOriginals } from './delivered_versions';
import { readableName } from './function_names';
import type { Event } from './events';
import { ERROR_TABLE } from '../../engine/model/errors';
import { heldLinesAfter, withHeld } from './held_threads';
import { crashed, lostOf, silentAfter, withLost } from './lost_processes';
import { isNotAttached, saysNotAttached } from './not_attached';
import { filesOf, isOfCommands, targetsOf } from './queries';
import {
  processKey,
  type Finished,
  type HistoryEntry,
  type ProcessKey,
  type Report,
  type State,
  type UnpreparedProcess,
} from './state';
import { sourcesWritten, underOthers, writtenAfter, writtenChecked, writtenSince } from './written_files';

const HISTORY_LENGTH = 200;
const EXITS_KEPT = 20;

export function reduce(state: State, event: Event): State {
  switch (event.type) {
    case 'environment':
      return { ...state, environment: { ...state.environment, ...event.environment } };
    case 'commands-changed':
      return { ...state, reports: state.reports.filter((report) => !isOfCommands(report)) };
    case 'processes':
      return processesSeen(state, event.processes, event.unprepared ?? []);
    case 'status':
      return statusRead(state, event);
    case 'twins':
      return { ...state, twins: event.twins };
    case 'silent':
      return { ...state, lost: withLost(state, lostOf(state, event.key, 'silent')) };
    case 'active-file':
      return { ...state, activeFile: event.file };
    case 'open-files':
      return {
        ...state,
        matches: filterKeys(state.matches, (file) => event.files.includes(file)),
      };
    case 'matches':
      return { ...state, matches: new Map(state.matches).set(event.file, event.processes) };
    case 'check-started':
      // A running check keeps the last verdict in sight: a view that goes blank for a second says less.
      return state.checks.has(event.file)
        ? state
        : { ...state, checks: new Map(state.checks).set(event.file, { kind: 'running' }) };
    case 'check-finished':
      if (isOvertaken(state, event)) return state;
      return {
        ...state,
        written: writtenChecked(state, event),
        checks: checked(state, event),
        delivered: withOriginals(state, event.statuses),
      };
    case 'check-failed':
      return { ...state, checks: notChecked(state, event.file) };
    case 'sources-written':
      return { ...state, written: sourcesWritten(state.written, event.files) };
    case 'selection':
      return { ...state, selection: event.selection };
    case 'versions-restored':
      return {
        ...state,
        delivered: new Map([...event.delivered, ...state.delivered]),
        history: [...state.history, ...event.history].sort((a, b) => b.id - a.id).slice(0, HISTORY_LENGTH),
      };
    case 'source-changed':
      return {
        ...state,
        reports: state.reports.filter(
          (report) => report.since >= event.at || !filesOf(report).includes(event.file),
        ),
      };
    case 'compiled-ahead':
      return { ...state, ahead: withAhead(state, event.file, event.report) };
    case 'crashed':
      return crashed(state, event);
    case 'held':
      return withHeld(state, event.threads);
    case 'typed':
      return { ...state, heldLines: heldLinesAfter(state, event.file, event.changes) };
    case 'exited':
      return {
        ...state,
        exits: new Map([...[...state.exits].slice(-EXITS_KEPT), [event.key, event.status]]),
        lost: state.lost.map((one) => (one.key === event.key ? { ...one, exitStatus: event.status } : one)),
      };
    case 'lost-dismissed':
      return { ...state, lost: [] };
    case 'operation-started':
      return {
        ...state,
        lost: [],
        ahead: filterKeys(state.ahead, (file) => !event.files.includes(file)),
        operation: { id: event.id, action: event.action, files: event.files, step: undefined },
      };
    case 'operation-step': {
      const { operation } = state;
      const { id, step, pid, live = operation?.live } = event;
      return operation?.id === id ? { ...state, operation: { ...operation, step, pid, live } } : state;
    }
    case 'attach-finished':
      return attachFinished(state, event);
    case 'operation-superseded':
      return state.operation?.id === event.id ? { ...state, operation: undefined, last: undefined } : state;
    case 'operation-finished':
      return operationFinished(state, event);
  }
}

function withAhead(state: State, file: string, report: AheadReport | undefined): State['ahead'] {
  const ahead = new Map(state.ahead);
  if (report) ahead.set(file, report);
  else ahead.delete(file);
  return ahead;
}

function processesSeen(
  state: State,
  processes: readonly PatchableProcess[],
  unprepared: readonly UnpreparedProcess[],
): State {
  const present = new Set(processes.map(processKey));
  const plain = new Set(unprepared.map(processKey));
  const wasPlain = new Set(state.unprepared.map(processKey));
  const gone = (key: ProcessKey) => !present.has(key);
  const ended = [...state.statuses.keys()]
    .filter(gone)
    .map((key) => lostOf(state, key, 'ended'))
    .filter((lost) => lost !== undefined);
  // The program was started again: that an earlier process of it ended is no news any more. One that is just about to run
  // another program has lost its runtime already, and is no new one.
  const before = new Set([...(state.processes ?? []), ...state.unprepared].map(processKey));
  const pidsBefore = new Set(state.processes?.map(({ pid }) => pid));
  const started = [...processes, ...unprepared.filter(({ pid }) => !pidsBefore.has(pid))]
    .filter((process) => !before.has(processKey(process)))
    .map((process) => process.name);
  const selection =
    state.selection.kind === 'processes' ? state.selection.keys.filter((key) => present.has(key)) : [];
  const matches = new Map(
    [...state.matches].map(([file, matching]) => [
      file,
      matching.filter((process) => {
        const key = processKey(process);
        return process.state === 'ready' ? present.has(key) : plain.has(key) || !wasPlain.has(key);
      }),
    ]),
  );
  const pids = new Set(processes.map((process) => process.pid));
  return {
    ...withHeld(
      state,
      state.held.filter(({ pid }) => pids.has(pid)),
    ),
    processes,
    unprepared,
    written: writtenSince(state, processes),
    statuses: filterKeys(state.statuses, (key) => present.has(key)),
    matches,
    checks: filterKeys(
      state.checks,
      (file) => matches.get(file)?.some((process) => process.state === 'ready') ?? false,
    ),
    last: state.last?.processes.every((pid) => !pids.has(pid)) ? undefined : state.last,
    selection: selection.length > 0 ? { kind: 'processes', keys: selection } : { kind: 'all' },
    lost: [...state.lost.filter((lost) => lost.reason === 'ended' || present.has(lost.key)), ...ended].filter(
      (lost) => lost.reason === 'silent' || !started.includes(lost.name),
    ),
    // What was refused for a process is of no interest once that process is gone.
    reports: state.reports
      .map((report) => {
        if (report.processes.length > 0)
          return report.processes.every(gone) ? { ...report, refusals: [], warnings: [] } : report;
        // It was about which processes there are, and there are others now.
        const refusals = report.refusals.filter(({ code }) => ERROR_TABLE[code].kind !== 'environment');
        return started.length > 0 && refusals.length < report.refusals.length
          ? { ...report, refusals }
          : report;
      })
      .filter(saysSomething),
    delivered: filterKeys(state.delivered, (key) => present.has(key.slice(0, key.indexOf(' ')))),
  };
}

function attachFinished(state: State, { id, results }: Extract<Event, { type: 'attach-finished' }>): State {
  if (state.operation?.id !== id) return state;
  const problems = new Map(results.map(({ pid, problem }) => [pid, problem]));
  return {
    ...state,
    operation: undefined,
    // The save that found it not attached is past.
    last: state.last && isNotAttached(state.last) ? undefined : state.last,
    unprepared: state.unprepared.map((process) => ({
      ...process,
      obstacle: problems.get(process.pid) ?? process.obstacle,
    })),
  };
}

function statusRead(state: State, { key, status, answered }: Extract<Event, { type: 'status' }>): State {
  const lost = answered ? state.lost.filter((one) => one.key !== key) : state.lost;
  const read = new Map([[key, status]]);
  const statuses = newest(state, read);
  if (statuses.get(key) !== status) return { ...state, lost };
  const delivered = withOriginals(state, read);
  return { ...state, statuses, ...underOthers(state, key, status), delivered, lost };
}

/** Each process as it was read last: statuses may come in another order than they were written. */
function newest(state: State, read: State['statuses']): State['statuses'] {
  const isNew = ([key, status]: [ProcessKey, ProcessStatus]) =>
    status.sequence >= (state.statuses.get(key)?.sequence ?? 0);
  return new Map([...state.statuses, ...[...read].filter(isNew)]);
}

function operationFinished(state: State, event: Extract<Event, { type: 'operation-finished' }>): State {
  const operation = state.operation?.id === event.id ? state.operation : undefined;
  if (!operation) return state;
  const { result } = event;
  const finished = finishedOf(operation.action, operation.files, event);
  const statuses = newest(state, event.statuses);
  const keys = keysOf(state, operation.files, result);
  const migrated = result.processes.flatMap((process) => process.migrated ?? []);
  const entry: HistoryEntry = {
    id: event.id,
    at: event.at,
    action: finished.action,
    files: finished.files,
    functions: finished.functions,
    processes: (state.processes ?? [])
      .filter((process) => keys.includes(processKey(process)))
      .map((process) => ({ key: processKey(process), pid: process.pid, name: process.name })),
    milliseconds: finished.milliseconds,
    confirmed: finished.confirmed,
    outcome: finished.outcome,
    partly: finished.partly,
    ...(event.edited[0] && { change: event.edited[0].change }),
    ...(migrated.length > 0 && { migrated }),
    message: finished.refusals[0]?.message ?? finished.errors[0]?.message,
    after: new Map(
      [...statuses]
        .filter(([key]) => keys.includes(key))
        .map(([key, status]) => [key, new Map(status.functions.map((f) => [f.address, f.version]))]),
    ),
  };
  const isMended =
    (finished.action === 'save' || finished.action === 'patch') && finished.outcome === 'patched';
  const crash = isMended ? undefined : state.crash;
  const done = { ...state, operation: undefined, last: finished, statuses, crash };
  return {
    ...done,
    checks: checksAfter(state, operation.files, event),
    written: writtenAfter(state, operation.files, event),
    lost: silentAfter(done, result),
    reports: replaceReports(state.reports, operation.files, {
      since: event.since,
      files: operation.files,
      processes: keys,
      diagnostics: result.diagnostics,
      refusals: result.refusals.filter((problem) => !saysNotAttached(problem)),
      warnings: result.warnings,
    }),
    history: worthRemembering(finished) ? [entry, ...state.history].slice(0, HISTORY_LENGTH) : state.history,
    delivered: new Map([
      ...withOriginals(state, event.statuses, (f) => textOf(event.texts, f)?.file),
      ...deliveredBy(state, operation, event, finished.milliseconds),
    ]),
  };
}

/** Nothing changed and nothing went wrong, or there was nothing to patch: no line in the log of patches. */
function worthRemembering(finished: Finished): boolean {
  return (
    finished.outcome !== 'unchanged' &&
    !isNotAttached(finished) &&
    !finished.refusals.some((problem) => problem.code === 'no-process')
  );
}

function finishedOf(
  action: Finished['action'],
  files: readonly string[],
  { result, edited }: Extract<Event, { type: 'operation-finished' }>,
): Finished {
  // What a person edited leads; what it was compiled into follows.
  const inlined = edited.filter(({ into }) => into.length > 0).map(({ name }) => name);
  const changed = result.changed
    .filter((change) => change.kind !== 'new')
    .map((change) => readableName(change.name));
  const ahead = result.firstLight?.outcome === 'withdrawn' ? undefined : result.firstLight;
  const reported = result.processes.flatMap((process) => process.functions.map((f) => readableName(f.name)));
  return {
    action,
    files,
    outcome: result.outcome,
    milliseconds: Math.round(ahead?.live ?? result.timings['total'] ?? 0),
    confirmed: ahead && { outcome: ahead.outcome, milliseconds: ahead.exact },
    functions: [...new Set([...inlined, ...(changed.length > 0 ? changed : reported)])],
    processes: result.processes.map((process) => process.pid),
    attached: (result.attached ?? []).filter(({ outcome }) => outcome === 'attached'),
    partly: partlyOf(result),
    refusals: result.refusals,
    warnings: result.warnings,
    errors: result.diagnostics.filter((diagnostic) => diagnostic.severity === 'error'),
  };
}

/** Each process takes a save as a whole or not at all; of several, one may and another not. */
function partlyOf({ outcome, processes, refusals }: PatchResult): number[] {
  if (outcome !== 'failed' && outcome !== 'refused') return [];
  const refused = new Set(refusals.map(({ pid }) => pid));
  return processes.map(({ pid }) => pid).filter((pid) => !refused.has(pid));
}

/** The processes that a result is about; those that it was for when it names none (a compile error, say). */
function keysOf(state: State, files: readonly string[], result: PatchResult): ProcessKey[] {
  const pids = new Set([
    ...result.processes.map((process) => process.pid),
    ...result.refusals.flatMap((problem) => (problem.pid === undefined ? [] : [problem.pid])),
  ]);
  const named = (state.processes ?? []).filter((process) => pids.has(process.pid)).map(processKey);
  if (named.length > 0) return named;
  return [...new Set(files.flatMap((file) => targetsOf(state, file)).map(processKey))];
}

/** What was said about these files before is replaced; what was said about other files in the same run stays. */
function replaceReports(reports: readonly Report[], files: readonly string[], report: Report): Report[] {
  const elsewhere = <T extends { file?: string }>(items: readonly T[]) =>
    items.filter((item) => item.file === undefined || !files.includes(item.file));
  const kept = reports
    .map((old) => ({
      ...old,
      files: old.files.filter((file) => !files.includes(file)),
      diagnostics: elsewhere(old.diagnostics),
      refusals: elsewhere(old.refusals),
      warnings: elsewhere(old.warnings),
    }))
    .filter((old) => old.files.length > 0 && saysSomething(old));
  return saysSomething(report) ? [...kept, report] : kept;
}

function saysSomething(report: Report): boolean {
  return report.diagnostics.length + report.refusals.length + report.warnings.length > 0;
}

function filterKeys<K, V>(map: ReadonlyMap<K, V>, keep: (key: K) => boolean): ReadonlyMap<K, V> {
  return [...map.keys()].every(keep) ? map : new Map([...map].filter(([key]) => keep(key)));
}
