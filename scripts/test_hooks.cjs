// Mocha's hooks of every test. Only tests that drive a browser may have a second try, and only in CI: a shared machine
// may stall a browser for longer than any patience. scripts/test.mjs names what was retried.
exports.mochaHooks = {
  beforeEach() {
    const test = this.currentTest;
    if (process.env.CI && /\/dist\/test\/workbench\//.test(test.file ?? test.parent?.file ?? ''))
      test.retries(1);
  },
};
