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

const { values: options, positionals } = parseArgs({
  options: {
    grep: { type: 'string', short: 'g' },
    jobs: { type: 'string', short: 'j' },
    record: { type: 'boolean' },
    /** The folder that the suites are named in: `npm run soak memory` is soak/memory. */
    under: { type: 'string' },
  },
  allowPositionals: true,
});
const { under } = options;
const suites =
  under && positionals.length === 0 ? [under] : positionals.map((suite) => join(under ?? '', suite));
/** Suites that only run when they are named. */
const separate = ['programs', 'soak'];

process.chdir(root);
setUp(suites.some((suite) => suite.startsWith('programs')) ? PROGRAM_COMMANDS : TEST_COMMANDS);

/** Seconds that each file took in a whole run. One that is not in it is new, and may take long. */
const durationsFile = join(root, 'test', 'durations.json');
const durations = JSON.parse(readFileSync(durationsFile, 'utf8'));
const durationOf = (path) => durations[path.replace(/\.test\.js$/, '')] ?? 200;

const built = join(root, 'dist', 'test');
const isWindow = (path) => path.startsWith('workbench/');
const found = (existsSync(built) ? readdirSync(built, { recursive: true }) : [])
  .filter((path) => path.endsWith('.test.js'))
  .filter((path) =>
    suites.length > 0
      ? suites.some((suite) => path.startsWith(`${suite}/`) || path.startsWith(`${suite}.`))
      : !separate.some((suite) => path.startsWith(`${suite}/`)),
  )
  .sort()
  // So that nobody waits for a long one at the end.
  .sort((a, b) => durationOf(b) - durationOf(a));
const files = spread(
  found.filter(isWindow),
  found.filter((path) => !isWindow(path)),
);
if (files.some(isWindow)) {
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
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`.trim();
process.setSourceMapsEnabled(true);

const first = await run(files, jobs);
/** A shared machine may stall a browser for longer than any patience. In CI a file of tests that drive one may have a second
 * try: alone, in a window of its own, because its tests build on each other. More than two of them are no stalled machine. */
const again = files.filter((path) => first.failed.some((one) => one.path === path));
const mayTryAgain = process.env.CI && again.length > 0 && again.length <= 2 && again.every(isWindow);
const second = mayTryAgain ? await run(again, 1) : undefined;

/** What came of each file in the end. */
const ended = second
  ? {
      passed: [...first.passed.filter((path) => !again.includes(path)), ...second.passed],
      skipped: [...first.skipped.filter(({ path }) => !again.includes(path)), ...second.skipped],
      failed: second.failed,
    }
  : first;
for (const { title } of ended.skipped) console.log(`SKIPPED ${title}`);
// The second try may fail for another reason: what the first met tells the cause.
if (second) for (const { title, error } of first.failed) console.log(`RETRIED ${title}\n  ${error}`);
const [passes, failures, skips] = [ended.passed.length, ended.failed.length, ended.skipped.length];
console.log(`${passes} passed, ${failures} failed${skips > 0 ? `, ${skips} skipped` : ''}`);
if (measured) record();
process.exitCode = failures > 0 || passes === 0 ? 1 : 0;

/** Runs the tests of some files, and says at once what fails, for a run that is cut off or looked at while it goes on. */
function run(paths, jobs) {
  const isParallel = jobs > 1 && paths.length > 1;
  const mocha = new Mocha({
    reporter: 'spec',
    timeout: suites.some((suite) => separate.includes(suite.split('/')[0])) ? 0 : 120_000,
    parallel: isParallel,
    jobs,
    grep: options.grep,
    forbidOnly: Boolean(process.env.CI),
    rootHooks: isParallel ? undefined : mochaHooks,
    require: [hooks],
  });
  for (const path of paths) mocha.addFile(join(built, path));
  const pathOf = (test) => relative(built, test.file ?? test.parent?.file ?? '');
  const passed = [];
  const failed = [];
  /** Tests that do not run here; the title says for want of what. */
  const skipped = [];
  return new Promise((resolve) => {
    const runner = mocha.run(() => resolve({ passed, failed, skipped }));
    runner.on('pass', (test) => passed.push(pathOf(test)));
    runner.on('pending', (test) => skipped.push({ path: pathOf(test), title: test.fullTitle() }));
    runner.on('fail', (test, error) => {
      const title = test.fullTitle();
      const text = error?.stack ?? error;
      failed.push({ path: pathOf(test), title, error: text });
      console.log(`FAILED ${title}\n  ${text}`);
    });
  });
}

/** Both lists in their order, so that at any time as much of the one is done as of the other: three windows at once are more
 * than two processors bear. */
function spread(windows, others) {
  const total = (paths) => paths.reduce((sum, path) => sum + durationOf(path), 0);
  const [allWindows, allOthers] = [total(windows), total(others)];
  const order = [];
  let [done, doneOthers, next, nextOther] = [0, 0, 0, 0];
  while (next < windows.length || nextOther < others.length) {
    const isBehind = nextOther === others.length || done * allOthers <= doneOthers * allWindows;
    if (next < windows.length && isBehind) {
      done += durationOf(windows[next]);
      order.push(windows[next++]);
    } else {
      doneOthers += durationOf(others[nextOther]);
      order.push(others[nextOther++]);
    }
  }
  return order;
}

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
