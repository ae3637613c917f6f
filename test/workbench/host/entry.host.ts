// Runs inside VS Code's extension host: mocha over the bundles of one folder (HOT_PATCH_HOST_TESTS), results into a
// file (HOT_PATCH_HOST_RESULTS) that run_in_host.ts reads.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Mocha from 'mocha';

export interface HostResult {
  title: string;
  error?: string;
}

export async function run(): Promise<void> {
  const folder = process.env['HOT_PATCH_HOST_TESTS']!;
  // As scripts/test.mjs does it outside of VS Code.
  const mocha = new Mocha({ timeout: 60_000, retries: process.env['CI'] ? 1 : 0 });
  for (const name of readdirSync(folder)) if (name.endsWith('.host.js')) mocha.addFile(join(folder, name));
  const results: HostResult[] = [];
  await new Promise<void>((resolve) => {
    mocha
      .run(() => resolve())
      .on('pass', (test) => results.push({ title: test.fullTitle() }))
      .on('fail', (test, error: Error) =>
        results.push({ title: test.fullTitle(), error: error.stack ?? error.message }),
      );
  });
  writeFileSync(process.env['HOT_PATCH_HOST_RESULTS']!, JSON.stringify(results));
}
