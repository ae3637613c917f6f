// What the debug adapter asks of the engine, so that in the editor its patches go the same way as those of a save
// (and are seen by every view), and without an editor straight to the engine. Types, and the straight way.
import type { Engine } from '../engine/engine';
import type { PatchableProcess, PatchResult, ProcessStatus } from '../engine/model/result';

export type FunctionVersions = 'all' | { address: string; version: number }[];

export interface PatchAccess {
  processes(): Promise<PatchableProcess[]>;
  status(pid: number, options?: { refresh?: boolean }): Promise<ProcessStatus>;
  /** `base` with what brings the runtime into that program. */
  runEnvironment(base: NodeJS.ProcessEnv, program: string): Promise<NodeJS.ProcessEnv>;
  /** Whether a program that is restarted has its live patches again. */
  bringsOver(): boolean;
  /** `bring-over`: to a process that was started again. */
  patch(files: string[], pid: number, reason: 'patch' | 'bring-over'): Promise<PatchResult>;
  revert(pid: number, functions: FunctionVersions): Promise<PatchResult>;
  /** Results of whoever asked, saves included. Returns what ends it. */
  onResult(listener: (result: PatchResult) => void): () => void;
}

/** Without an editor. */
export function directAccess(engine: Engine): PatchAccess {
  const listeners = new Set<(result: PatchResult) => void>();
  const told = (result: PatchResult): PatchResult => {
    for (const listener of listeners) listener(result);
    return result;
  };
  return {
    processes: () => engine.processes(),
    status: (pid, options) => engine.status(pid, options),
    runEnvironment: (base, program) => Promise.resolve(engine.runEnvironment(base, program)),
    bringsOver: () => true,
    patch: async (files, pid) => told(await engine.patch({ files, target: { kind: 'pid', pids: [pid] } })),
    revert: async (pid, functions) => told(await engine.revert({ pids: [pid], functions })),
    onResult(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
