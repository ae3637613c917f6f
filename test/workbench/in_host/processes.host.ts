// Many processes that start, are patched and end: nothing of them stays open in the extension host. Runs in there, on
// the small program of extension_host.test.ts.
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { HotPatchApi } from '../../../extension/debug/api';
import { Command, extensionId } from '../../../extension/workbench/contributions';
import { until } from '../../support/until';

const folder = process.env['HOT_PATCH_TEST_FOLDER']!;
const unit = join(folder, 'unit.c');
const ROUNDS = 12;

/** What the extension knows, as its report says. */
async function report(): Promise<string> {
  await vscode.commands.executeCommand(Command.copyDiagnostics);
  return vscode.env.clipboard.readText();
}

/** Open files and sockets, threads, and what keeps the event loop alive (timers, watchers, requests). */
function held(): Record<'files' | 'threads' | 'resources', number> {
  return {
    files: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    resources: process.getActiveResourcesInfo().length,
  };
}

describe('processes that have ended', () => {
  it('leave no file, thread, timer or listener behind', async function () {
    this.timeout(240_000);
    const extension = vscode.extensions.getExtension<HotPatchApi>(extensionId)!;
    const api = await extension.activate();
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
        const isKnown = (known: string) => known.includes(`"pid": ${child.pid}`);
        await until(report, isKnown);
        writeFileSync(unit, text.replace(/n \* \d+/, `n * ${factor}`));
        const { outcome } = await api.patch([unit], [child.pid!]);
        assert.equal(outcome, 'patched');
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
        await until(report, (known) => !isKnown(known.replace(/## History[^]*/, '')));
      } finally {
        child.kill('SIGKILL');
      }
    }

    for (let warmUp = 0; warmUp < 3; warmUp++) await round(100 + warmUp);
    const before = held();
    for (let count = 0; count < ROUNDS; count++) await round(200 + count);
    // Others come and go by a few; what is left by each round would be a dozen.
    await until(held, (now) =>
      (['files', 'threads', 'resources'] as const).every((kind) => now[kind] < before[kind] + ROUNDS / 2),
    );
    writeFileSync(unit, text);
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
  });
});
