// Which functions of a file are marked in its margin: those whose running version is patched in, and those whose
// running version differs from the text. Pure; decorations.ts shows it.
import { isSameFunction } from '../state/function_names';
import type { SourceFunction } from '../state/source_function';
import { inlinedInto, liveAhead, runningFunctions, runningSource, targetsOf } from '../state/queries';
import type { State } from '../state/state';

export interface FunctionMark {
  readonly kind: 'live' | 'differs';
  readonly line: number;
  readonly message: string;
}

/** A text whose functions must be known to compare with: of a delivered version, or of the file when it was checked. */
export type ParsedText = (file: string, text: string) => readonly SourceFunction[] | undefined;

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
            const text = runningSource(state, file, one);
            if (text) return isEdited(source, parsed(text.file, text.text));
            return one.function.version === 0 && differsFromOriginal(state, file, source, parsed);
          })
        : hosts.length > 0
          ? hosts.some(({ edit }) => edit.hash !== source.hash)
          : differsFromOriginal(state, file, source, parsed);
    if (differs)
      return mark('differs', 'The running version differs from the file; save to bring it to life.');
    return isPatched ? mark('live', LIVE) : [];
  });
}

/** A function that was never patched, against the text that was found to be what runs. */
function differsFromOriginal(
  state: State,
  file: string,
  source: SourceFunction,
  parsed: ParsedText,
): boolean {
  const check = state.checks.get(file);
  if (check?.kind !== 'done') return false;
  const { report, text } = check;
  if (
    report.verdict === 'edited' &&
    report.changed?.some((change) => isSameFunction(change.name, source.name))
  ) {
    return true;
  }
  return (report.verdict === 'ready' || report.verdict === 'edited') && isEdited(source, parsed(file, text));
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
