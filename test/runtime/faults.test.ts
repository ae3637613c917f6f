// A part of `npm run faults`: each system call of the runtime fails the first time it is made.
import { strict as assert } from 'node:assert';
import { failEachCall, isWrong, spread, ways } from '../faults/failing_calls';
import { inRuntimeSession } from '../support/runtime_process';

describe('a system call of the runtime that fails', () => {
  for (const way of ways) {
    it(
      `leaves the process old or new as the answer says, and the next request works: entries changed by ${way}`,
      inRuntimeSession(async (session) => {
        const cells = await failEachCall(session, [way], spread(1));
        assert.deepEqual(cells.filter(isWrong), []);
        const outcomes = new Set(cells.map(({ outcome }) => outcome));
        assert.ok(cells.length > 40 && outcomes.has('old') && outcomes.has('new'), `${cells.length} faults`);
      }),
    );
  }
});
