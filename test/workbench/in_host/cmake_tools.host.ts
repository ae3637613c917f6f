// "CMake: Run Without Debugging" of CMake Tools (ms-vscode.cmake-tools 1.13), by what it asks of VS Code (cmakeProject.ts,
// createTerminal and launchTarget): a terminal by vscode.window.createTerminal, named after the target, in its build
// directory, with `env` of the variables from presets, kits and settings and two of its own, which stand beside those that
// extensions add; the program's path is typed into it without a newline, then the newline; the terminal is shown, and used
// again for the next run. Runs in the extension host, on the small program of extension_host.test.ts.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { PatchResult } from '../../../extension/engine/model/result';
import type { HotPatchApi } from '../../../extension/workbench/debugging/api';
import { extensionId, Setting } from '../../../extension/workbench/contributions';
import { until } from '../../support/until';
import { processesOf } from '../host/processes_of';

const folder = process.env['HOT_PATCH_TEST_FOLDER']!;
const program = join(folder, 'program');
const unit = vscode.Uri.file(join(folder, 'unit.c'));
const gate = /^LD_PRELOAD=\S*libhot_fix_gate\.so:/m;

const environmentOf = (pid: number) => readFileSync(`/proc/${pid}/environ`, 'utf8').replaceAll('\0', '\n');
const mapsOf = (pid: number) => readFileSync(`/proc/${pid}/maps`, 'utf8');

describe('a target that CMake Tools runs in a terminal', () => {
  let api: HotPatchApi;
  let text = '';
  const terminals: vscode.Terminal[] = [];
  const started: number[] = [];
  before(async () => {
    api = await vscode.extensions.getExtension<HotPatchApi>(extensionId)!.activate();
    await vscode.window.showTextDocument(unit);
    text = readFileSync(unit.fsPath, 'utf8');
  });
  afterEach(async () => {
    for (const terminal of terminals.splice(0)) terminal.dispose();
    for (const pid of started.splice(0)) process.kill(pid, 'SIGKILL');
    await vscode.workspace
      .getConfiguration()
      .update(Setting.attach, undefined, vscode.ConfigurationTarget.Global);
    await change(() => text);
  });

  /** The variables that a user has in `cmake.environment`. */
  const variables = { CONFIGURED: 'by cmake.environment' };

  async function createTerminal(options: vscode.TerminalOptions, env: Record<string, string | null>) {
    const terminal = vscode.window.createTerminal({
      name: 'CMake/Launch - program',
      cwd: folder,
      ...options,
      env: {
        ...env,
        _CMAKE_TOOLS_LAUNCH_TERMINAL_TARGET_NAME: 'program',
        _CMAKE_TOOLS_LAUNCH_TERMINAL_PATH: vscode.env.shell,
      },
    });
    terminals.push(terminal);
    return { terminal, shell: (await terminal.processId)! };
  }

  async function launch(terminal: vscode.Terminal): Promise<number> {
    const before = new Set(processesOf(program));
    terminal.sendText(program, false);
    terminal.sendText('', true);
    terminal.show(true);
    const [pid] = await until(
      () => processesOf(program).filter((one) => !before.has(one)),
      ({ length }) => length > 0,
    );
    started.push(pid!);
    return pid!;
  }

  async function change(to: (before: string) => string): Promise<void> {
    const document = await vscode.workspace.openTextDocument(unit);
    const edits = new vscode.WorkspaceEdit();
    const all = new vscode.Range(0, 0, document.lineCount, 0);
    edits.replace(unit, all, to(document.getText()));
    assert.ok(await vscode.workspace.applyEdit(edits));
    await document.save();
  }

  /** Which processes a save is live in. */
  async function saved(): Promise<number[]> {
    const ended = new Promise<PatchResult>((resolve) => {
      const subscription = api.onDidPatch((result) => {
        subscription.dispose();
        resolve(result);
      });
    });
    await change((before) => before.replace(/n \* (\d+)/, (_, factor) => `n * ${Number(factor) + 1}`));
    return (await ended).processes.map(({ pid }) => pid);
  }

  /** Saves until one is live in the process: of the first moments of a process a save may not know. */
  async function isPatched(pid: number): Promise<void> {
    await until(saved, (patched) => patched.includes(pid));
    const { functions } = await api.status(pid);
    assert.deepEqual(
      functions.map(({ name, verifiedFromMemory }) => [name, verifiedFromMemory]),
      [['value', true]],
    );
  }

  for (const [which, env] of [
    ['its variables', variables],
    // The gate comes first, and theirs stays.
    ['an LD_PRELOAD of the user', { ...variables, LD_PRELOAD: 'libm.so.6' }],
  ] as const)
    it(`has the runtime from its start, with ${which} in the environment; the next run has too`, async () => {
      // The extension says what terminals get some time after it was activated.
      const { terminal, shell } = await until(
        async () => {
          for (const early of terminals.splice(0)) early.dispose();
          return createTerminal({}, env);
        },
        ({ shell: pid }) => gate.test(environmentOf(pid)),
      );
      if ('LD_PRELOAD' in env)
        assert.match(environmentOf(shell), /^LD_PRELOAD=\S*libhot_fix_gate\.so:libm\.so\.6$/m);
      for (let run = 0; run < 2; run++) {
        const pid = await launch(terminal);
        assert.match(environmentOf(pid), /^CONFIGURED=by cmake\.environment$/m);
        await until(
          () => api.processes(),
          (ready) => ready.some((one) => one.pid === pid),
        );
        await isPatched(pid);
        process.kill(pid, 'SIGKILL');
        started.splice(started.indexOf(pid), 1);
      }
    });

  it('is attached to where its environment is the whole one (strictEnv), in which no extension has a part', async () => {
    await vscode.workspace
      .getConfiguration()
      .update(Setting.attach, 'always', vscode.ConfigurationTarget.Global);
    const whole = Object.fromEntries(
      Object.entries(process.env).map(([name, value]) => [name, value ?? null]),
    );
    // On a remote machine, which this one is to VS Code (1.139), it adds the extensions' part all the same.
    const shellPath = '/usr/bin/env';
    const shellArgs = ['-u', 'LD_PRELOAD', '-u', 'HOT_FIX_GATE', vscode.env.shell];
    const strict = { strictEnv: true, shellPath, shellArgs };
    const { terminal } = await createTerminal(strict, { ...whole, ...variables });
    const pid = await launch(terminal);
    assert.doesNotMatch(environmentOf(pid), /libhot_fix/);
    await isPatched(pid);
    assert.match(mapsOf(pid), /libhot_fix\.so/);
  });
});
