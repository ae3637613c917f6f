// `npm run test:sanitized [address|thread…] [-- --part --grep TEXT --suite FILE]`: the tests of the runtime with its code
// built under the address and undefined-behaviour sanitizers, then under the thread sanitizer. `--part` runs a small part of
// each, where the build of everything else is there; `npm test` does so for the address sanitizer.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, root, setUp, TEST_COMMANDS } from './setup.mjs';

/**
 * The sanitizers of each build, the files under test/runtime that are run with it, and those of them that `--part` runs.
 * Not run: package (what is looked at is the library that is shipped) and seed_sample (built by a makefile of its
 * own), crash_report and guarded_code (not tried out yet); with the thread sanitizer, which holds back the signals of
 * programs and gives them few places in memory, all that is about signals and starts.
 */
const BUILDS = {
  address: {
    sanitize: 'address,undefined',
    files: [
      ...[
        'active_code',
        'debugger',
        'faults',
        'fork',
        'malformed',
        'objects',
        'patch',
        'privileges',
        'process',
      ],
      ...['sandbox', 'signal_masks', 'threads'],
    ],
    part: ['malformed', 'objects'],
  },
  thread: { sanitize: 'thread', files: ['active_code', 'fork', 'patch'], part: ['patch'] },
};

const { values, positionals } = parseArgs({
  options: {
    part: { type: 'boolean' },
    grep: { type: 'string', short: 'g' },
    suite: { type: 'string', multiple: true },
  },
  allowPositionals: true,
});

process.chdir(root);
if (!values.part) setUp(TEST_COMMANDS);
let failed = false;
for (const name of positionals.length > 0 ? positionals : Object.keys(BUILDS)) {
  const build = BUILDS[name];
  if (!build) fail(`No such build: ${name}. There are ${Object.keys(BUILDS).join(', ')}.`);
  const make = ['-s', '-j2', '-C', 'native', `OUT=${join(root, 'dist', `native-${name}`)}`];
  const made = spawnSync('make', [...make, `SANITIZE=${build.sanitize}`, 'runtime'], { stdio: 'inherit' });
  if (made.status !== 0) fail(`the runtime did not build with ${build.sanitize}`);
  const files = values.suite ?? (values.part ? build.part : build.files);
  const mocha = [join(root, 'node_modules', 'mocha', 'bin', 'mocha.js'), '--timeout', '300000', '--require'];
  const grep = values.grep === undefined ? [] : ['--grep', values.grep];
  const { status } = spawnSync(
    process.execPath,
    [
      ...mocha,
      join(root, 'scripts', 'test_hooks.cjs'),
      ...grep,
      ...files.map((file) => `dist/test/runtime/${file}.test.js`),
    ],
    { stdio: 'inherit', env: { ...process.env, HOT_PATCH_SANITIZER: name } },
  );
  console.log(`${build.sanitize}: ${status === 0 ? 'nothing found' : 'failed'}`);
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;
