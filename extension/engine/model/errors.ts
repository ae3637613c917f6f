// Errors as values: every failure carries a code of the one table. Thrown only inside the engine and turned
// into a Problem at its edge (engine.ts); nothing else is thrown on purpose.
import { ERROR_TABLE, type ErrorCode } from './error_table';
import type { Problem } from './result';

export type { ErrorCode } from './error_table';
export { ERROR_TABLE } from './error_table';

/** A failure with a code, a message that names what happened to what, and where. */
export class HotPatchError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly place: Omit<Problem, 'code' | 'message'> = {},
  ) {
    super(message);
    this.name = 'HotPatchError';
  }

  toProblem(): Problem {
    return { code: this.code, message: this.message, ...this.place };
  }
}

/** What to do about a code, in one sentence. */
export function hintFor(code: ErrorCode): string {
  return ERROR_TABLE[code].hint;
}

/**
 * Anything that was thrown, as a problem: our own errors as they are, all else as `internal`.
 * @param log takes the stack of an unexpected error, which says nothing to a user
 */
export function toProblem(thrown: unknown, log?: (level: 'error', message: string) => void): Problem {
  if (thrown instanceof HotPatchError) return thrown.toProblem();
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof Error && thrown.stack) log?.('error', thrown.stack);
  return { code: 'internal', message: `Internal error: ${message}. The log has where it happened.` };
}
