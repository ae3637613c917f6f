// What the runtime reads from files, compiled with the address and undefined-behaviour sanitizers and fed with mutations
// of what engines write: the start of `npm run fuzz native`, the same inputs in every run.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
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
