// The Problems entries of the state: compiler messages, warnings, refusals at the line that causes them, also those that a
// save of the unsaved text would meet. Pure; problems.ts hands them to VS Code.
import type { CompilerDiagnostic, Problem } from '../../engine/model/result';
import { ERROR_TABLE, type ErrorCode } from '../../engine/model/errors';
import type { Report, State } from '../state/state';

export interface ProblemItem {
  readonly file: string;
  /** 0-based; an end of undefined is the end of the word that begins there. */
  readonly start: { readonly line: number; readonly column: number };
  readonly end: { readonly line: number; readonly column: number } | undefined;
  readonly severity: 'error' | 'warning' | 'information';
  readonly message: string;
  /** One of ours, with a section in TROUBLESHOOTING.md, or the compiler's option. */
  readonly code: { readonly ours: ErrorCode } | { readonly option: string } | undefined;
  readonly notes: readonly Omit<ProblemItem, 'notes' | 'severity' | 'code'>[];
}

export function problemItems(state: Pick<State, 'reports' | 'ahead'>): ProblemItem[] {
  const reported = state.reports.flatMap((report) => [
    ...compilerItems(report.diagnostics),
    ...report.refusals
      .filter((problem) => isShown(problem, report))
      .map((problem) => ownItem(problem, report.files, 'error')),
    ...report.warnings.map((problem) => ownItem(problem, report.files, 'warning')),
  ]);
  const foreseen = [...state.ahead].flatMap(([file, { refusals }]) =>
    refusals
      .filter(({ code }) => ERROR_TABLE[code].shown === 'problems')
      .map((problem) => ({ ...problem, message: `A save would be refused: ${problem.message}` }))
      .map((problem) => ownItem(problem, [file], 'warning')),
  );
  const items = [...reported, ...foreseen];
  // The same header is compiled into several units, and its messages come once for each.
  const seen = new Set<string>();
  return items.filter((item) => {
    if (item.file === '') return false;
    // How the header came into each unit is a note.
    const text = JSON.stringify({ ...item, notes: [] });
    return !seen.has(text) && seen.add(text);
  });
}

/** A compiler that failed without a message that has a place (a wrong option, say) is shown after all. */
function isShown(problem: Problem, report: Report): boolean {
  const { shown } = ERROR_TABLE[problem.code];
  if (shown === 'compiler') return !report.diagnostics.some((d) => d.severity === 'error');
  return shown === 'problems';
}

function compilerItems(diagnostics: readonly CompilerDiagnostic[]): ProblemItem[] {
  const items: (ProblemItem & { notes: ProblemItem['notes'][number][] })[] = [];
  for (const diagnostic of diagnostics) {
    const place = {
      file: diagnostic.file,
      start: position(diagnostic.line, diagnostic.column),
      end: range(diagnostic.endLine, diagnostic.endColumn),
      message: diagnostic.message,
    };
    // Compilers print a note after the message that it explains.
    if (diagnostic.severity === 'note') items.at(-1)?.notes.push(place);
    else {
      const code = diagnostic.option === undefined ? undefined : { option: diagnostic.option };
      items.push({ ...place, severity: diagnostic.severity, code, notes: [] });
    }
  }
  return items;
}

function ownItem(problem: Problem, files: readonly string[], severity: 'error' | 'warning'): ProblemItem {
  return {
    file: problem.file ?? files[0] ?? '',
    start: position(problem.line, problem.column),
    end: range(problem.endLine, problem.endColumn),
    severity,
    message: `${problem.message}\n${ERROR_TABLE[problem.code].hint}`,
    code: { ours: problem.code },
    notes: [],
  };
}

function position(line = 1, column = 1): ProblemItem['start'] {
  return { line: Math.max(0, line - 1), column: Math.max(0, column - 1) };
}

function range(line: number | undefined, column: number | undefined): ProblemItem['end'] {
  return line === undefined || column === undefined ? undefined : position(line, column);
}
