// What other extensions and VS Code itself are given: commands, lenses, diagnostics, tasks, and the settings that
// change them. Runs in the extension host, on the small program of extension_host.test.ts.
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as vscode from 'vscode';
import type { HotPatchApi } from '../../../extension/workbench/debugging/api';
import type { PatchResult, ProcessStatus } from '../../../extension/engine/model/result';
import { Command, debugType, extensionId, Setting } from '../../../extension/workbench/contributions';

const folder = process.env['HOT_PATCH_TEST_FOLDER']!;
const unit = vscode.Uri.file(join(folder, 'unit.c'));

/** Asks again at every event, or now and then where none tells, until the answer is the wanted one. */
async function until<T>(
  event: vscode.Event<unknown> | 'asked',
  ask: () => Promise<T> | T,
  isWanted: (answer: T) => boolean,
): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    if (event === 'asked') await setTimeout(20);
    else
      await new Promise<void>((resolve) => {
        const subscription = event(() => {
          subscription.dispose();
          resolve();
        });
      });
  }
}

async function lenses(uri: vscode.Uri): Promise<string[]> {
  const found = await vscode.commands.executeCommand<vscode.CodeLens[]>(
    'vscode.executeCodeLensProvider',
    uri,
    1000,
  );
  return found.map((lens) => `${lens.range.start.line}: ${lens.command?.title}`);
}

function diagnostics(): vscode.Diagnostic[] {
  return vscode.languages.getDiagnostics(unit).filter((diagnostic) => diagnostic.source === 'Hot Patch');
}

async function edit(
  change: (document: vscode.TextDocument, edit: vscode.WorkspaceEdit) => void,
): Promise<vscode.TextDocument> {
  const document = await vscode.workspace.openTextDocument(unit);
  const edits = new vscode.WorkspaceEdit();
  change(document, edits);
  assert.ok(await vscode.workspace.applyEdit(edits));
  return document;
}

const replace = (from: string, to: string) =>
  edit((document, edits) => {
    const at = document.getText().indexOf(from);
    assert.ok(at >= 0, `no ${from} in ${document.getText()}`);
    edits.replace(unit, new vscode.Range(document.positionAt(at), document.positionAt(at + from.length)), to);
  });

const api = () => vscode.extensions.getExtension<HotPatchApi>(extensionId)!.exports;

/** The debug session that begins when this is done. */
async function started(start: () => Thenable<unknown>): Promise<vscode.DebugSession> {
  const beginning = new Promise<vscode.DebugSession>((resolve) => {
    const subscription = vscode.debug.onDidStartDebugSession((session) => {
      subscription.dispose();
      resolve(session);
    });
  });
  await start();
  return beginning;
}

async function ended(session: vscode.DebugSession): Promise<void> {
  const ending = new Promise<void>((resolve) => {
    const subscription = vscode.debug.onDidTerminateDebugSession((one) => {
      if (one.id !== session.id) return;
      subscription.dispose();
      resolve();
    });
  });
  await vscode.debug.stopDebugging(session);
  await ending;
}

/** A project with the CMake lines in it, built: what `cmake` and the compiler say when they fail is the message. */
async function build(lines: string): Promise<void> {
  const directory = join(folder, 'cmake');
  mkdirSync(directory);
  const project = `cmake_minimum_required(VERSION 3.14)\nproject(built C)\nadd_executable(your_program main.c)\n`;
  writeFileSync(join(directory, 'CMakeLists.txt'), project + lines);
  writeFileSync(
    join(directory, 'main.c'),
    '#include <hot_fix.h>\nint main(void) { return init_hot_fix_signal(); }\n',
  );
  for (const args of [
    ['-S', '.', '-B', 'build'],
    ['--build', 'build', '-j2'],
  ])
    await promisify(execFile)('cmake', args, { cwd: directory });
}

