// A part of `npm run faults`: each system call of the runtime fails the first time it is made; and a full disk.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
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

describe('a disk that is full when the program starts', () => {
  it('has the runtime announce itself once there is room again', async function () {
    if (process.getuid!() !== 0) this.skip(); // mounting takes root
    const test = inRuntimeSession(async (session) => {
      const disk = session.path('run');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'hot_patch_test', disk]);
      try {
        writeFileSync(session.path('run', 'filler'), Buffer.alloc(65536));
        const executable = session.compile(
          'program',
          `#include <hot_fix.h>
           #include <stdio.h>
           __attribute__((noipa)) int value(int n) { return n; }
           int main(void) {
             char line[8];
             setvbuf(stdout, 0, _IOLBF, 0);
             printf("%d\\n", init_hot_fix_signal());
             while (fgets(line, sizeof line, stdin)) printf("%d\\n", value(1));
             return 0;
           }`,
          { runtime: 'embedded' },
        );
        const started = await session.start(executable, { runtime: 'none' });
        assert.deepEqual(started.program.lines, ['-1']);
        rmSync(session.path('run', 'filler'));
        await started.announced();
        await started.patch('int new_value(int n) { return n + 1; }', { value: 'new_value' });
        assert.equal(await started.ask(''), '2');
        await started.program.stop();
      } finally {
        execFileSync('umount', ['-l', disk]);
      }
    });
    await test.call(this);
  });
});
