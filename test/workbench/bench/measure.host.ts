// Measured inside the extension host: how long activation takes, and how long the event loop is held up while
// somebody types in a file of 10,000 lines with lenses on. Figures, not verdicts: they go into a file (bench only).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import * as vscode from 'vscode';
import { extensionId } from '../../../extension/workbench/contributions';

const folder = process.env['HOT_PATCH_TEST_FOLDER']!;
const KEYS = 200;

interface Typing {
  /** The most that the loop was held up, in milliseconds: on a busy machine also by other programs. */
  longest: number;
  median: number;
  /** The most processor time, in milliseconds, that one edit with its lenses took on the extension host's thread. */
  processor: number;
}

/** Types so many characters. */
async function typing(editor: vscode.TextEditor): Promise<Typing> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let processor = 0;
  delay.enable();
  for (let key = 0; key < KEYS; key++) {
    const before = processorTime();
    const line = 100 + ((key * 47) % 9000);
    const at = new vscode.Position(line, editor.document.lineAt(line).text.length);
    await editor.edit((edit) => edit.insert(at, key % 10 === 9 ? '\n' : ' '), {
      undoStopBefore: false,
      undoStopAfter: false,
    });
    await vscode.commands.executeCommand('vscode.executeCodeLensProvider', editor.document.uri);
    processor = Math.max(processor, processorTime() - before);
  }
  delay.disable();
  return { longest: delay.max / 1e6, median: delay.percentile(50) / 1e6, processor };
}

/** Milliseconds of processor time of this thread so far. */
function processorTime(): number {
  const { user, system } = (process as unknown as { threadCpuUsage(): NodeJS.CpuUsage }).threadCpuUsage();
  return (user + system) / 1000;
}

describe('measure', () => {
  it('activation and typing', async function () {
    this.timeout(300_000);
    const extension = vscode.extensions.getExtension(extensionId)!;
    // VS Code has started by then: what is measured is the extension's share.
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const wasActive = extension.isActive;
    const begin = performance.now();
    await extension.activate();
    const activation = wasActive ? undefined : performance.now() - begin;

    const editor = await vscode.window.showTextDocument(vscode.Uri.file(join(folder, 'large.c')));
    let found = 0;
    while (found === 0) {
      const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
        'vscode.executeCodeLensProvider',
        editor.document.uri,
      );
      found = lenses.length;
    }
    await typing(editor); // until what is compiled at first use is compiled
    const withLenses = await typing(editor);
    const configuration = vscode.workspace.getConfiguration();
    await configuration.update('hotPatch.codeLens', false, vscode.ConfigurationTarget.Global);
    const without = await typing(editor);
    const figures = {
      activation,
      lines: editor.document.lineCount,
      lenses: found,
      keys: KEYS,
      withLenses,
      without,
    };
    writeFileSync(process.env['HOT_PATCH_FIGURES']!, JSON.stringify(figures));
  });
});
