// What comparisons of files with what runs have found. A part of the reducer (reduce.ts). Pure.
//
// A comparison takes seconds, and what it is compared with may go on to other versions before, while and after it is told
// of. So it comes with the statuses of its processes, and is believed of those versions alone.
import type { CheckReport, PatchedFunction, PatchResult, ProcessStatus } from '../../engine/model/result';
import type { Event } from './events';
import type { Check, ProcessKey, RunningVersions, State } from './state';

type OperationFinished = Extract<Event, { type: 'operation-finished' }>;
type CheckFinished = Extract<Event, { type: 'check-finished' }>;

/** Versions in the processes that were looked at. */
export function versionsIn(statuses: ReadonlyMap<ProcessKey, ProcessStatus>): RunningVersions {
  return new Map(
    [...statuses].map(([key, { functions }]) => [
      key,
      new Map(functions.map(({ address, version }) => [address, version])),
    ]),
  );
}

/** Whether all functions are at the same versions. */
function runTheSame(one: ProcessStatus, other: ProcessStatus): boolean {
  const isLike = (a: ProcessStatus, b: ProcessStatus) =>
    a.functions.every((f) => f.version === versionIn(b, f));
  return isLike(one, other) && isLike(other, one);
}

/** Whether a process ran nothing else in between either, as far as its patches say so. */
export function isUntouched(before: ProcessStatus, now: ProcessStatus): boolean {
  const newest = ({ patches }: ProcessStatus) => Math.max(0, ...patches.map(({ id }) => id));
  return runTheSame(before, now) && newest(before) === newest(now);
}

/** Whether it says nothing of what runs now: a save that began later is live, or other versions are. */
export function isOvertaken(state: State, { file, at, statuses }: CheckFinished): boolean {
  const before = state.checks.get(file);
  if (before?.kind === 'done' && before.known && before.known.at > at) return true;
  return [...statuses].some(([key, status]) => {
    const now = state.statuses.get(key);
    return now !== undefined && now.sequence > status.sequence && !runTheSame(now, status);
  });
}

/** Whether another window, or a coding agent, made versions live in a process while the operation was at it: what runs then
 * need not be its text. Functions that only stood in for first light are not in a result. */
export function isOverlapped(
  { statuses }: State,
  { processes, firstLight }: PatchResult,
  key: ProcessKey,
  now: ProcessStatus,
): boolean {
  const before = statuses.get(key);
  const brought = processes.find(({ pid }) => pid === now.pid);
  // Its runtime was given nothing.
  if (!brought) return before !== undefined && !isUntouched(before, now);
  const isIn = (functions: readonly PatchedFunction[], { address, version }: PatchedFunction) =>
    functions.some((f) => f.address === address && f.version === version);
  if (!brought.functions.every((f) => isIn(now.functions, f))) return true;
  if (!before || firstLight) return false;
  const moved = now.functions.filter((f) => f.version !== versionIn(before, f));
  return !moved.every((f) => isIn(brought.functions, f));
}

function versionIn({ functions }: ProcessStatus, { address }: PatchedFunction): number {
  return functions.find((f) => f.address === address)?.version ?? 0;
}

export function checked(state: State, event: CheckFinished): State['checks'] {
  const { file, report, text, at } = event;
  const before = state.checks.get(file);
  const versions = versionsIn(event.statuses);
  const known =
    report.verdict === 'ready' ? { text, versions, at } : before?.kind === 'done' ? before.known : undefined;
  return new Map(state.checks).set(file, { kind: 'done', report, text, versions, at, known });
}

/** Once a whole file is live, its text is known to be what runs, as if it had been checked. */
export function checksAfter(
  state: State,
  files: readonly string[],
  { result, texts, whole, statuses, since: at }: OperationFinished,
): State['checks'] {
  if (!whole || result.outcome === 'refused' || result.outcome === 'failed') return state.checks;
  const versions = versionsIn(
    new Map([...statuses].filter(([key, status]) => !isOverlapped(state, result, key, status))),
  );
  return new Map([
    ...state.checks,
    ...[...texts].flatMap(([file, text]): [string, Check][] => {
      // Texts of other files are those of functions that were patched earlier: nobody has compiled them now.
      if (!files.includes(file)) return [];
      const before = state.checks.get(file);
      const command = before?.kind === 'done' ? before.report.command : undefined;
      const report = { ...whatRuns(file), ...(command && { command }) };
      return [[file, { kind: 'done', report, text, versions, at, known: { text, versions, at } }]];
    }),
  ]);
}

/** Nothing came of it. The verdict before it stands. */
export function notChecked({ checks }: State, file: string): State['checks'] {
  return checks.get(file)?.kind === 'running'
    ? new Map([...checks].filter(([other]) => other !== file))
    : checks;
}

export function whatRuns(file: string): CheckReport {
  return { file, verdict: 'ready', message: 'The file is what runs.', problems: [], timings: {} };
}
