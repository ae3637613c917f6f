// Which problems say only that a process has no runtime: no fault of the edit, so nothing is refused or has failed. What
// the way out is, the problem's own message and the error table say. Pure.
import type { ErrorCode } from '../../engine/model/errors';
import type { PatchResult, Problem } from '../../engine/model/result';

/** `no-runtime`, and what attaching is refused for. */
const CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'no-runtime',
  ...(['debugged', 'stopped', 'static', 'musl', 'architecture', 'seccomp', 'not-dumpable'] as const),
  ...(['file-capability', 'yama', 'old-libc', 'no-safe-point', 'no-memory', 'no-thread'] as const),
  ...(['no-exec', 'not-loaded', 'late', 'ended'] as const),
]);

export function saysNotAttached({ code }: Pick<Problem, 'code'>): boolean {
  return CODES.has(code);
}

/** Nothing came of it because no process that it was for has the runtime. */
export function isNotAttached({
  refusals,
}: Pick<PatchResult, 'refusals'> | { refusals: readonly Problem[] }): boolean {
  return refusals.length > 0 && refusals.every(saysNotAttached);
}
