// What other extensions and VS Code itself are given: commands, lenses, diagnostics, tasks, and the settings that
// change them. Runs in the extension host, on the small program of extension_host.test.ts.
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as vscode from 'vscode';
import type { HotPatchApi } from '../../../extension/workbench/debugging/api';
import type { PatchResult, ProcessStatus } from '../../../extension/engine/model/result';
import { Command, debugType, extensionId, Setting } from '../../../extension/workbench/contributions';

const folder = process.env['HOT_PATCH_TEST_FOLDER']!;
const unit = vscode.Uri.file(join(folder, 'unit.c'));
const other = vscode.Uri.file(join(folder, 'other.c'));
const originals = new Map([unit, other].map((uri) => [uri, readFileSync(uri.fsPath, 'utf8')]));

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
  uri = unit,
): Promise<vscode.TextDocument> {
  const document = await vscode.workspace.openTextDocument(uri);
  const edits = new vscode.WorkspaceEdit();
  change(document, edits);
  assert.ok(await vscode.workspace.applyEdit(edits));
  return document;
}

const replace = (from: string, to: string, uri = unit) =>
  edit((document, edits) => {
    const at = document.getText().indexOf(from);
    assert.ok(at >= 0, `no ${from} in ${document.getText()}`);
    edits.replace(uri, new vscode.Range(document.positionAt(at), document.positionAt(at + from.length)), to);
  }, uri);

/** A setting has this value while something is done. */
async function withSetting<T>(name: string, value: unknown, run: () => Promise<T>): Promise<T> {
  const configuration = vscode.workspace.getConfiguration();
  await configuration.update(name, value, vscode.ConfigurationTarget.Global);
  try {
    return await run();
  } finally {
    await configuration.update(name, undefined, vscode.ConfigurationTarget.Global);
  }
}

/** Files and code as they were at the beginning, without a save that counts. */
async function restore(): Promise<void> {
  await withSetting(Setting.onSave, 'never', async () => {
    for (const [uri, text] of originals) {
      const document = await vscode.workspace.openTextDocument(uri);
      if (document.getText() === text && !document.isDirty) continue;
      const all = new vscode.Range(0, 0, document.lineCount, 0);
      await (await edit((_document, edits) => edits.replace(uri, all, text), uri)).save();
    }
  });
  for (const { pid } of await api().processes()) await api().revert(pid);
}

/** Base names of the files of each patch that ends from the beginning of something, until the wanted ones are told. */
async function patchedFiles(wanted: readonly string[], run: () => Promise<unknown>): Promise<string[][]> {
  const told: string[][] = [];
  let subscription: vscode.Disposable | undefined;
  const seen = new Promise<void>((resolve) => {
    subscription = api().onDidPatch(({ files }) => {
      told.push(files.map((file) => basename(file)).sort());
      if (wanted.every((file) => told.flat().includes(file))) resolve();
    });
  });
  await run();
  await seen;
  subscription!.dispose();
  return told;
}

