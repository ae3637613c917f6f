// Attaching to programs of every kind: the runtime comes into them while they do what they do, and nothing that they
// could notice happens. The programs check themselves (test/samples/attach).
import { strict as assert } from 'node:assert';
import { attach, runAttach } from '../support/attach';
import type { Program } from '../support/program';
import { useSession } from '../support/session';

/** The kinds of test/samples/attach/kinds.c, and what their threads do. */
const kinds: Record<string, string> = {
  read: 'waits for input',
  poll: 'waits in poll',
  'poll-timeout': 'waits in poll with a time-out',
  epoll: 'waits in epoll',
  futex: 'waits for a condition in every thread but one',
  'small-stacks': 'waits in threads with the smallest stacks there are',
  sleep: 'sleeps, and looks whether it slept long enough',
  allocate: 'allocates in eight threads without pause',
  load: 'loads and unloads libraries in two threads without pause',
  compute: 'computes, and looks at its registers',
  vfork: 'starts processes with vfork without pause',
  spawn: 'starts processes with posix_spawn without pause',
  signals: 'gets a signal a thousand times a second',
  masked: 'blocks all signals',
};

const use = useSession(async (session) => {
  session.copySample('attach');
  await session.build({ sources: ['kinds.c', 'value.c'], flags: ['-O2', '-g', '-pthread'] });
});

async function seesNothingWrong(program: Program): Promise<void> {
  assert.equal(await program.ask('bad'), '0', program.errorLines.join('\n'));
}

describe('attaching to a running program', () => {
  for (const [kind, description] of Object.entries(kinds)) {
    it(`works for one that ${description}, and a patch follows`, async () => {
      const { session } = use;
      const program = await session.startPlain('program', [kind]);
      assert.equal(await program.ask('21'), '42');
      await attach(program.pid);
      await seesNothingWrong(program);
      const before = session.edit('value.c', 'n * 2', 'n * 3');
      try {
        await session.patch(['value.c', '--pid', String(program.pid)]);
      } finally {
        session.write('value.c', before);
      }
      assert.equal(await program.ask('21'), '63');
      await seesNothingWrong(program);
      program.endInput();
      assert.equal(await program.exit(), 0);
    });
  }

  it('waits for a runtime that is there and takes long to announce itself', async () => {
    const { session } = use;
    // As a disk that does not answer for a while, or a machine that has other things to do.
    session.write(
      'slow.c',
      '#include <unistd.h>\n#include <sys/syscall.h>\n' +
        'int renameat(int from, const char *name, int to, const char *other) {\n' +
        '  sleep(3);\n  return syscall(SYS_renameat, from, name, to, other);\n}\n',
    );
    await session.build({
      sources: ['kinds.c', 'value.c', 'slow.c'],
      output: 'slow',
      flags: ['-O2', '-g', '-pthread'],
      linkFlags: ['-rdynamic'],
    });
    const program = await session.startPlain('slow', ['read']);
    const both = await Promise.all([runAttach(program.pid), runAttach(program.pid)]);
    for (const { status, document } of both) assert.equal(status, 0, JSON.stringify(document));
    assert.deepEqual(
      (await session.status('--pid', String(program.pid))).map(({ pid }) => pid),
      [program.pid],
    );
    await seesNothingWrong(program);
  });

  it('does nothing the second time', async () => {
    const program = await use.session.startPlain('program', ['read']);
    await attach(program.pid);
    const { status, document } = await runAttach(program.pid);
    assert.equal(status, 0);
    assert.equal(document?.outcome, 'ready');
    assert.equal(document.pause, 0);
  });

  it('is done once by four that come at the same time', async () => {
    const program = await use.session.startPlain('program', ['futex']);
    const both = await Promise.all([1, 2, 3, 4].map(() => runAttach(program.pid)));
    for (const { status, document } of both) assert.equal(status, 0, JSON.stringify(document));
    await seesNothingWrong(program);
    const ready = (await use.session.status('--pid', String(program.pid))).map(({ pid }) => pid);
    assert.deepEqual(ready, [program.pid]);
  });
});
