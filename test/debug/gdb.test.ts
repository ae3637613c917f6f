// Real gdb and our patches in the same process, and a session as cpptools has it with gdb behind it.
import { strict as assert } from 'node:assert';
import { USUAL_SIGNAL, withPassSetup } from '../../extension/debug/signal_pass';
import { Gdb } from '../support/debuggers';
import { runtimeEnvironment } from '../support/hot_patch';
import { inSession } from '../support/session';
import { gdb } from './debugger';
import { describeBreakpoints, describeOtherStops } from './scenarios';

for (const level of ['-O0', '-O2']) describeBreakpoints(gdb, { flags: [level, '-g'] });
describeOtherStops(gdb);

const clock = `
#include <unistd.h>
#include <cstdio>
__attribute__((noinline)) long value(long n) { return n * 3; }
int main() {
  for (;; usleep(10000)) {
    printf("value %ld of %d\\n", value(2), getpid());
    fflush(stdout);
  }
}
`;

describe('a session of cpptools', () => {
  it(
    'that its configuration lets the signal pass is not stopped by a save',
    inSession(async (session) => {
      session.write('clock.cc', clock);
      const program = await session.build({ sources: ['clock.cc'], flags: ['-O1', '-g'] });
      const configuration = withPassSetup(
        { type: 'cppdbg', MIMode: 'gdb', setupCommands: [{ text: '-enable-pretty-printing' }] },
        USUAL_SIGNAL,
      );
      const setup = configuration.setupCommands.map(({ text }) => text);
      assert.equal(setup.length, 2);
      const env = { ...runtimeEnvironment(), XDG_RUNTIME_DIR: session.path('run') };
      const gdb = await Gdb.launch(program, env, setup);
      try {
        const pid = /of (\d+)/.exec(await gdb.printed(/^value 6 /))![1]!;
        await session.status(pid);
        session.edit('clock.cc', 'n * 3', 'n * 5');
        await session.patch(['clock.cc', '--pid', pid]);
        await gdb.printed(/^value 10 /);
        assert.deepEqual(gdb.stops, []);
      } finally {
        await gdb.kill();
      }
    }),
  );
});
