// Attaching two hundred times in a row to each kind of program, and twenty times killed at each step: figures of the
// pause on standard output, and no process that was harmed.
import { strict as assert } from 'node:assert';
import { attach, attachSteps, runAttach } from '../support/attach';
import { useSession } from '../support/session';

const ROUNDS = Number(process.env['HOT_PATCH_ROUNDS'] ?? 200);
const KILLED = Math.ceil(ROUNDS / 10);

const kinds = [
  ...[
    'read',
    'poll',
    'poll-timeout',
    'epoll',
    'futex',
    'small-stacks',
    'sleep',
    'allocate',
    'load',
    'compute',
  ],
  ...['vfork', 'spawn', 'signals', 'masked'],
];

/** What the stopped thread was doing when this program is killed: kinds of waits, and none. */
const killed = ['read', 'poll', 'poll-timeout', 'epoll', 'futex', 'sleep', 'compute', 'signals'];

const use = useSession(async (session) => {
  session.copySample('attach');
  await session.build({ sources: ['kinds.c', 'value.c'], flags: ['-O2', '-g', '-pthread'] });
});

const milliseconds = (microseconds: number): string => `${(microseconds / 1000).toFixed(2)} ms`;

function figures(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  return `${milliseconds(sorted[sorted.length >> 1] ?? 0)} / ${milliseconds(sorted.at(-1) ?? 0)}`;
}

describe('attaching again and again', () => {
  for (const kind of kinds)
    it(`harms no program of kind "${kind}"`, async () => {
      const pauses: number[] = [];
      const totals: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const program = await use.session.startPlain('program', [kind]);
        const { pause, total } = await attach(program.pid);
        pauses.push(pause);
        totals.push(total);
        assert.equal(await program.ask('21'), '42');
        assert.equal(await program.ask('bad'), '0', program.errorLines.join('\n'));
        program.endInput();
        assert.equal(await program.exit(), 0);
      }
      console.log(
        `      ${kind}: ${ROUNDS} attaches, pause p50 / max ${figures(pauses)}, all ${figures(totals)}`,
      );
    });

  const wrong: Record<string, number[]> = {};
  for (const kind of killed)
    it(`harms no program of kind "${kind}" when it is killed, at whatever step`, async () => {
      for (const step of attachSteps) {
        let bad = 0;
        for (let round = 0; round < KILLED; round++) {
          const program = await use.session.startPlain('program', [kind]);
          const { status } = await runAttach(program.pid, { end: ['--end-at', step] });
          assert.equal(status, 'SIGKILL');
          assert.equal(await program.ask('21'), '42');
          const again = await runAttach(program.pid);
          assert.equal(again.status, 0, JSON.stringify(again.document));
          bad += Number(await program.ask('bad'));
          program.endInput();
          await program.exit();
        }
        (wrong[kind] ??= []).push(bad);
        // The kernel does not make epoll_wait again, and nobody else does before the next step.
        assert.equal(bad, kind === 'epoll' && step === 'stopped' ? KILLED : 0, `${kind}, ${step}`);
      }
    });
  after(() => {
    console.log(`      of ${KILLED}, calls that ended with EINTR: ${attachSteps.join(', ')}`);
    for (const [kind, counts] of Object.entries(wrong)) console.log(`      ${kind}: ${counts.join(' ')}`);
  });

  it('ends when the process is killed, at whatever step', async () => {
    for (const step of attachSteps)
      for (let round = 0; round < KILLED; round++) {
        const victim = await use.session.startPlain('program', ['futex']);
        await runAttach(victim.pid, { end: ['--end-process-at', step] });
        assert.equal(await victim.exit(), 'SIGKILL');
      }
  });
});
