// Runs test files in the extension host of a real VS Code, and brings their results back.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { dist, root } from '../../support/paths';
import type { Session } from '../../support/session';
import { CodeServer } from './code_server';
import type { HostResult } from './entry.host';
import { ARGUMENTS, chromiumPath } from './browser';

export interface HostRun {
  session: Session;
  /** For VS Code's settings and state. */
  home: string;
  /** Folder under test/workbench with the `.host.ts` files to run. */
  tests: string;
  /** Extension under development; the repository by default. */
  extension?: string;
  env?: NodeJS.ProcessEnv;
}

export async function runInHost({
  session,
  home,
  tests,
  extension = root,
  env,
}: HostRun): Promise<HostResult[]> {
  const results = session.path('run', 'results.json');
  const server = await CodeServer.start({
    directory: home,
    env: {
      ...session.environment,
      ...env,
      HOT_PATCH_HOST_TESTS: join(dist, 'test', 'workbench', tests),
      HOT_PATCH_HOST_RESULTS: results,
    },
  });
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: ARGUMENTS });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const lines: string[] = [];
    await page.exposeFunction('codeAutomationLog', (_type: string, values: unknown[]) =>
      lines.push(values.join(' ')),
    );
    const ended = new Promise((resolve) => void page.exposeFunction('codeAutomationExit', resolve));
    const entry = join(dist, 'test', 'workbench', 'host', 'entry.host.js');
    await page.goto(server.url(session.directory, extension, entry));
    await ended;
    try {
      return JSON.parse(readFileSync(results, 'utf8')) as HostResult[];
    } catch (error) {
      throw new Error(`the extension host left no results:\n${lines.join('\n')}`, { cause: error });
    }
  } finally {
    await browser.close();
    await server.stop();
  }
}
