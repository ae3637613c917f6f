// `npm test [SUITE…] [-- --grep TEXT]`: sets everything up, then runs mocha over dist/test and ends with one line
// `N passed, N failed`, `, N skipped` behind it where tests do not run here. A suite is a folder or file under test/, e.g.
// `engine` or `engine/state`; without one, all run but those that have a command of their own (test:programs, soak).
// `npm test -- --record` writes test/durations.json, by which the files that take longest are begun first.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, PROGRAM_COMMANDS, root, setUp, TEST_COMMANDS } from './setup.mjs';

const { values: options, positionals: suites } = parseArgs({
  options: {
    grep: { type: 'string', short: 'g' },
    jobs: { type: 'string', short: 'j' },
    record: { type: 'boolean' },
  },
  allowPositionals: true,
});
/** Suites that only run when they are named. */
const separate = ['programs', 'soak'];

process.chdir(root);
setUp(suites.some((suite) => suite.startsWith('programs')) ? PROGRAM_COMMANDS : TEST_COMMANDS);

/** Seconds that each file took in a whole run. One that is not in it is new, and may take any time. */
const durationsFile = join(root, 'test', 'durations.json');
const durations = JSON.parse(readFileSync(durationsFile, 'utf8'));
const durationOf = (path) => durations[path.replace(/\.test\.js$/, '')] ?? Infinity;

const built = join(root, 'dist', 'test');
const files = (existsSync(built) ? readdirSync(built, { recursive: true }) : [])
  .filter((path) => path.endsWith('.test.js'))
  .filter((path) =>
    suites.length > 0
      ? suites.some((suite) => path.startsWith(`${suite}/`) || path.startsWith(`${suite}.`))
      : !separate.some((suite) => path.startsWith(`${suite}/`)),
  )
  .sort()
  // So that nobody waits for a long one at the end.
  .sort((a, b) => (durationOf(a) === durationOf(b) ? 0 : durationOf(b) - durationOf(a)));
if (files.some((path) => path.startsWith('workbench/'))) {
  const { installVsCode } = await import('../test/workbench/host/install.mjs');
  installVsCode();
}
if (files.length === 0) fail(`No tests match ${suites.join(' ')}`);

const { default: Mocha } = await import('mocha');
const hooks = join(root, 'scripts', 'test_hooks.cjs');
const { mochaHooks } = createRequire(import.meta.url)(hooks);
// One more than there are processors: each waits for a good part of its time, for compilers, processes and windows.
const jobs = Number(options.jobs ?? Math.min(3, availableParallelism() + 1));
const measured = options.record ? mkdtempSync(join(tmpdir(), 'hot-patch-durations-')) : undefined;
if (measured) process.env.HOT_PATCH_TEST_DURATIONS = join(measured, 'lines');
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
  if (measured) record();
  process.exitCode = failures > 0 || passes === 0 || tooMany ? 1 : 0;
});
// At once, for a run that is cut off, or looked at while it goes on.
runner.on('fail', (test, error) => console.log(`FAILED ${test.fullTitle()}\n  ${error?.stack ?? error}`));
// The second try may fail for what the first one left behind: the error of the first is what tells the cause.
runner.on('pending', (test) => skipped.push(test.fullTitle()));
runner.on('retry', (test, error) => retried.push({ title: test.fullTitle(), error }));

/** Keeps what the hooks of the files measured (test_hooks.cjs), and of the files that did not run what is known of them. */
function record() {
  const lines = readFileSync(process.env.HOT_PATCH_TEST_DURATIONS, 'utf8').trim().split('\n');
  const rows = lines.map((line) => {
    const [path, seconds] = JSON.parse(line);
    return [relative(built, path).replace(/\.test\.js$/, ''), seconds];
  });
  const all = Object.entries({ ...durations, ...Object.fromEntries(rows) });
  const there = all.filter(([path]) => existsSync(join(built, `${path}.test.js`)));
  const sorted = Object.fromEntries(there.sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(durationsFile, `${JSON.stringify(sorted, undefined, 2)}\n`);
  rmSync(measured, { recursive: true });
}
