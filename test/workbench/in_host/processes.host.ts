// Many processes that start, are patched and end beside one that goes on: nothing of them stays open in the extension
// host. Runs in there, on the small program of extension_host.test.ts.
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { HotPatchApi } from '../../../extension/workbench/debugging/api';
import { extensionId } from '../../../extension/workbench/contributions';
import { until } from '../../support/until';

const folder = process.env['HOT_PATCH_TEST_FOLDER']!;
const unit = join(folder, 'unit.c');
const ROUNDS = 12;

/** What the lenses say, which show the processes that the extension knows. */
async function lenses(): Promise<string> {
  const found = await vscode.commands.executeCommand<vscode.CodeLens[]>(
    'vscode.executeCodeLensProvider',
    vscode.Uri.file(unit),
    1000,
  );
  return found.map((lens) => lens.command?.title).join('\n');
}

/** What a descriptor is open on; nothing when it was closed meanwhile. */
function target(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return '';
  }
}

/** Open files and sockets, threads, and what keeps the event loop alive (timers, watchers, requests). Not counted are
 * files elsewhere: the engine looks at every program that runs on this machine, and keeps some of them open. */
function held(): Record<'files' | 'threads' | 'resources', number> {
  return {
    files: readdirSync('/proc/self/fd').filter((descriptor) => {
      const path = target(descriptor);
      return !path.startsWith('/') || path.startsWith(`${folder}/`);
    }).length,
    threads: readdirSync('/proc/self/task').length,
    resources: process.getActiveResourcesInfo().length,
  };
}

describe('processes that have ended', () => {
  it('leave no file, thread, timer or listener behind', async function () {
    this.timeout(240_000);
    const extension = vscode.extensions.getExtension<HotPatchApi>(extensionId)!;
    const api = await extension.activate();
    // The lenses are of files in sight.
    await vscode.window.showTextDocument(vscode.Uri.file(unit));
    // The one that goes on runs its original code: what the lenses say of patches is of those that end.
    for (const { pid } of await api.processes()) await api.revert(pid);
    const text = readFileSync(unit, 'utf8');
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning); // too many listeners of one event are one

    async function round(factor: number): Promise<void> {
      const env = {
        ...process.env,
        LD_PRELOAD: join(extension.extensionPath, 'dist/native/lib/libhot_fix.so'),
      };
      const child = spawn(join(folder, 'program'), { env, stdio: ['pipe', 'ignore', 'ignore'] });
      try {
        await until(
          () => api.processes(),
          (running) => running.some(({ pid }) => pid === child.pid),
        );
        writeFileSync(unit, text.replace(/n \* \d+/, `n * ${factor}`));
        const { outcome } = await api.patch([unit], [child.pid!]);
        assert.equal(outcome, 'patched');
        await until(lenses, (shown) => shown.includes('Version'));
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
        await until(lenses, (shown) => shown === '⚡ Hot Patch');
      } finally {
        child.kill('SIGKILL');
      }
    }

    for (let warmUp = 0; warmUp < 3; warmUp++) await round(100 + warmUp);
    const before = held();
    for (let count = 0; count < ROUNDS; count++) await round(200 + count);
    // Others come and go by a few; what is left by each round would be a dozen.
    await until(
      () => ({ before, now: held() }),
      ({ now }) =>
        (['files', 'threads', 'resources'] as const).every((kind) => now[kind] < before[kind] + ROUNDS / 2),
    );
    writeFileSync(unit, text);
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
  });
});
