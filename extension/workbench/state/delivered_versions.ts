// The sources of versions: what came of an operation, and the originals that will be asked for once another version runs. A
// part of the reducer (reduce.ts). Pure.
import type { PatchedFunction, PatchResult, ProcessStatus } from '../../engine/model/result';
import { isOverlapped } from './checked_files';
import type { Event } from './events';
import { qualifiedName } from './function_names';
import { originalSource } from './queries';
import {
  versionKey,
  type Delivered,
  type EditedFunction,
  type Operation,
  type ProcessKey,
  type State,
} from './state';

type OperationFinished = Extract<Event, { type: 'operation-finished' }>;

/** The source of an original is known from the time when it ran. It is kept as soon as a process is seen to have gone on
 * from it, whoever tells of that first: the next text that is found to be what runs takes its place. */
export function withOriginals(
  state: State,
  statuses: ReadonlyMap<ProcessKey, ProcessStatus>,
  fileOf: (f: PatchedFunction) => string | undefined = ({ file }) => file,
): State['delivered'] {
  const originals = [...statuses].flatMap(([key, { functions }]) =>
    functions.flatMap((f): [string, Delivered][] => {
      const file = fileOf(f);
      const original = versionKey(key, f.address, 0);
      if (f.version === 0 || file === undefined || state.delivered.has(original)) return [];
      const source = originalSource(state, file, key, f);
      return source ? [[original, { ...source, milliseconds: 0, inlined: [] }]] : [];
    }),
  );
  return originals.length === 0 ? state.delivered : new Map([...state.delivered, ...originals]);
}

/** The source of each version that an operation made live. What the processes run says which, not the outcome: one process
 * may have taken what another refused. */
export function deliveredBy(
  state: State,
  { action, files }: Operation,
  { result, statuses, texts, edited, whole }: OperationFinished,
  milliseconds: number,
): [string, Delivered][] {
  // Going back to an earlier version is no delivery of the text as it is now.
  if (action === 'revert' || action === 'restore' || action === 'detach' || texts.size === 0) return [];
  const isLive = whole && result.outcome !== 'refused' && result.outcome !== 'failed';
  return [...statuses].flatMap(([key, status]) => {
    const before = state.statuses.get(key);
    const isOurs = !isOverlapped(state, result, key, status);
    return status.functions.flatMap((f): [string, Delivered][] => {
      const previous = before?.functions.find((old) => old.address === f.address);
      const text = textOf(texts, f);
      if (text === undefined || previous?.version === f.version || f.version === 0) return [];
      // It may run that version since before the process was first looked at, of a text that is another by now.
      const isWhole = isOurs && (before !== undefined || (isLive && files.includes(text.file)));
      if (!isWhole && !isBrought(result, status.pid, f)) return [];
      const earlier = previous && state.delivered.get(versionKey(key, f.address, previous.version));
      const now = edited.filter(({ into }) => into.includes(qualifiedName(f.name)));
      const inlined = mergeEdits(earlier?.inlined ?? [], now);
      return [[versionKey(key, f.address, f.version), { ...text, milliseconds, inlined }]];
    });
  });
}

function isBrought({ processes }: PatchResult, pid: number, { address, version }: PatchedFunction): boolean {
  const functions = processes.find((one) => one.pid === pid)?.functions ?? [];
  return functions.some((f) => f.address === address && f.version === version);
}

/** Edits since the original: one that was taken back is none. */
function mergeEdits(earlier: readonly EditedFunction[], now: readonly EditedFunction[]): EditedFunction[] {
  const isSame = (a: EditedFunction) => (b: EditedFunction) => a.file === b.file && a.name === b.name;
  return [
    ...earlier.filter((old) => !now.some(isSame(old))),
    ...now.map((edit) => ({ ...edit, before: earlier.find(isSame(edit))?.before ?? edit.before })),
  ].filter(({ before, hash }) => before !== hash);
}

/** A function whose file is not known came from the only file there is, or from one that cannot be told. */
export function textOf(
  texts: ReadonlyMap<string, string>,
  f: PatchedFunction,
): { file: string; text: string } | undefined {
  const file = f.file ?? (texts.size === 1 ? [...texts.keys()][0] : undefined);
  const text = file === undefined ? undefined : texts.get(file);
  return file === undefined || text === undefined ? undefined : { file, text };
}
