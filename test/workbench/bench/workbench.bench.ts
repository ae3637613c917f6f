// Part of `npm run bench`: what the packaged extension costs the extension host. Starts a clean VS Code with it on a
// running program with a unit of 10,000 lines, and has measure.host.ts measure in there.
import { readFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../support/paths';
import { Session } from '../../support/session';
import { removeTemporaryDirectory, temporaryDirectory } from '../../support/temporary';
import { CodeServer } from '../host/code_server';
import { runInHost } from '../host/run_in_host';

interface Delay {
  longest: number;
  median: number;
  processor: number;
}
interface Figures {
  activation: number;
  lines: number;
  lenses: number;
  keys: number;
  withLenses: Delay;
  without: Delay;
}

const FUNCTIONS = 500;
const body = Array.from({ length: 17 }, (_, line) => `  n = n * ${line + 3} + (n >> ${line % 7});`).join(
  '\n',
);
const large = Array.from(
  { length: FUNCTIONS },
  (_, i) => `long step_${i}(long n) {\n${body}\n  return n;\n}\n`,
).join('');

/** The table, as Markdown. */
export async function measure(): Promise<string> {
  const session = new Session();
  const home = temporaryDirectory();
  try {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    await CodeServer.install(home, join(root, `hot-patch-linux-x64-${version}.vsix`));
    session.copySample('driver');
    session.write('large.c', `${large}long value(long n) {\n  return step_1(n);\n}\n`);
    await session.build({ sources: ['main.c', 'large.c'], flags: ['-g', '-O1'] });
    // It would activate the extension before it is measured.
    await session.run('rm', ['compile_commands.json', 'main.c', 'main.cc']);
    mkdirSync(session.path('empty'));
    const manifest = { name: 'empty', publisher: 'test', version: '0.0.1', engines: { vscode: '*' } };
    session.write('empty/package.json', JSON.stringify(manifest));
    await session.start();
    const file = session.path('run', 'figures.json');
    const results = await runInHost({
      session,
      home,
      tests: 'bench',
      extension: session.path('empty'),
      env: { HOT_PATCH_TEST_FOLDER: session.directory, HOT_PATCH_FIGURES: file },
    });
    const failed = results.find((result) => result.error !== undefined);
    if (failed) throw new Error(failed.error);
    return table(JSON.parse(readFileSync(file, 'utf8')) as Figures);
  } finally {
    await session.dispose();
    removeTemporaryDirectory(home);
  }
}

function table(figures: Figures): string {
  const { activation, lines, lenses, keys, withLenses, without } = figures;
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  return `## In the editor

With the packaged extension in a clean VS Code:

| in the extension host | measured |
|---|---|
| activation of the packaged extension | ${ms(activation)} |
| most processor time for one edit, ${keys} edits in ${lines} lines with ${lenses} lenses | ${ms(withLenses.processor)} |
| the same without lenses (VS Code's own share) | ${ms(without.processor)} |
| longest stall in that time, other programs' share included | ${ms(withLenses.longest)} |
| the same without lenses | ${ms(without.longest)} |
| median loop delay, with and without | ${ms(withLenses.median)}, ${ms(without.median)} |
`;
}
