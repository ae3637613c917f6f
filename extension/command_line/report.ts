// What the command line says at the end, and while it works: text or JSON, and an exit status. The statuses are promised in
// `hot-patch --help`.
import type { PatchRequest } from '../engine/engine';
import { diagnosticText, problemText, resultText } from '../engine/model/text';
import { ERROR_TABLE } from '../engine/model/errors';
import type { CheckReport, PatchResult } from '../engine/model/result';

export const DONE = 0;
const COMPILE_ERROR = 1;
const REFUSED = 2;
const NO_PROCESS = 3;
const RUNTIME_FAILED = 4;
export const USAGE = 64;

export function exitStatusOf({ outcome, refusals }: Pick<PatchResult, 'outcome' | 'refusals'>): number {
  if (outcome !== 'refused' && outcome !== 'failed') return DONE;
  const [first] = refusals;
  if (outcome === 'failed' && first) return ERROR_TABLE[first.code].exit;
  return outcome === 'refused' ? REFUSED : RUNTIME_FAILED;
}

export const VERDICT_STATUS: Record<CheckReport['verdict'], number> = {
  ready: DONE,
  edited: DONE,
  'compile-failed': COMPILE_ERROR,
  'no-command': COMPILE_ERROR,
  'flags-differ': REFUSED,
  'other-build': REFUSED,
  'no-process': NO_PROCESS,
};

export const out = (text: string): void => void process.stdout.write(text);
export const err = (text: string): void => void process.stderr.write(text);
export const printJson = (document: unknown): void => out(`${JSON.stringify(document)}\n`);

export function printMessages(result: PatchResult): void {
  for (const diagnostic of result.diagnostics) err(diagnosticText(diagnostic));
  for (const warning of result.warnings) err(problemText(warning, 'warning'));
  for (const refusal of result.refusals) err(problemText(refusal));
}

export function printResult(result: PatchResult, json: boolean): number {
  if (json) printJson(result);
  else {
    printMessages(result);
    const succeeded = result.outcome !== 'refused' && result.outcome !== 'failed';
    (succeeded ? out : err)(resultText(result));
  }
  return exitStatusOf(result);
}

/** The step that runs, on one line of a terminal that each next one replaces; nothing where output is kept. */
export function progress(): { show: NonNullable<PatchRequest['onProgress']>; clear: () => void } {
  const terminal = process.stderr.isTTY;
  const clear = (): void => {
    if (terminal) err('\r\x1b[K');
  };
  return {
    show: ({ step, file }) => {
      if (terminal) err(`\r\x1b[K${step}${file ? ` ${file}` : ''}…`);
    },
    clear,
  };
}
