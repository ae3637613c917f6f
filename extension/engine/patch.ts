// The way of a save, step by step: compile, compare, check, link, deliver, verify.
import type { EngineContext } from './context';
import type { PatchRequest, Target } from './engine';
import { HotPatchError } from './model/errors';
import type { CheckReport, PatchResult } from './model/result';

export function patchProcesses(_context: EngineContext, _request: PatchRequest): Promise<PatchResult> {
  return Promise.reject(new HotPatchError('internal', 'The pipeline is not built in.'));
}

export function checkFiles(
  _context: EngineContext,
  _files: string[],
  _target: Target,
): Promise<CheckReport[]> {
  return Promise.reject(new HotPatchError('internal', 'The pipeline is not built in.'));
}
