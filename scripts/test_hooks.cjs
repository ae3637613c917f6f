// Mocha's hooks of every test. Only tests that drive a browser or lldb may have a second try, and only in CI: a shared
// machine may stall a browser for longer than any patience, and beside other tests a program that lldb 14 has left does
// not always go on, which is not understood yet. scripts/test.mjs names what was retried, with the first error.
exports.mochaHooks = {
  beforeEach() {
    const test = this.currentTest;
    if (
      process.env.CI &&
      /\/dist\/test\/(workbench\/|debug\/lldb\.)/.test(test.file ?? test.parent?.file ?? '')
    )
      test.retries(1);
  },
};
