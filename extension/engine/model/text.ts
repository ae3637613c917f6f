// What the engine returns, as text for a terminal. Pure; decides nothing.
import { relative } from 'node:path';
import { hintFor } from './errors';
import type {
  Attachability,
  AttachResult,
  CheckReport,
  CompilerDiagnostic,
  DebuggerCommands,
  MigratedType,
  PatchableProcess,
  PatchedFunction,
  PatchResult,
  Problem,
  ProcessStatus,
  ProgressEvent,
} from './result';

const lines = (...parts: (string | string[])[]): string =>
  parts
    .flat()
    .map((line) => `${line}\n`)
    .join('');

const count = (number: number, noun: string, plural = `${noun}s`): string =>
  `${number} ${number === 1 ? noun : plural}`;

/** A path as one would type it here. */
function shortPath(path: string): string {
  const here = relative(process.cwd(), path);
  return here !== '' && here.length < path.length && !here.startsWith('../..') ? here : path;
}

/** `file:line:column`, as far as it is known; the form that terminals and editors make a link of. */
function place({ file, line, column }: Pick<Problem, 'file' | 'line' | 'column'>): string {
  return [file && shortPath(file), line, column].filter((part) => part !== undefined).join(':');
}

/** Columns padded to their widest cell; the last is not. */
function table(rows: readonly (readonly string[])[], indent = ''): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map(
    (row) =>
      indent +
      row
        .map((cell, column) => (column < row.length - 1 ? cell.padEnd(widths[column] ?? 0) : cell))
        .join('  '),
  );
}

export function problemText(problem: Problem, severity: 'error' | 'warning' = 'error'): string {
  const where = place(problem);
  return lines(
    `${where ? `${where}: ` : ''}${severity}: ${problem.message} [${problem.code}]`,
    `  ${hintFor(problem.code)}`,
    ...(problem.debugger ? debuggerText(problem.debugger) : []),
  );
}

function debuggerText({ name, commands }: DebuggerCommands): string[] {
  const where = name === 'lldb' ? ', where it stands at a breakpoint of your code' : '';
  return [`  Or tell ${name}${where}:`, ...commands.map((command) => `    ${command}`)];
}

export function diagnosticText(diagnostic: CompilerDiagnostic): string {
  const option = diagnostic.option ? ` [${diagnostic.option}]` : '';
  return lines(`${place(diagnostic)}: ${diagnostic.severity}: ${diagnostic.message}${option}`);
}

const milliseconds = (time: number): string => `${time < 10 ? time.toFixed(1) : Math.round(time)} ms`;

/** Times of the steps that took long enough to be worth a word. */
function timingText({ total = 0, ...steps }: Record<string, number>): string {
  const parts = Object.entries(steps)
    .filter(([, time]) => time >= 0.5)
    .map(([step, time]) => `${step} ${milliseconds(time)}`);
  return `${milliseconds(total)}${parts.length > 0 ? ` (${parts.join(', ')})` : ''}`;
}

/** `true`, `false` and "could not be read" of the engine's own look into memory. */
function verification({ verified, verifiedFromMemory }: PatchedFunction): string {
  if (!verified || verifiedFromMemory === false) return 'NOT VERIFIED';
  return verifiedFromMemory ? 'verified in memory' : 'verified by the runtime';
}

function versionName(version: number): string {
  return version === 0 ? 'original' : `version ${version}`;
}

/** What the processes run behind a save that did not end well. Where an answer was lost, its message says it. */
function whatRuns({ processes, refusals }: PatchResult): string {
  if (refusals.some(({ code }) => code === 'answer-lost'))
    return '; see the message for what the process runs';
  const patched = processes.map(({ pid }) => pid);
  return patched.length === 0
    ? '; the process runs as before'
    : `; patched all the same: process ${patched.join(', ')}`;
}

