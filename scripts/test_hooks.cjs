// Mocha's hooks of every file. In a run of several files each has hooks of its own, which measure it for
// scripts/test.mjs --record.
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
};
