// Mocha's hooks of every test. Only tests that drive a browser may have a second try, and only in CI: a shared machine
// may stall a browser for longer than any patience. scripts/test.mjs names what was retried.
// In a run of several files each has hooks of its own, which measure it for scripts/test.mjs --record.
const { appendFileSync } = process.getBuiltinModule('node:fs');

let begin = 0;

exports.mochaHooks = {
  beforeAll() {
    begin = performance.now();
  },
  afterAll() {
    const durations = process.env.HOT_PATCH_TEST_DURATIONS;
    const file = this.test.parent.suites[0]?.file;
    if (!durations || !file) return;
    const seconds = Math.round((performance.now() - begin) / 1000);
    appendFileSync(durations, `${JSON.stringify([file, seconds])}\n`);
  },
  beforeEach() {
    const test = this.currentTest;
    if (process.env.CI && /\/dist\/test\/workbench\//.test(test.file ?? test.parent?.file ?? ''))
      test.retries(1);
  },
};
