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

  for (const step of attachSteps)
    it(`harms nothing when it, or the process, is killed at step "${step}"`, async () => {
      for (let round = 0; round < KILLED; round++) {
        const program = await use.session.startPlain('program', [round % 2 === 0 ? 'poll' : 'sleep']);
        const { status } = await runAttach(program.pid, { end: ['--end-at', step] });
        assert.equal(status, 'SIGKILL');
        assert.equal(await program.ask('21'), '42');
        const again = await runAttach(program.pid);
        assert.equal(again.status, 0, JSON.stringify(again.document));
        assert.equal(await program.ask('bad'), '0', program.errorLines.join('\n'));
        program.endInput();
        assert.equal(await program.exit(), 0);
        const victim = await use.session.startPlain('program', ['futex']);
        await runAttach(victim.pid, { end: ['--end-process-at', step] });
        assert.equal(await victim.exit(), 'SIGKILL');
      }
    });
});