/** While something is done, saves of unit.c take this long before they are written, as a slow formatter's do. */
async function withSlowSave<T>(
  milliseconds: number,
  begun: (reason: vscode.TextDocumentSaveReason) => void,
  run: () => Promise<T>,
): Promise<T> {
  const subscription = vscode.workspace.onWillSaveTextDocument((event) => {
    if (event.document.uri.fsPath !== unit.fsPath) return;
    event.waitUntil(setTimeout(milliseconds));
    begun(event.reason);
  });
  try {
    return await run();
  } finally {
    subscription.dispose();
  }
}

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

  beforeEach(restore);

  it('registers every command that it contributes', async () => {
    const registered = new Set(await vscode.commands.getCommands(true));
    assert.deepEqual(
      Object.values(Command).filter((command) => !registered.has(command)),
      [],
    );
  });

  it('takes no key that VS Code has a use for', async () => {
    const keys = await vscode.workspace.openTextDocument(
      vscode.Uri.parse('vscode://defaultsettings/keybindings.json'),
    );
    const uses = [...keys.getText().matchAll(/"key": "ctrl\+k h",\s*"command": "(.*?)"/g)].map(
      (use) => use[1],
    );
    assert.deepEqual(uses, ['hotPatch.patchFunction']);
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
    await withSetting(Setting.codeLens, false, async () => assert.deepEqual(await lenses(unit), []));
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
    // A save that counts comes right after it: one that counted against the setting would be told with it or before.
    const told = await patchedFiles(['other.c'], async () => {
      const document = await replace('n * 2', 'n * 3');
      await withSetting(Setting.onSave, 'never', async () => document.save());
      await (await replace('n * 2', 'n * 3', other)).save();
    });
    assert.deepEqual(told, [['other.c']]);
  });

  it('patches a file whose save takes longer than those beside it in Save All wait for', async () => {
    await vscode.window.showTextDocument(other, { preview: false });
    await vscode.window.showTextDocument(unit, { preview: false });
    const times = new Map<string, number>();
    const timed = api().onDidPatch(({ files, timings }) => times.set(basename(files[0]!), timings['total']!));
    const told = await patchedFiles(['other.c', 'unit.c'], async () => {
      await replace('n * 2', 'n * 3');
      await replace('n * 2', 'n * 3', other);
      await withSlowSave(
        1300,
        () => undefined,
        async () => vscode.workspace.saveAll(),
      );
    });
    timed.dispose();
    assert.deepEqual(told, [['other.c'], ['unit.c']]);
    // The time that is told is what the user waited for, the formatter included.
    assert.ok(times.get('unit.c')! >= 1290, `live in ${times.get('unit.c')} ms`);
  });

  it('patches what is saved without formatting', async () => {
    await vscode.window.showTextDocument(unit);
    const told = await patchedFiles(['unit.c'], async () => {
      await replace('n * 2', 'n * 3');
      await vscode.commands.executeCommand('workbench.action.files.saveWithoutFormatting');
    });
    assert.deepEqual(told, [['unit.c']]);
  });

  it('patches what is saved by hand while an auto-save of the same text is being written', async () => {
    await vscode.window.showTextDocument(unit);
    const reasons: vscode.TextDocumentSaveReason[] = [];
    const told = await patchedFiles(['unit.c'], () =>
      withSetting('files.autoSaveDelay', 50, () =>
        withSetting('files.autoSave', 'afterDelay', async () => {
          const begun = new Promise<void>((resolve) => {
            void withSlowSave(
              300,
              (reason) => {
                reasons.push(reason);
                resolve();
              },
              async () =>
                until(
                  vscode.workspace.onDidSaveTextDocument,
                  () => reasons.length,
                  (count) => count > 0,
                ),
            );
          });
          await replace('n * 2', 'n * 3');
          await begun;
          await vscode.commands.executeCommand(Command.save);
        }),
      ),
    );
    assert.equal(reasons[0], vscode.TextDocumentSaveReason.AfterDelay);
    assert.deepEqual(told, [['unit.c']]);
  });

  it('goes on after its engine was restarted', async () => {
    await vscode.commands.executeCommand(Command.restartEngine);
    const told = await patchedFiles(['unit.c'], async () => (await replace('n * 2', 'n * 3')).save());
    assert.deepEqual(told, [['unit.c']]);
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
    const document = await replace('n * 2', 'n * 5');
    await withSetting(Setting.onSave, 'never', async () => document.save());
    const [running] = await api().processes();
    const told: PatchResult[] = [];
    const subscription = api().onDidPatch((result) => told.push(result));
    const patched = await withSetting(Setting.afterPatchTask, 'after patch', async () => {
      const result = await api().patch([unit.fsPath]);
      const record = join(folder, 'ran.txt');
      const written = () => (existsSync(record) ? readFileSync(record, 'utf8') : '');
      await until('asked', written, (text) => text === 'ran\n');
      return result;
    });
    assert.equal(patched.outcome, 'patched');
    assert.deepEqual(
      patched.processes.map(({ pid }) => pid),
      [running!.pid],
    );
    const { functions } = await api().status(running!.pid);
    assert.deepEqual(
      functions.filter(({ version }) => version > 0).map(({ name }) => name),
      ['value'],
    );
    assert.equal((await api().revert(running!.pid)).outcome, 'reverted');
    assert.deepEqual(
      told.map(({ outcome }) => outcome),
      ['patched', 'reverted'],
    );
    subscription.dispose();
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
