// `npm test [SUITE…] [-- --grep TEXT]`: sets everything up, then runs mocha over dist/test and ends with one line
// `N passed, N failed`, `, N skipped` behind it where tests do not run here. A suite is a folder or file under test/, e.g.
// `engine` or `engine/state`; without one, all run but those that have a command of their own (test:programs, soak).
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, PROGRAM_COMMANDS, root, setUp, TEST_COMMANDS } from './setup.mjs';

const { values: options, positionals: suites } = parseArgs({
  options: { grep: { type: 'string', short: 'g' }, jobs: { type: 'string', short: 'j' } },
  allowPositionals: true,
});
/** Suites that only run when they are named. */
const separate = ['programs', 'soak'];

process.chdir(root);
setUp(suites.some((suite) => suite.startsWith('programs')) ? PROGRAM_COMMANDS : TEST_COMMANDS);

const built = join(root, 'dist', 'test');
const files = (existsSync(built) ? readdirSync(built, { recursive: true }) : [])
  .filter((path) => path.endsWith('.test.js'))
  .filter((path) =>
    suites.length > 0
      ? suites.some((suite) => path.startsWith(`${suite}/`) || path.startsWith(`${suite}.`))
      : !separate.some((suite) => path.startsWith(`${suite}/`)),
  )
  .sort();
if (files.some((path) => path.startsWith('workbench/'))) {
  const { installVsCode } = await import('../test/workbench/host/install.mjs');
  installVsCode();
}
if (files.length === 0) fail(`No tests match ${suites.join(' ')}`);

const { default: Mocha } = await import('mocha');
const hooks = join(root, 'scripts', 'test_hooks.cjs');
const { mochaHooks } = createRequire(import.meta.url)(hooks);
const jobs = Number(options.jobs ?? Math.min(2, availableParallelism()));
const mocha = new Mocha({
  reporter: 'spec',
  timeout: suites.some((suite) => separate.includes(suite.split('/')[0])) ? 0 : 120_000,
  parallel: jobs > 1 && files.length > 1,
  jobs,
  grep: options.grep,
  forbidOnly: Boolean(process.env.CI),
  rootHooks: jobs > 1 && files.length > 1 ? undefined : mochaHooks,
  require: [hooks],
});
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`.trim();
process.setSourceMapsEnabled(true);
for (const file of files) mocha.addFile(join(built, file));

/** Tests that passed only at the second try: more than two of them are no stalled machine any more. */
const retried = [];
/** Tests that do not run here; the title says for want of what. */
const skipped = [];
const runner = mocha.run((failures) => {
  for (const title of skipped) console.log(`SKIPPED ${title}`);
  for (const { title, error } of retried) console.log(`RETRIED ${title}\n  ${error?.stack ?? error}`);
  const tooMany = retried.length > 2;
  if (tooMany) console.log(`${retried.length} tests had to be retried, more than two`);
  const passes = runner.stats.passes;
  console.log(
    `${passes} passed, ${failures} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`,
  );
  process.exitCode = failures > 0 || passes === 0 || tooMany ? 1 : 0;
});
// At once, for a run that is cut off, or looked at while it goes on.
runner.on('fail', (test, error) => console.log(`FAILED ${test.fullTitle()}\n  ${error?.stack ?? error}`));
// The second try may fail for what the first one left behind: the error of the first is what tells the cause.
runner.on('pending', (test) => skipped.push(test.fullTitle()));
runner.on('retry', (test, error) => retried.push({ title: test.fullTitle(), error }));
