// What the engine returned, as an agent reads it: structured, with what was verified in memory, what was refused with its code
// and what to do about it, and in short as text. Pure; decides nothing.
import { hintFor } from '../../engine/model/errors';
import type {
  CheckReport,
  CrashFrame,
  CrashReport,
  PatchedFunction,
  PatchResult,
  Problem,
  ProcessStatus,
  ThreadReport,
} from '../../engine/model/result';
import { checkText, diagnosticText, problemText, resultText, statusText } from '../../engine/model/text';

export interface Answer {
  text: string;
  structured: Record<string, unknown>;
  /** It was refused, or failed: the process runs what it ran before. */
  isError?: boolean;
}

/** A problem with what to do about it. */
const told = (problem: Problem) => ({ ...problem, whatToDo: hintFor(problem.code) });

/** A request that could not be answered at all. */
export function refusalAnswer(problem: Problem): Answer {
  return { text: problemText(problem), structured: { refused: [told(problem)] }, isError: true };
}

/** A function as it runs now, and who has read its entry back from the process's memory. */
function verified(pid: number, entry: PatchedFunction) {
  const { name, symbol, address, version, activeThreads, trampoline, file, line } = entry;
  const isWritten = entry.verified && entry.verifiedFromMemory !== false;
  return {
    pid,
    function: name,
    symbol,
    address,
    version,
    verified: !isWritten ? 'no' : entry.verifiedFromMemory ? 'read from memory' : 'read by the runtime',
    bytes: trampoline.bytesAfter,
    threadsInOldCode: activeThreads,
    ...(file !== undefined && { file }),
    ...(line !== undefined && { line }),
  };
}

/** @param dryRun nothing was delivered */
export function patchAnswer(result: PatchResult, dryRun = false): Answer {
  const { outcome, files, changed, refusals, warnings, diagnostics, timings } = result;
  const symbols = new Set(changed.map(({ symbol }) => symbol));
  const concerned = result.processes.flatMap(({ pid, functions }) =>
    functions
      .filter(({ symbol }) => symbols.size === 0 || symbols.has(symbol))
      .map((entry) => verified(pid, entry)),
  );
  const text = [
    ...diagnostics.map(diagnosticText),
    ...warnings.map((warning) => problemText(warning, 'warning')),
    ...refusals.map((refusal) => problemText(refusal)),
    resultText(result),
  ].join('');
  return {
    text,
    structured: {
      outcome: dryRun && outcome === 'patched' ? 'would-patch' : outcome,
      files,
      changed,
      verified: concerned,
      refused: refusals.map(told),
      warnings: warnings.map(told),
      compilerMessages: diagnostics,
      ...(result.attached && { attached: result.attached }),
      milliseconds: Math.round(timings['total'] ?? 0),
    },
    isError: outcome === 'refused' || outcome === 'failed',
  };
}

export function checkAnswer(reports: readonly CheckReport[]): Answer {
  return {
    text: reports.map(checkText).join(''),
    structured: {
      reports: reports.map(({ problems, timings, ...report }) => ({
        ...report,
        refused: problems.map(told),
        milliseconds: Math.round(timings['total'] ?? 0),
      })),
    },
    isError: reports.some(({ verdict }) => verdict !== 'ready' && verdict !== 'edited'),
  };
}

export function statusAnswer(statuses: readonly ProcessStatus[], warnings: readonly Problem[]): Answer {
  const processes = statuses.map(({ pid, exe, functions, patches }) => ({
    pid,
    exe,
    verified: functions.map((entry) => verified(pid, entry)),
    patches,
  }));
  const text = statuses.map(statusText).join('\n') || 'No process has the runtime.\n';
  return {
    text: warnings.map((warning) => problemText(warning, 'warning')).join('') + text,
    structured: { processes, warnings: warnings.map(told) },
  };
}

export function threadsAnswer(pid: number, threads: readonly ThreadReport[]): Answer {
  const rows = threads.map(({ tid, name, state, isRuntime, frames }) => {
    // What a person calls the place of a thread: the innermost code that has a source.
    const own = frames.findIndex(({ file }) => file !== undefined);
    const shown = own < 0 ? frames : frames.slice(own);
    const where = isRuntime ? 'the runtime' : shown.slice(0, 5).map(frameText).join(' < ');
    return `thread ${tid} ${name}: ${state}${where ? `, ${where}` : ''}\n`;
  });
  return {
    text: `process ${pid}, ${threads.length} threads\n${rows.join('')}`,
    structured: { pid, threads },
  };
}

export function crashAnswer(crash: CrashReport): Answer {
  const { pid, exe, signal, cause, thread, frames } = crash;
  return {
    text: `process ${pid} (${exe}) crashed: ${signal}${cause ? `, ${cause}` : ''}, in thread ${thread}\n${frames
      .map((frame) => `  ${frameText(frame)}\n`)
      .join('')}`,
    structured: { crash },
  };
}

function frameText({ function: name, address, file, line, version }: CrashFrame): string {
  const place = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`;
  return `${name ?? address}${version === undefined ? '' : `, version ${version}`}${place}`;
}
