// Runs inside VS Code's extension host: mocha over the bundles of one folder (HOT_PATCH_HOST_TESTS), results into a
// file (HOT_PATCH_HOST_RESULTS) that run_in_host.ts reads. HOT_PATCH_HOST_GREP runs only what matches it.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Mocha from 'mocha';

export interface HostResult {
  title: string;
  error?: string;
  /** Why the first try failed, when there was a second. */
  firstError?: string;
}

export async function run(): Promise<void> {
  const folder = process.env['HOT_PATCH_HOST_TESTS']!;
  // A second try in CI, as scripts/test_hooks.cjs gives it outside of VS Code.
  const mocha = new Mocha({
    timeout: 60_000,
    grep: process.env['HOT_PATCH_HOST_GREP'],
    retries: process.env['CI'] ? 1 : 0,
  });
  for (const name of readdirSync(folder)) if (name.endsWith('.host.js')) mocha.addFile(join(folder, name));
  const results: HostResult[] = [];
  const firstErrors = new Map<string, string>();
  await new Promise<void>((resolve) => {
    mocha
      .run(() => resolve())
      .on('retry', (test: Mocha.Test, error: Error) =>
        firstErrors.set(test.fullTitle(), error.stack ?? error.message),
      )
      .on('pass', (test) => {
        const title = test.fullTitle();
        results.push({ title, firstError: firstErrors.get(title) });
      })
      .on('fail', (test, error: Error) =>
        results.push({ title: test.fullTitle(), error: error.stack ?? error.message }),
      );
  });
  writeFileSync(process.env['HOT_PATCH_HOST_RESULTS']!, JSON.stringify(results));
}
