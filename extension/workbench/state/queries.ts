// Questions that several views ask of the state, answered in one place. Pure.
import type { ErrorCode } from '../../engine/model/errors';
import type { PatchableProcess, PatchedFunction } from '../../engine/model/result';
import { cloneSuffix, isSameFunction, sourceNames } from './function_names';
import type { SourceFunction } from './source_function';
import {
  processKey,
  versionKey,
  type Delivered,
  type EditedFunction,
  type LiveAhead,
  type ProcessKey,
  type Report,
  type RunningVersions,
  type State,
  type UnpreparedProcess,
  type WrittenFile,
} from './state';

/** Processes that answer, the chosen ones only when some are chosen. */
export function targetProcesses(state: State): readonly PatchableProcess[] {
  const { selection, processes = [] } = state;
  return selection.kind === 'all'
    ? processes
    : processes.filter((process) => selection.keys.includes(processKey(process)));
}

/** Of the processes built from the file, those a save would patch. */
export function targetsOf(state: State, file: string): readonly PatchableProcess[] {
  const targets = new Set(targetProcesses(state).map(processKey));
  return (state.matches.get(file) ?? []).filter(
    (process) => process.state === 'ready' && targets.has(processKey(process)),
  );
}

/** Processes that were built from one of the files and were started without the runtime. */
export function unpreparedOf(state: State, files: readonly string[]): readonly UnpreparedProcess[] {
  const keys = new Set(files.flatMap((file) => (state.matches.get(file) ?? []).map(processKey)));
  return state.unprepared.filter((process) => keys.has(processKey(process)));
}

/** Other processes of the same program. */
export function twinsOf(
  { processes = [], unprepared }: State,
  { exe, pid }: PatchableProcess,
): PatchableProcess[] {
  return [...processes, ...unprepared].filter((process) => process.exe === exe && process.pid !== pid);
}

export interface PendingFile {
  readonly file: string;
  readonly written: WrittenFile;
}

/** Files whose text is not, or may not be, what runs. */
export function pendingOf(state: State): PendingFile[] {
  return [...state.written]
    .filter(([, { report }]) => report?.verdict !== 'ready')
    .map(([file, written]) => ({ file, written }))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
}

/** Every file that a report speaks of. */
export function filesOf(report: Report): readonly string[] {
  const places = [...report.diagnostics, ...report.refusals, ...report.warnings];
  return [...new Set([...report.files, ...places.flatMap(({ file }) => file ?? [])])];
}

export interface RunningFunction {
  readonly key: ProcessKey;
  readonly process: PatchableProcess;
  readonly function: PatchedFunction;
}

/** Patched functions, in all processes, that are this function of the file. */
export function runningFunctions(state: State, file: string, source: SourceFunction): RunningFunction[] {
  const all = (functionsByName(state).get(source.name) ?? []).filter(
    (running) => running.function.file === undefined || running.function.file === file,
  );
  const distances = all.map((running) =>
    Math.abs((running.function.line ?? source.nameLine + 1) - source.nameLine - 1),
  );
  // Overloads have one name: the one whose parameters are as many, then the nearest line, is meant.
  const symbols = new Set(all.map(symbolOf));
  if (symbols.size <= 1) return all;
  const sameArity = all.filter((running) => arity(running.function.name) === source.parameters);
  const candidates = sameArity.length > 0 ? sameArity : all;
  const nearest = candidates.reduce((best, running) =>
    distances[all.indexOf(running)]! < distances[all.indexOf(best)]! ? running : best,
  );
  // Instances of one template begin at one line; clones are made of one symbol.
  const { file: ofFile, line } = nearest.function;
  return candidates.filter(
    (running) =>
      symbolOf(running) === symbolOf(nearest) ||
      (line !== undefined && running.function.line === line && running.function.file === ofFile),
  );
}

/** The symbol of the function, also for a clone or a part of it. */
function symbolOf({ function: { symbol } }: RunningFunction): string {
  return symbol.slice(0, symbol.length - cloneSuffix(symbol).length);
}

/** Is this function of the file at -O0 for debugging in a process? */
export function isDeoptimised(state: State, file: string, { name }: SourceFunction): boolean {
  return [...state.statuses.values()].some(({ deoptimised = [] }) =>
    deoptimised.some((fn) => fn.source === file && isSameFunction(fn.name, name)),
  );
}

/** Does the build optimise the file? Only a check knows its command. */
export function isOptimisedFile(state: State, file: string): boolean {
  const check = state.checks.get(file);
  const command = check?.kind === 'done' ? (check.report.command ?? []) : [];
  const level = command.findLast((word) => /^-O/.test(word)) ?? '-O0';
  return level !== '-O0';
}

