// Attaching that is ended in the middle, at each of its steps: the process goes on as if nothing had been, and can be
// attached to afterwards. And the other way round: the process that ends is reported, and nothing waits for it.
import { strict as assert } from 'node:assert';
import { attachSteps, runAttach } from '../support/attach';
import { useSession } from '../support/session';

const use = useSession(async (session) => {
  session.copySample('attach');
  await session.build({ sources: ['kinds.c', 'value.c'], flags: ['-O2', '-g', '-pthread'] });
});

describe('attaching that is killed', () => {
  for (const kind of ['read', 'sleep', 'epoll', 'compute'])
    it(`leaves a program of kind "${kind}" unharmed at every step`, async () => {
      for (const step of attachSteps) {
        const program = await use.session.startPlain('program', [kind]);
        const { status } = await runAttach(program.pid, { end: ['--end-at', step] });
        assert.equal(status, 'SIGKILL', step);
        assert.equal(await program.ask('21'), '42', step);
        const again = await runAttach(program.pid);
        assert.equal(again.status, 0, `${step}: ${JSON.stringify(again.document)}`);
        // The kernel does not make epoll_wait again, and between the stop and the next step nobody else does.
        const bad = kind === 'epoll' && step === 'stopped' ? 1 : 0;
        assert.equal(await program.ask('bad'), String(bad), `${step}: ${program.errorLines.join('\n')}`);
        program.endInput();
        assert.equal(await program.exit(), bad, step);
      }
    });

  it('says that the process has ended when that happens at any step', async () => {
    for (const step of attachSteps.slice(0, attachSteps.indexOf('restored'))) {
      const program = await use.session.startPlain('program', ['read']);
      const { status, document } = await runAttach(program.pid, { end: ['--end-process-at', step] });
      assert.equal(document?.error?.code, 'ended', `${step}: ${JSON.stringify(document)}`);
      assert.equal(status, 2, step);
      assert.equal(await program.exit(), 'SIGKILL', step);
    }
  });
});
