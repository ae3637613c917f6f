// Files that were written since the programs that run were built from them, and what is known of how their texts compare
// with what runs. A part of the reducer (reduce.ts). Pure.
import type { PatchableProcess, ProcessStatus } from '../../engine/model/result';
import { isOverlapped, whatRuns } from './checked_files';
import type { Event } from './events';
import { targetsOf } from './queries';
import { processKey, type Finished, type ProcessKey, type State, type WrittenFile } from './state';

/** What is known of a text stays known until the file is written again. */
export function sourcesWritten(
  known: State['written'],
  files: ReadonlyMap<string, number>,
): State['written'] {
  const written = new Map(
    [...files].map(([file, at]): [string, WrittenFile] => {
      const before = known.get(file);
      return [file, before && before.at >= at ? before : { at, report: undefined }];
    }),
  );
  const isSame = written.size === known.size && [...written].every(([file, one]) => known.get(file) === one);
  return isSame ? known : written;
}

export function writtenChecked(
  { written }: State,
  { file, at, report }: Extract<Event, { type: 'check-finished' }>,
): State['written'] {
  const before = written.get(file);
  return before && before.at <= at ? new Map(written).set(file, { at: before.at, report }) : written;
}

/** Nothing is known of them any more: other processes run, or other versions. */
function compareAgain(written: State['written'], isMeant: (file: string) => boolean): State['written'] {
  return new Map(
    [...written].map(([file, one]) => [file, isMeant(file) ? { at: one.at, report: undefined } : one]),
  );
}

/** A process that has only started may run other versions than those that a file was compared with. */
export function writtenSince(state: State, processes: readonly PatchableProcess[]): State['written'] {
  if (processes.length === 0) return state.written.size === 0 ? state.written : new Map();
  const known = new Set((state.processes ?? []).map(processKey));
  const isOther = processes.some((process) => !known.has(processKey(process)));
  return isOther ? compareAgain(state.written, () => true) : state.written;
}

/** Another window, or the command line, may have made other versions live: what was known of their files is not so any
 * more, and neither is what was told of the last save of one. */
export function underOthers(
  { written, last, statuses }: State,
  key: ProcessKey,
  now: ProcessStatus,
): Pick<State, 'written' | 'last'> {
  const before = statuses.get(key);
  const known = new Map(before?.functions.map((f) => [f.address, f.version]));
  const moved = now.functions.filter((f) => f.version !== (known.get(f.address) ?? 0)).map((f) => f.file);
  if (!before || moved.length === 0) return { written, last };
  const isTold =
    last && (last.files.length === 0 || last.files.some((file) => moved.includes(file))) && !isBad(last);
  return {
    written: compareAgain(written, (file) => moved.includes(file)),
    last: isTold ? undefined : last,
  };
}

/** What it met is still so. */
function isBad({ outcome }: Finished): boolean {
  return outcome === 'refused' || outcome === 'failed';
}

/** A file that is live as a whole is what runs until it is written again, which may have been meanwhile; one whose functions
 * went back may not be. */
export function writtenAfter(
  state: State,
  files: readonly string[],
  { result, since, whole, statuses, texts }: Extract<Event, { type: 'operation-finished' }>,
): State['written'] {
  const { written } = state;
  if (result.outcome === 'refused' || result.outcome === 'failed') return written;
  if (files.length > 0 && whole) {
    // Of one whose status could not be read nobody knows what it runs.
    const isRead = [...files.flatMap((file) => targetsOf(state, file)), ...result.processes].every(
      (process) => [...statuses.values()].some(({ pid }) => pid === process.pid),
    );
    const isOurs = isRead && ![...statuses].some(([key, status]) => isOverlapped(state, result, key, status));
    const live = files.map((file): [string, WrittenFile] => {
      const at = written.get(file)?.at ?? since;
      const isKnown = isOurs && texts.has(file) && at <= since;
      return [file, { at: Math.max(since, at), report: isKnown ? whatRuns(file) : undefined }];
    });
    return new Map([...written, ...live]);
  }
  const concerned = [...statuses.values()].flatMap((status) => status.functions.map((f) => f.file));
  return compareAgain(written, (file) => files.includes(file) || concerned.includes(file));
}
