// The runtime's code under sanitizers: parts of `npm run test:sanitized`, and the start of `npm run fuzz native`, in which
// what it reads from files is mutated, the same in every run.
import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../support/paths';

describe('the code of the runtime that reads files', () => {
  it('does nothing undefined with 20,000 mutations each of requests, patch files and unwind records', () => {
    const args = [join(root, 'scripts', 'fuzz.mjs'), 'native', '--runs', '20000'];
    const output = execFileSync(process.execPath, args, { encoding: 'utf8' });
    assert.match(output, /^native request: 20000 executions, 0 findings$/m);
    assert.match(output, /^native patch_file: 20000 executions, 0 findings$/m);
    assert.match(output, /^native unwind_records: 20000 executions, 0 findings$/m);
  });
});

describe('the runtime in a process', function () {
  this.timeout(0); // its tests have limits of their own

  it('passes a part of its tests under the address and undefined-behaviour sanitizers', () => {
    const args = [join(root, 'scripts', 'sanitized.mjs'), 'address', '--part'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    assert.match(stdout, /^ +\d+ passing/m);
  });
});
