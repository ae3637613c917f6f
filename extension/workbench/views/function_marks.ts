// Which functions of a file are marked in its margin: those whose running version is patched in, and those whose
// running version differs from the text. Pure; decorations.ts shows it.
import { isSameFunction } from '../state/function_names';
import type { SourceFunction } from '../state/source_function';
import {
  inlinedInto,
  liveAhead,
  ranIn,
  runningFunctions,
  runningSource,
  targetsOf,
  type RunningFunction,
} from '../state/queries';
import type { Check, State } from '../state/state';

export interface FunctionMark {
  readonly kind: 'live' | 'differs';
  readonly line: number;
  readonly message: string;
}

/** A text whose functions must be known to compare with: of a delivered version, or of the file when it was checked. */
export type ParsedText = (file: string, text: string) => readonly SourceFunction[] | undefined;

type CheckDone = Extract<Check, { kind: 'done' }> & { readonly file: string };

const LIVE = 'This version was patched into the running process.';

/** @param isDirty the functions are those of a text that is not saved */
export function marksOf(
  state: State,
  file: string,
  functions: readonly SourceFunction[],
  parsed: ParsedText,
  isDirty = false,
): FunctionMark[] {
  if (targetsOf(state, file).length === 0) return [];
  return functions.flatMap((source): FunctionMark[] => {
    const running = runningFunctions(state, file, source);
    const hosts = running.length > 0 ? [] : inlinedInto(state, file, source);
    const isPatched = hosts.length > 0 || running.some((one) => one.function.version > 0);
    const mark = (kind: FunctionMark['kind'], message: string) => [{ kind, line: source.startLine, message }];
    if (!isDirty && liveAhead(state, file, source)) return mark('live', LIVE);
    const differs =
      running.length > 0
        ? running.some((one) => {
            const check = checkOf(state, file, one);
            if (!isDirty && check && isOfFile(state, check) && isFoundEdited(check, source)) return true;
            const text = runningSource(state, file, one);
            if (text) return isEdited(source, parsed(text.file, text.text));
            return differsFromChecked(check, source, parsed);
          })
        : hosts.length > 0
          ? hosts.some(({ edit }) => edit.hash !== source.hash)
          : differsFromChecked(checkOf(state, file), source, parsed);
    if (differs)
      return mark('differs', 'The running version differs from the file; save to bring it to life.');
    return isPatched ? mark('live', LIVE) : [];
  });
}

/** The comparison of the file, where it was with the version that runs.
 * @param running none for a function that was never patched: its original has run ever since */
function checkOf(state: State, file: string, running?: RunningFunction): CheckDone | undefined {
  const check = state.checks.get(file);
  if (check?.kind !== 'done') return undefined;
  return !running || ranIn(check.versions, running) ? { ...check, file } : undefined;
}

/** Whether it is of the file as it is, which the editor may not have read again yet. */
function isOfFile({ written }: State, { file, at }: CheckDone): boolean {
  return (written.get(file)?.at ?? at) <= at;
}

function isFoundEdited({ report }: CheckDone, source: SourceFunction): boolean {
  return (
    report.verdict === 'edited' &&
    (report.changed ?? []).some((change) => isSameFunction(change.name, source.name))
  );
}

/** Against the text that was compared with what runs. */
function differsFromChecked(
  check: CheckDone | undefined,
  source: SourceFunction,
  parsed: ParsedText,
): boolean {
  if (!check) return false;
  const { verdict } = check.report;
  return (
    isFoundEdited(check, source) ||
    ((verdict === 'ready' || verdict === 'edited') && isEdited(source, parsed(check.file, check.text)))
  );
}

function isEdited(source: SourceFunction, running: readonly SourceFunction[] | undefined): boolean {
  const twins = running ? hashesByName(running).get(source.name) : undefined;
  return twins !== undefined && !twins.includes(source.hash);
}

const indexes = new WeakMap<readonly SourceFunction[], ReadonlyMap<string, number[]>>();

/** A file has hundreds of functions, and each is looked up in another version of the file at every key press. */
function hashesByName(functions: readonly SourceFunction[]): ReadonlyMap<string, number[]> {
  const known = indexes.get(functions);
  if (known) return known;
  const index = new Map<string, number[]>();
  for (const { name, hash } of functions) index.set(name, [...(index.get(name) ?? []), hash]);
  indexes.set(functions, index);
  return index;
}
