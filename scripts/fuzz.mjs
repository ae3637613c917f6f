// `npm run fuzz [TARGET…] [-- options]`: malformed input for what reads files that others may have made. Without a
// target all run, each for a short time; ends with status 1 when something was found.
import { fail, setUp, TEST_COMMANDS } from './setup.mjs';

setUp(TEST_COMMANDS);
// These need npm packages, which are there only now.
const { fuzzNative } = await import('./fuzz_native.mjs');
const { fuzzReaders } = await import('./fuzz_readers.mjs');

/** Each takes the options and returns the number of findings. */
const TARGETS = { readers: fuzzReaders, native: fuzzNative };

const argv = process.argv.slice(2);
const options = argv.findIndex((word) => word.startsWith('-'));
const names = options < 0 ? argv : argv.slice(0, options);
const rest = options < 0 ? [] : argv.slice(options);
let findings = 0;
for (const name of names.length > 0 ? names : Object.keys(TARGETS)) {
  const run = TARGETS[name];
  if (!run) fail(`No such target: ${name}. There are ${Object.keys(TARGETS).join(', ')}.`);
  findings += await run(rest);
}
process.exitCode = findings > 0 ? 1 : 0;
