// `hot-patch attach`, `--attach` and `ps` as a user meets them: programs that were started in a plain shell.
import { strict as assert } from 'node:assert';
import type { AttachResult, PatchableProcess, PatchResult } from '../../extension/engine/model/result';
import { attachTo } from '../../extension/engine/process/attach_targets';
import type { Program } from '../support/program';
import { useSession } from '../support/session';

interface Listed {
  pid: number;
  state: string;
  attachable?: boolean;
  problem?: { code: string; message: string };
}

const use = useSession(async (session) => {
  session.copySample('attach');
  await session.build({ sources: ['kinds.c', 'value.c'], flags: ['-O2', '-g', '-pthread'] });
});

const start = (kind = 'read'): Promise<Program> => use.session.startPlain('program', [kind]);

/** Edits value.c for the time of `run`. */
async function withEdit<T>(factor: number, run: () => Promise<T>): Promise<T> {
  const before = use.session.edit('value.c', 'n * 2', `n * ${factor}`);
  try {
    return await run();
  } finally {
    use.session.write('value.c', before);
  }
}

async function listed({ pid }: Program): Promise<Listed | undefined> {
  const { stdout } = await use.session.hotPatch('ps', '--all', '--json');
  return (JSON.parse(stdout) as Listed[]).find((entry) => entry.pid === pid);
}

describe('a program that was started without preparation', () => {
  it('is patched in one go by `patch --attach`, which says that it attached', async () => {
    const program = await start();
    const result = await withEdit(3, () =>
      use.session.patch(['value.c', '--attach', '--pid', String(program.pid)]),
    );
    assert.deepEqual(
      result.attached?.map(({ pid, outcome }) => [pid, outcome]),
      [[program.pid, 'attached']],
    );
    assert.equal(await program.ask('21'), '63');
    const again = await withEdit(4, () =>
      use.session.patch(['value.c', '--attach', '--pid', String(program.pid)]),
    );
    assert.equal(again.attached, undefined);
    assert.equal(await program.ask('21'), '84');
    await program.stop();
  });

  it('is found by its source alone when it is the only one', async () => {
    const program = await start();
    const result = await withEdit(5, () => use.session.patch(['value.c', '--attach']));
    assert.deepEqual(
      result.processes.map(({ pid }) => pid),
      [program.pid],
    );
    assert.equal(await program.ask('21'), '105');
    await program.stop();
  });

  it('is not touched by a patch without --attach, which names the way', async () => {
    const program = await start();
    const { status, stdout } = await withEdit(3, () => use.session.hotPatch('patch', 'value.c', '--json'));
    const result = JSON.parse(stdout) as PatchResult;
    assert.deepEqual(
      result.refusals.map(({ code }) => code),
      ['no-runtime'],
    );
    assert.equal(status, 3);
    assert.equal((await listed(program))?.state, 'no-runtime');
    await program.stop();
  });

  it('is attachable in `ps`, and ready after `attach` by its number', async () => {
    const program = await start('epoll');
    assert.equal((await listed(program))?.attachable, true);
    const { status, stdout } = await use.session.hotPatch('attach', String(program.pid), '--json');
    assert.equal(status, 0);
    const [result] = JSON.parse(stdout) as AttachResult[];
    assert.equal(result?.outcome, 'attached');
    assert.equal((await listed(program))?.state, 'ready');
    await program.stop();
  });

  it('is attached to by the name of its source, and by the path of its program', async () => {
    for (const word of ['value.c', './program']) {
      const program = await start();
      const { status, stdout } = await use.session.hotPatch('attach', word);
      assert.equal(status, 0, stdout);
      assert.match(stdout, new RegExp(`^attached: process ${program.pid} `));
      await program.stop();
    }
  });

  it('is one of several, which are listed unless --all is said', async () => {
    const programs = [await start(), await start()];
    const one = await use.session.hotPatch('attach', 'value.c');
    assert.equal(one.status, 3);
    assert.match(one.stderr, /several-processes/);
    const all = await use.session.hotPatch('attach', 'value.c', '--all');
    assert.equal(all.status, 0, all.stderr);
    for (const program of programs) assert.equal((await listed(program))?.state, 'ready');
    await Promise.all(programs.map((program) => program.stop()));
  });

  it('is refused with the reason and the way out when it is stopped, and attached to when it goes on', async () => {
    const program = await start();
    process.kill(program.pid, 'SIGSTOP');
    const refused = await use.session.hotPatch('attach', String(program.pid));
    assert.equal(refused.status, 3);
    assert.match(refused.stderr, /\[stopped\]\n +Let it continue/);
    assert.equal((await listed(program))?.problem?.code, 'stopped');
    process.kill(program.pid, 'SIGCONT');
    const { status } = await use.session.hotPatch('attach', String(program.pid));
    assert.equal(status, 0);
    await program.stop();
  });
});

describe('attaching to a process that is named', () => {
  it('does not look at the debug information of others', async () => {
    const named = { pid: 7, state: 'no-runtime' } as PatchableProcess;
    const looked: string[] = [];
    const [result] = await attachTo(
      ['unit.c'],
      { kind: 'pid', pids: [7] },
      () => Promise.resolve([{ ...named, pid: 8 }, named]),
      { matching: (file) => (looked.push(file), Promise.resolve([])) },
      {
        attach: ({ pid }) =>
          Promise.resolve({ pid, exe: '', outcome: 'attached', pause: 0, milliseconds: 0 }),
        look: () => Promise.resolve([]),
      },
    );
    assert.equal(result?.pid, 7);
    assert.deepEqual(looked, []);
  });
});
