// Runs the compiler for one translation unit. Effects only: what to run is command.ts's, what its output means
// is diagnostics.ts's.
import { HotPatchError } from '../model/errors';
import type { CompilerDiagnostic } from '../model/result';

/** A compile that did not produce an object: `compile-failed` or `compiler-not-found`. */
export class CompileError extends HotPatchError {
  constructor(
    code: 'compile-failed' | 'compiler-not-found',
    message: string,
    readonly diagnostics: CompilerDiagnostic[],
    place: HotPatchError['place'] = {},
  ) {
    super(code, message, place);
  }
}