/** Milliseconds, or seconds where they are many. */
export function durationText(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** What is live already while the whole unit is still compiled. */
export function liveText({ milliseconds: time, functions }: NonNullable<ProgressEvent['live']>): string {
  return lines(`live in ${durationText(time)}: ${functions.join(', ')}`);
}

/** When the edited functions were live, and when it was known that they are what the whole unit gives. */
function firstLightText({ firstLight }: Pick<PatchResult, 'firstLight'>): string | undefined {
  if (!firstLight || firstLight.outcome === 'withdrawn') return undefined;
  const { live, exact, outcome, corrected = [] } = firstLight;
  const what = outcome === 'corrected' && corrected.length > 0 ? ` (${corrected.join(', ')})` : '';
  const then = outcome === 'replaced' ? 'exact code' : outcome;
  return `live in ${durationText(live)}, ${then} after ${durationText(exact)}${what}`;
}

/** Of a function that was taken out of the optimisation. */
export const DEOPTIMISED = 'at -O0 for debugging';

/** What a save did to objects of a type with another layout. */
export const migratedText = ({ type, objects }: MigratedType): string =>
  `${count(objects, 'object')} of ${type} migrated`;

/** The outcome of a save: what is on standard output. Refusals and messages are on standard error. */
export function resultText(result: PatchResult): string {
  const changed = new Map(result.changed.map((change) => [change.symbol, change]));
  const took = firstLightText(result) ?? timingText(result.timings);
  const files = result.files.map(shortPath).join(', ');
  switch (result.outcome) {
    case 'unchanged':
      if (files === '') return lines('unchanged: no process is patched');
      return lines(`unchanged: the process runs the code of ${files} already, ${took}`);
    case 'refused':
    case 'failed':
      return lines(`${result.outcome}${files ? `: ${files}` : ''}${whatRuns(result)}`);
    case 'patched':
    case 'reverted': {
      const attached = (result.attached ?? []).map((entry) => attachText(entry).trimEnd());
      if (result.processes.length === 0) {
        const names = result.changed.map(({ name, kind, file, line }) => [
          `  ${name}`,
          kind,
          place({ file, line }),
        ]);
        return lines(
          `${count(result.changed.length, 'function')} would be ${result.outcome}, ${took}`,
          table(names),
        );
      }
      return lines(
        attached,
        result.processes.flatMap(({ pid, exe, functions, migrated = [] }) => {
          const concerned =
            changed.size > 0 ? functions.filter(({ symbol }) => changed.has(symbol)) : functions;
          return [
            `${result.outcome}: ${count(concerned.length, 'function')} in process ${pid} (${exe}), ${took}`,
            ...migrated.map((type) => `  ${migratedText(type)}`),
            ...table([
              ...concerned.map((entry) => {
                const active =
                  entry.activeThreads > 0 ? `, ${count(entry.activeThreads, 'thread')} in old code` : '';
                const how = changed.get(entry.symbol)?.deoptimised ? `, ${DEOPTIMISED}` : '';
                return [
                  `  ${entry.name}`,
                  versionName(entry.version),
                  `${verification(entry)}${active}${how}`,
                ];
              }),
              // Inlined everywhere so far, it has no entry in the process; those that call it now are above.
              ...result.changed
                .filter(
                  ({ symbol, deoptimised }) =>
                    deoptimised && !functions.some((entry) => entry.symbol === symbol),
                )
                .map(({ name }) => [`  ${name}`, 'new', DEOPTIMISED]),
            ]),
          ];
        }),
      );
    }
  }
}

/** Everything about the patched functions of a process. */
export function statusText({
  pid,
  exe,
  functions,
  patches,
  deoptimised = [],
  layouts = [],
}: ProcessStatus): string {
  if (functions.length === 0) return lines(`process ${pid} (${exe}): not patched`);
  return lines(
    `process ${pid} (${exe}): ${count(functions.length, 'function')}, ${count(patches.length, 'patch', 'patches')}`,
    deoptimised.map(
      ({ name, source, line }) => `  ${DEOPTIMISED}: ${name} (${place({ file: source, line })})`,
    ),
    layouts.map(({ type }) => `  objects of ${type} were migrated to another layout`),
    functions.flatMap((entry) => {
      const { trampoline, pages } = entry;
      return [
        '',
        `${entry.name}  ${versionName(entry.version)}, ${verification(entry)}`,
        ...(entry.module === exe ? [] : [`  module      ${entry.module}`]),
        `  trampoline  ${trampoline.address} ${trampoline.kind === 'none' ? 'none: the original code' : `${trampoline.kind} to ${trampoline.target}, written by ${trampoline.method}`}`,
        `  bytes       ${trampoline.bytesBefore} -> ${trampoline.bytesAfter}`,
        ...pages.flatMap(({ start, length, calls }) => [
          `  page        ${start} length ${length}`,
          ...calls.map(
            (call) =>
              `    mprotect(${start}, ${length}, ${call.protection}) = ${call.result}, errno ${call.errno}`,
          ),
        ]),
        ...table(
          entry.versions.map(({ version, address, size, activeThreads }) => [
            `  ${version === entry.version ? '*' : ' '} ${versionName(version)}`,
            address,
            count(size, 'byte'),
            count(activeThreads, 'thread'),
          ]),
        ),
      ];
    }),
  );
}

/** @param seen what processes without the runtime are
 * @param width of the terminal, in cells: command lines are cut to it. */
export function processesText(
  processes: readonly PatchableProcess[],
  seen: ReadonlyMap<number, Attachability>,
  width: number,
): string {
  if (processes.length === 0)
    return lines('No process can be patched. Start a program, or attach to one: hot-patch attach PID');
  const rows = processes.map(({ pid, state, commandLine, name, ...about }) => {
    const attachability = seen.get(pid);
    const problem = about.problem ?? attachability?.problem;
    const others = about.asleep ? 'asleep' : attachability?.outcome === 'attachable' ? 'attachable' : state;
    return [
      String(pid),
      problem ? problem.code : others,
      commandLine.join(' ').replace(/\s+/g, ' ') || name,
      problem ? `${problem.message}. ${hintFor(problem.code)}` : '',
    ];
  });
  // The reason on a line of its own, whole: it is what one came for.
  const listed = table([['PID', 'STATE', 'COMMAND'], ...rows.map((row) => row.slice(0, 3))]);
  return lines(
    listed.flatMap((line, index) => {
      const reason = index > 0 ? rows[index - 1]![3] : '';
      return [line.slice(0, width), ...(reason ? [`    ${reason}`] : [])];
    }),
  );
}

/** What came of attaching, when it was not refused. */
export function attachText({ pid, exe, outcome, pause, milliseconds: took }: AttachResult): string {
  return lines(
    outcome === 'ready'
      ? `ready: process ${pid} (${exe}) has the runtime already`
      : `attached: process ${pid} (${exe}), ${milliseconds(took)}; ${pause === 0 ? 'its runtime was woken' : `one of its threads paused for ${milliseconds(pause)}`}`,
  );
}

/** What came of detaching, for each process that was not refused.
 * @param chosen those that were to be detached from */
export function detachText(
  { processes, refusals }: PatchResult,
  chosen: readonly Pick<PatchableProcess, 'pid' | 'exe'>[],
): string {
  const done = new Map(processes.map((process) => [process.pid, process]));
  const refused = new Set(refusals.map(({ pid }) => pid));
  return lines(
    chosen
      .filter(({ pid }) => !refused.has(pid))
      .map(({ pid, exe }) => {
        const functions = done.get(pid)?.functions;
        if (!functions) return `asleep: process ${pid} (${exe}) was detached from already`;
        const what = functions.length === 0 ? 'nothing was patched' : 'all of it is the original code again';
        return `detached: process ${pid} (${exe}); ${what}`;
      }),
  );
}

export function checkText(report: CheckReport): string {
  const { compared = 0, unchanged = 0 } = report.functions ?? {};
  const compare = report.functions ? ` (${unchanged} of ${count(compared, 'function')} unchanged)` : '';
  return (
    lines(
      `${shortPath(report.file)}: ${report.verdict}${compare}${report.pid === undefined ? '' : `, process ${report.pid}`}`,
      `  ${report.message}`,
      report.command ? [`  ${report.directory ?? ''}$ ${report.command.join(' ')}`] : [],
      (report.changed ?? []).map(
        ({ name, kind, line }) => `  ${kind}: ${name}${line ? `, line ${line}` : ''}`,
      ),
    ) + report.problems.map((problem) => problemText(problem)).join('')
  );
}
