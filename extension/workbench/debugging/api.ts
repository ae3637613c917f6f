// What the extension offers to other extensions: `vscode.extensions.getExtension('hot-patch.hot-patch').exports`.
// Versioned and small; everything in it is plain data of the engine.
import type * as vscode from 'vscode';
import type { PatchableProcess, PatchResult, ProcessStatus } from '../../engine/model/result';
import type { Session } from '../session/session';

export interface HotPatchApi {
  readonly version: 1;
  /** Each patch, revert and refusal of this window as it ends. */
  readonly onDidPatch: vscode.Event<PatchResult>;
  /** Processes of this workspace that have the runtime. */
  processes(): Promise<PatchableProcess[]>;
  status(pid: number): Promise<ProcessStatus>;
  /** As a save does: compiles the files, compares, patches the chosen processes, or those given. */
  patch(files: string[], pids?: number[]): Promise<PatchResult>;
  /** Everything in a process goes back to its original code. */
  revert(pid: number): Promise<PatchResult>;
}

/** @param session undefined where nothing can be patched: another platform, a workspace that is not trusted */
export function createApi(
  session: () => Session | undefined,
  results: vscode.EventEmitter<PatchResult>,
): HotPatchApi {
  const active = (): Session => {
    const found = session();
    if (!found)
      throw new Error('Hot Patch is not active here: it needs Linux (x86-64) and a trusted workspace.');
    return found;
  };
  return {
    version: 1,
    onDidPatch: results.event,
    processes: async () => {
      const { processes, store } = active();
      await processes.look();
      return [...(store.state.processes ?? [])];
    },
    status: async (pid) => active().engine.status(pid),
    patch: async (files, pids) => active().operations.patch({ action: 'patch', files, pids }),
    revert: async (pid) => active().operations.revert('revert', [{ pid, functions: 'all' }]),
  };
}
