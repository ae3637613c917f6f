// Processes that are lost: that ended with patched code in them, crashed, or do not answer. What is said of each, pure as
// the rest of the state.
import type { PatchResult } from '../../engine/model/result';
import type { Event } from './events';
import { processKey, type LostProcess, type ProcessKey, type State } from './state';

/** What is to be said of a process; nothing when it ended without patched code, or is not known. */
export function lostOf(
  state: State,
  key: ProcessKey,
  reason: LostProcess['reason'],
): LostProcess | undefined {
  const status = state.statuses.get(key);
  const functions = (status?.functions ?? []).filter((f) => f.version > 0).length;
  const process = state.processes?.find((candidate) => processKey(candidate) === key);
  if (!process || (reason === 'ended' && functions === 0)) return undefined;
  const exitStatus = state.exits.get(key);
  return {
    ...{ key, pid: process.pid, name: process.name, reason, functions },
    ...(exitStatus !== undefined && { exitStatus }),
  };
}

/** The lost ones with one more, in place of what was said of it before. */
export function withLost(state: State, lost: LostProcess | undefined): readonly LostProcess[] {
  return lost ? [...state.lost.filter((old) => old.key !== lost.key), lost] : state.lost;
}

/** The lost ones after an operation in which runtimes did not answer. */
export function silentAfter(state: State, result: PatchResult): State['lost'] {
  const silent = result.refusals.filter((problem) => problem.code === 'runtime-timeout').map((p) => p.pid);
  return (state.processes ?? [])
    .filter((process) => silent.includes(process.pid))
    .reduce(
      (lost, process) => withLost({ ...state, lost }, lostOf(state, processKey(process), 'silent')),
      state.lost,
    );
}

/** Also one that ran no patched code, and one that was started again already is not forgotten for it. */
export function crashed(state: State, { process, report }: Extract<Event, { type: 'crashed' }>): State {
  const key = processKey(process);
  const known = state.lost.find((lost) => lost.key === key);
  const exitStatus = state.exits.get(key);
  const lost: LostProcess = known ?? {
    ...{ key, pid: process.pid, name: process.name, reason: 'ended', functions: 0 },
    ...(exitStatus !== undefined && { exitStatus }),
  };
  const crash = { key, pid: process.pid, name: process.name, report };
  return { ...state, crash, lost: withLost(state, { ...lost, crash: report }) };
}