/** Patched functions that this function of the file, edited, is live in because it is inlined into them. */
export function inlinedInto(
  state: State,
  file: string,
  source: SourceFunction,
): (RunningFunction & { readonly edit: EditedFunction; readonly delivered: Delivered })[] {
  return patchedFunctions(state).flatMap((running) => {
    const { address, version } = running.function;
    const delivered = state.delivered.get(versionKey(running.key, address, version));
    const edit = delivered?.inlined.find((one) => one.file === file && one.name === source.name);
    return delivered && edit ? [{ ...running, edit, delivered }] : [];
  });
}

/** What became live of an edit of this function by a save that is still being confirmed. */
export function liveAhead(state: State, file: string, source: SourceFunction): LiveAhead | undefined {
  const { files = [], live } = state.operation ?? {};
  const isIt = files.includes(file) && live?.functions.some((name) => isSameFunction(name, source.name));
  return isIt ? live : undefined;
}

const indexes = new WeakMap<State, ReadonlyMap<string, RunningFunction[]>>();

/** Each of the hundreds of functions of a file is looked up at every key press. */
function functionsByName(state: State): ReadonlyMap<string, RunningFunction[]> {
  const known = indexes.get(state);
  if (known) return known;
  const index = new Map<string, RunningFunction[]>();
  for (const running of patchedFunctions(state)) {
    for (const name of sourceNames(running.function.name)) {
      const same = index.get(name);
      if (same) same.push(running);
      else index.set(name, [running]);
    }
  }
  indexes.set(state, index);
  return index;
}

export function patchedFunctions(state: State): RunningFunction[] {
  return (state.processes ?? []).flatMap((process) => {
    const key = processKey(process);
    return (state.statuses.get(key)?.functions ?? []).map((f) => ({ key, process, function: f }));
  });
}

/** The source of the version that runs now, where this session knows it. */
export function runningSource(
  state: State,
  file: string,
  running: RunningFunction,
): Pick<Delivered, 'file' | 'text'> | undefined {
  const { key, function: f } = running;
  return state.delivered.get(versionKey(key, f.address, f.version)) ?? checkedSource(state, file, running);
}

/** The source of the original of a function that runs another version now, where this session knows it: the original
 * ran when the file was found to be what runs. */
export function originalSource(
  state: State,
  file: string,
  key: ProcessKey,
  f: PatchedFunction,
): Pick<Delivered, 'file' | 'text'> | undefined {
  const delivered = state.delivered.get(versionKey(key, f.address, 0));
  return delivered ?? checkedSource(state, file, { key, function: { ...f, version: 0 } });
}

/** The text of a file that was last found to be what runs, or made to be. */
export function knownText(state: State, file: string): string | undefined {
  const check = state.checks.get(file);
  return check?.kind === 'done' ? check.known?.text : undefined;
}

/** A check that found the file to be what runs has its text, as long as that version runs. */
function checkedSource(
  state: State,
  file: string,
  running: Pick<RunningFunction, 'key' | 'function'>,
): { file: string; text: string } | undefined {
  const check = state.checks.get(file);
  const known = check?.kind === 'done' ? check.known : undefined;
  return known && ranIn(known.versions, running) ? { file, text: known.text } : undefined;
}

/** Whether the version that runs is one of these. */
export function ranIn(
  versions: RunningVersions,
  { key, function: f }: Pick<RunningFunction, 'key' | 'function'>,
): boolean {
  const ran = versions.get(key);
  return ran !== undefined && (ran.get(f.address) ?? 0) === f.version;
}

/** Number of parameters in a demangled name. */
function arity(demangled: string): number {
  const open = demangled.indexOf('(', demangled.startsWith('(anonymous namespace)') ? 1 : 0);
  let depth = 0;
  let commas = 0;
  for (const character of demangled.slice(open + 1, demangled.lastIndexOf(')'))) {
    if ('(<['.includes(character)) depth++;
    else if (')>]'.includes(character)) depth--;
    else if (character === ',' && depth === 0) commas++;
  }
  return demangled.slice(open + 1).startsWith(')') ? 0 : commas + 1;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `a.c`, `a.c and b.c`, `a.c and 2 more`. */
export function shortList(items: readonly string[]): string {
  const [first = '', second] = items;
  if (items.length <= 1) return first;
  return items.length === 2 ? `${first} and ${second}` : `${first} and ${items.length - 1} more`;
}

/** Codes that tell how a file is compiled: other commands may give another answer. */
export const OF_COMMANDS: ReadonlySet<ErrorCode> = new Set([
  'no-compile-database',
  'bad-compile-database',
  'untrusted-compile-database',
  'no-compile-command',
  'bad-compile-command',
  'flags-differ',
]);

/** Whether a report says nothing but that a file cannot be compiled as it was. */
export function isOfCommands({ refusals, diagnostics }: Pick<Report, 'refusals' | 'diagnostics'>): boolean {
  return (
    refusals.length > 0 && diagnostics.length === 0 && refusals.every(({ code }) => OF_COMMANDS.has(code))
  );
}
