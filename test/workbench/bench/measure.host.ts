// Measured inside the extension host: activation; and somebody who types in a file of 10,000 lines, in rounds with and
// without lenses and marks, before and after a save that patched two functions of five. Figures, not verdicts: they go
// into a file (bench only).
import { renameSync, writeFileSync } from 'node:fs';
import { Session as Inspector } from 'node:inspector/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import * as vscode from 'vscode';
import { extensionId } from '../../../extension/workbench/contributions';
import type { HotPatchApi } from '../../../extension/workbench/debugging/api';
import { slicesOf } from './slices';

const folder = process.env['HOT_PATCH_TEST_FOLDER']!;
const KEYS = 60;
const ROUNDS = 5;
/** Lenses that are in sight, which VS Code has resolved. */
const SCREENFUL = 30;
const SAMPLING_MICROSECONDS = 250;

/** One round of typing; milliseconds. */
export interface Typing {
  /** Of the event loop: how late it was, over what was asked for. */
  readonly median: number;
  readonly p99: number;
  readonly longest: number;
  /** Processor time of one edit on the extension host's thread, median. */
  readonly processor: number;
  /** For how long the extension held the thread at most. */
  readonly slice: number;
}

export interface Figures {
  readonly activation: number | undefined;
  readonly lines: number;
  readonly functions: number;
  /** How many of them the save changed. */
  readonly patched: number;
  readonly keys: number;
  readonly rounds: readonly {
    readonly state: 'original' | 'patched';
    readonly lenses: boolean;
    readonly typing: Typing;
  }[];
  /** For how long the extension held the thread at most while that save was made live. */
  readonly save: number;
}

/** Runs something under the profiler; for how long the extension held the thread at most meanwhile. */
async function longestSlice(extensionPath: string, run: () => Promise<void>): Promise<number> {
  const inspector = new Inspector();
  inspector.connect();
  await inspector.post('Profiler.enable');
  await inspector.post('Profiler.setSamplingInterval', { interval: SAMPLING_MICROSECONDS });
  await inspector.post('Profiler.start');
  await run();
  const { profile } = await inspector.post('Profiler.stop');
  inspector.disconnect();
  return Math.max(0, ...slicesOf(profile, (url) => url.includes(`${extensionPath}/dist/`)));
}

async function type(editor: vscode.TextEditor, extensionPath: string): Promise<Typing> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const edits: number[] = [];
  const slice = await longestSlice(extensionPath, async () => {
    delay.enable();
    for (let key = 0; key < KEYS; key++) {
      const before = processorTime();
      const line = 100 + ((key * 47) % 9000);
      const at = new vscode.Position(line, editor.document.lineAt(line).text.length);
      await editor.edit((edit) => edit.insert(at, key % 10 === 9 ? '\n' : ' '), {
        undoStopBefore: false,
        undoStopAfter: false,
      });
      const { uri } = editor.document;
      await vscode.commands.executeCommand('vscode.executeCodeLensProvider', uri, SCREENFUL);
      edits.push(processorTime() - before);
    }
    delay.disable();
  });
  return {
    median: delay.percentile(50) / 1e6,
    p99: delay.percentile(99) / 1e6,
    longest: delay.max / 1e6,
    processor: edits.sort((a, b) => a - b)[KEYS >> 1]!,
    slice,
  };
}

/** Milliseconds of processor time of this thread so far. */
function processorTime(): number {
  const { user, system } = (process as unknown as { threadCpuUsage(): NodeJS.CpuUsage }).threadCpuUsage();
  return (user + system) / 1000;
}

async function show(lenses: boolean): Promise<void> {
  const configuration = vscode.workspace.getConfiguration();
  for (const name of ['hotPatch.codeLens', 'hotPatch.decorations'])
    await configuration.update(name, lenses, vscode.ConfigurationTarget.Global);
}

describe('measure', () => {
  it('activation and typing', async function () {
    this.timeout(600_000);
    const extension = vscode.extensions.getExtension<HotPatchApi>(extensionId)!;
    // VS Code has started by then: what is measured is the extension's share.
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const wasActive = extension.isActive;
    const begin = performance.now();
    const api = await extension.activate();
    const activation = wasActive ? undefined : performance.now() - begin;

    renameSync(join(folder, 'later.json'), join(folder, 'compile_commands.json'));
    const file = join(folder, 'large.c');
    const editor = await vscode.window.showTextDocument(vscode.Uri.file(file));
    const lenses = async () =>
      (
        await vscode.commands.executeCommand<vscode.CodeLens[]>(
          'vscode.executeCodeLensProvider',
          editor.document.uri,
        )
      ).length;
    let functions = 0;
    while (functions === 0) functions = await lenses();
    await type(editor, extension.extensionPath); // until what is compiled at first use is compiled

    const rounds: Figures['rounds'][number][] = [];
    const measure = async (state: 'original' | 'patched') => {
      for (let round = 0; round < ROUNDS; round++)
        for (const on of [true, false]) {
          await show(on);
          rounds.push({ state, lenses: on, typing: await type(editor, extension.extensionPath) });
        }
      await show(true);
    };
    await measure('original');
    const macro = editor.document.positionAt(editor.document.getText().indexOf('STEP 1') + 'STEP '.length);
    await editor.edit((edit) => edit.replace(new vscode.Range(macro, macro.translate(0, 1)), '2'));
    let patched = 0;
    const save = await longestSlice(extension.extensionPath, async () => {
      const ended = new Promise<void>((resolve, reject) => {
        const subscription = api.onDidPatch(({ outcome, changed, refusals }) => {
          subscription.dispose();
          patched = changed.length;
          if (outcome === 'patched') resolve();
          else reject(new Error(JSON.stringify(refusals)));
        });
      });
      await editor.document.save();
      await ended;
      // Version, Revert and Compare take the place of one lens each.
      while ((await lenses()) < functions + 2 * patched);
    });
    await measure('patched');
    const figures: Figures = {
      activation,
      lines: editor.document.lineCount,
      functions,
      patched,
      keys: KEYS,
      rounds,
      save,
    };
    writeFileSync(process.env['HOT_PATCH_FIGURES']!, JSON.stringify(figures));
  });
});