describe('the extension', () => {
  before(async () => {
    await vscode.window.showTextDocument(unit);
    await vscode.extensions.getExtension(extensionId)!.activate();
  });

  it('registers every command that it contributes', async () => {
    const registered = new Set(await vscode.commands.getCommands(true));
    assert.deepEqual(
      Object.values(Command).filter((command) => !registered.has(command)),
      [],
    );
  });

  it('has lenses on the functions of unsaved text', async () => {
    await until(
      'asked',
      () => lenses(unit),
      (titles) => titles.includes('0: ⚡ Hot Patch'),
    );
    await edit((_document, edits) =>
      edits.insert(unit, new vscode.Position(0, 0), 'static int unsaved(void) {\n  return 1;\n}\n'),
    );
    assert.deepEqual(await lenses(unit), ['0: ⚡ Hot Patch', '3: ⚡ Hot Patch']);
    await vscode.commands.executeCommand('undo');
    assert.deepEqual(await lenses(unit), ['0: ⚡ Hot Patch']);
  });

  it('has no lenses when they are turned off', async () => {
    const configuration = vscode.workspace.getConfiguration();
    await configuration.update(Setting.codeLens, false, vscode.ConfigurationTarget.Global);
    assert.deepEqual(await lenses(unit), []);
    await configuration.update(Setting.codeLens, undefined, vscode.ConfigurationTarget.Global);
    assert.deepEqual(await lenses(unit), ['0: ⚡ Hot Patch']);
  });

  it('reports a compile error with its range, and a refusal with the way to its explanation', async () => {
    const changed = vscode.languages.onDidChangeDiagnostics;
    await (await replace('n * 2', 'n * m')).save();
    const [error] = await until(changed, diagnostics, (found) => found.length === 1);
    assert.equal(error!.severity, vscode.DiagnosticSeverity.Error);
    assert.deepEqual(
      [error!.range.start.line, error!.range.start.character, error!.range.end.character],
      [1, 13, 14],
    );
    await (await replace('n * m', 'missing_function(n)')).save();
    const linked = (found: vscode.Diagnostic[]) =>
      found.find((diagnostic) => typeof diagnostic.code === 'object');
    const refusal = linked(await until(changed, diagnostics, (found) => linked(found) !== undefined))!;
    const code = refusal.code as { value: string; target: vscode.Uri };
    assert.equal(code.value, 'unresolved-symbol');
    assert.equal(code.target.scheme, 'command');
    await (await replace('missing_function(n)', 'n * 2')).save();
    await until(changed, diagnostics, (found) => found.length === 0);
  });

  it('leaves saves alone when hotPatch.onSave is never', async () => {
    const configuration = vscode.workspace.getConfiguration();
    await configuration.update(Setting.onSave, 'never', vscode.ConfigurationTarget.Global);
    await (await replace('n * 2', 'n * x')).save();
    await configuration.update(Setting.onSave, undefined, vscode.ConfigurationTarget.Global);
    await (await replace('n * x', 'n * 3')).save();
    await until(
      'asked',
      () => lenses(unit),
      (titles) => titles.some((title) => /Version 1 live/.test(title)),
    );
    assert.deepEqual(diagnostics(), []);
  });

  it('runs a task of its own type with the runtime in the program', async () => {
    const started = new Promise<number>((resolve) => {
      const subscription = vscode.tasks.onDidStartTaskProcess(({ processId }) => {
        subscription.dispose();
        resolve(processId);
      });
    });
    await vscode.commands.executeCommand('workbench.action.tasks.runTask', 'run with hot patch');
    const pid = await started;
    await until(
      'asked',
      () => readFileSync(`/proc/${pid}/maps`, 'utf8'),
      (maps) => maps.includes('libhot_fix'),
    );
    for (const execution of vscode.tasks.taskExecutions) execution.terminate();
  });

  it('starts a program in a terminal, under a debug session', async () => {
    const configuration = {
      ...{ type: debugType, request: 'launch', name: 'in a terminal', console: 'integratedTerminal' },
      program: join(folder, 'program'),
    };
    const session = await started(() => vscode.debug.startDebugging(undefined, configuration));
    await until(
      'asked',
      () => vscode.window.terminals.map(({ name }) => name),
      (names) => names.some((name) => name.includes('program')),
    );
    await ended(session);
  });

  it('attaches to the process that is picked, and leaves it running', async () => {
    const configuration = {
      ...{ type: debugType, request: 'attach', name: 'picked', processId: '${command:pickProcess}' },
    };
    const session = await started(async () => {
      const starting = vscode.debug.startDebugging(undefined, configuration);
      let isStarted = false;
      void starting.then(() => (isStarted = true));
      // The list is there when there is something to accept.
      await until(
        'asked',
        () => vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem'),
        () => isStarted,
      );
    });
    const { pid } = (await session.customRequest('hotPatch.status')) as ProcessStatus;
    assert.deepEqual(
      (await api().processes()).map((process) => process.pid),
      [pid],
    );
    await ended(session);
    process.kill(pid, 0);
  });

  it('gives other extensions patches, their results and the way back', async () => {
    const configuration = vscode.workspace.getConfiguration();
    await configuration.update(Setting.onSave, 'never', vscode.ConfigurationTarget.Global);
    await (await replace('n * 3', 'n * 5')).save();
    const [running] = await api().processes();
    const told: PatchResult[] = [];
    const subscription = api().onDidPatch((result) => told.push(result));
    const patched = await api().patch([unit.fsPath]);
    assert.equal(patched.outcome, 'patched');
    assert.deepEqual(
      patched.processes.map(({ pid }) => pid),
      [running!.pid],
    );
    const { functions } = await api().status(running!.pid);
    assert.deepEqual(
      functions.map(({ name, version }) => [name, version]),
      [['value', 2]],
    );
    assert.equal((await api().revert(running!.pid)).outcome, 'reverted');
    assert.deepEqual(
      told.map(({ outcome }) => outcome),
      ['patched', 'reverted'],
    );
    subscription.dispose();
    await (await replace('n * 5', 'n * 3')).save();
    await configuration.update(Setting.onSave, undefined, vscode.ConfigurationTarget.Global);
  });

  it('copies CMake lines that build the runtime into a program', async function () {
    this.timeout(240_000);
    await vscode.commands.executeCommand(Command.copyCMakeLines);
    const lines = await vscode.env.clipboard.readText();
    assert.match(lines, /^find_package\(hot_fix REQUIRED\)$/m);
    const [inPlace] = /add_subdirectory\(.*\)$/m.exec(lines)!;
    await build(lines.replace('find_package(hot_fix REQUIRED)', inPlace));
  });

  it('puts what a report needs on the clipboard, without source text', async () => {
    await vscode.commands.executeCommand(Command.copyDiagnostics);
    const text = await vscode.env.clipboard.readText();
    for (const part of ['# Hot Patch', '## Settings', '## Processes', '## History', 'unit.c']) {
      assert.ok(text.includes(part), part);
    }
    assert.ok(!text.includes('return n'));
  });
});
