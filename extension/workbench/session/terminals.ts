// Programs of the workspace that are started in a terminal, by a task or in a debug terminal have the runtime by
// themselves: a gate (terminal_gate.ts) stands in LD_PRELOAD of terminals. Setting hotPatch.terminals. What debuggers of
// other extensions start gets the same (debugging/register.ts).
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { Setting } from '../contributions';
import { setting } from '../settings';
import { loaderTrouble, type RuntimePlaces } from './runtime_library';
import { GATE_VARIABLE, gateValue, isPreloadable, putGate } from './terminal_gate';

const PRELOAD = 'LD_PRELOAD';

export interface Terminals {
  /** Brings what new terminals get up to date.
   * @param folders programs below them get the runtime
   * @param runtime directory of the runtime; undefined: the prebuilt one */
  prepare(folders: readonly string[], runtime: string | undefined): Promise<void>;
  /** The same for a program that is started in another way; empty where terminals get nothing. */
  environment(): Record<string, string>;
}

export function prepareTerminals(
  variables: vscode.EnvironmentVariableCollection,
  places: RuntimePlaces,
  log: (message: string) => void,
): Terminals {
  const prebuilt = join(places.extension, 'dist', 'native', 'lib');

  async function gate(runtime: string) {
    const folder = [places.storage, dataFolder()].find(isPreloadable);
    if (folder === undefined) throw new Error(`no folder without blanks and colons: ${places.storage}`);
    const put = await putGate(folder, prebuilt, runtime);
    const trouble = await loaderTrouble(put.library);
    if (trouble !== undefined) throw new Error(trouble);
    return put;
  }

  return {
    async prepare(folders, runtime = prebuilt) {
      if (!setting(Setting.terminals) || folders.length === 0) return variables.clear();
      try {
        const { library, runtime: link } = await gate(runtime);
        const value = await gateValue(link, folders);
        variables.description = new vscode.MarkdownString(
          'Programs of this workspace that are started here can be patched by saves while they run. Setting `hotPatch.terminals`.',
        );
        // Every change has VS Code mark the open terminals as out of date.
        if (variables.get(PRELOAD)?.value !== `${library}:`) variables.prepend(PRELOAD, `${library}:`);
        if (variables.get(GATE_VARIABLE)?.value !== value) variables.replace(GATE_VARIABLE, value);
      } catch (error) {
        // Programs are attached to, then.
        log(`programs started in terminals do not get the runtime: ${String(error)}`);
        variables.clear();
      }
    },
    environment() {
      const [preload, told] = [PRELOAD, GATE_VARIABLE].map((name) => variables.get(name)?.value);
      const nothing: Record<string, string> = {};
      if (preload === undefined || told === undefined) return nothing;
      return { [PRELOAD]: preload + (process.env[PRELOAD] ?? ''), [GATE_VARIABLE]: told };
    },
  };
}

/** Where a user's programs keep their data (XDG Base Directory Specification); the extension's own folder is below one
 * with a blank in its name in some products. */
function dataFolder(): string {
  return join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'hot-patch');
}
