// `hot-patch detach`: the process runs its original code, saves leave it alone, and it can be attached to again,
// whichever way the runtime came in. Threads in patched code and clients notice nothing.
import { strict as assert } from 'node:assert';
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { AttachResult, PatchableProcess, PatchResult } from '../../extension/engine/model/result';
import { attachProgram } from '../support/attach';
import type { Program } from '../support/program';
import { inSession, useSession, type Session } from '../support/session';
import { until } from '../support/until';

const VALUE = 'long value(long n) {\n  return n * 2;\n}\n';

const use = useSession(async (session) => {
  session.copySample('driver');
  session.write('unit.c', VALUE);
  await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O2'] });
});

async function detach(session: Session, ...words: string[]): Promise<PatchResult> {
  const { status, stdout, stderr } = await session.hotPatch('detach', '--json', ...words);
  assert.equal(status, 0, stdout + stderr);
  return JSON.parse(stdout) as PatchResult;
}

async function attach(session: Session, ...words: string[]): Promise<AttachResult[]> {
  const { status, stdout, stderr } = await session.hotPatch('attach', '--json', ...words);
  assert.equal(status, 0, stdout + stderr);
  return JSON.parse(stdout) as AttachResult[];
}

type Listed = PatchableProcess & { attachable?: boolean; problem?: { code: string } };

async function listed(session: Session, { pid }: Pick<Program, 'pid'>): Promise<Listed> {
  const { stdout, stderr } = await session.hotPatch('ps', '--json');
  assert.notEqual(stdout, '', stderr);
  const found = (JSON.parse(stdout) as Listed[]).find((entry) => entry.pid === pid);
  assert.ok(found, `process ${pid} is not listed: ${stdout}`);
  return found;
}

async function edited(session: Session, factor: number, pid: number): Promise<PatchResult> {
  session.write('unit.c', VALUE.replace('n * 2', `n * ${factor}`));
  return session.patch(['unit.c', '--pid', String(pid)]);
}

const starts = {
  'was attached to': async (session: Session) => {
    const program = await session.startPlain();
    await attach(session, String(program.pid));
    return program;
  },
  'was started with the runtime': (session: Session) => session.start(),
};

for (const [how, start] of Object.entries(starts))
  describe(`detaching from a program that ${how}`, () => {
    it('brings the original code back, and attaching again makes it patchable', async () => {
      const { session } = use;
      const program = await start(session);
      const word = String(program.pid);
      await edited(session, 3, program.pid);
      assert.equal(await program.ask('7'), '21');
      const result = await detach(session, word);
      assert.equal(result.outcome, 'reverted');
      assert.deepEqual(
        result.processes.map(({ pid, functions }) => [pid, functions.map(({ version }) => version)]),
        [[program.pid, [0]]],
      );
      assert.equal(await program.ask('7'), '14');
      const { state, asleep, attachable } = await listed(session, program);
      assert.deepEqual([state, asleep !== undefined, attachable], ['no-runtime', true, true]);

      const [woken] = await attach(session, word);
      assert.deepEqual([woken?.outcome, woken?.pause], ['attached', 0]);
      assert.equal((await listed(session, program)).state, 'ready');
      await edited(session, 5, program.pid);
      assert.equal(await program.ask('7'), '35');
      await detach(session, word);
      assert.equal(await program.ask('7'), '14');
      program.endInput();
      assert.equal(await program.exit(), 0);
    });

    it('says so when it was detached from already', async () => {
      const { session } = use;
      const program = await start(session);
      const first = await session.hotPatch('detach', String(program.pid));
      assert.equal(first.status, 0, first.stderr);
      assert.match(first.stdout, new RegExp(`^detached: process ${program.pid} .*; nothing was patched\n$`));
      const second = await session.hotPatch('detach', String(program.pid));
      assert.equal(second.status, 0, second.stderr);
      assert.match(
        second.stdout,
        new RegExp(`^asleep: process ${program.pid} .* was detached from already\n$`),
      );
      await program.stop();
    });

    it('leaves a process that no request but a wake does anything to', async () => {
      const { session } = use;
      const program = await start(session);
      const word = String(program.pid);
      await detach(session, word);
      session.write('unit.c', VALUE.replace('n * 2', 'n * 9'));
      const refused = await session.hotPatch('patch', 'unit.c', '--pid', word);
      assert.equal(refused.status, 3);
      assert.match(refused.stderr, /was detached from \[no-runtime\]\n +Attach to it/);
      const reverted = await session.hotPatch('revert', '--pid', word);
      assert.equal(reverted.status, 3, reverted.stdout);
      assert.equal(await program.ask('7'), '14');
      // `--attach` says what is wanted.
      const result = await session.patch(['unit.c', '--attach', '--pid', word]);
      assert.deepEqual(
        result.attached?.map(({ pid }) => pid),
        [program.pid],
      );
      assert.equal(await program.ask('7'), '63');
      await program.stop();
    });
  });

describe('detaching', () => {
  it(
    'lets a thread that is in patched code come to its end there',
    inSession(async (session) => {
      session.write('unit.c', WAITING);
      await session.build({ sources: ['unit.c'], flags: ['-g', '-O2', '-pthread'] });
      const program = await session.start();
      session.edit('unit.c', '"original"', '"patched"');
      await session.patch('unit.c');
      program.send('start');
      await program.line('waits');
      const [process] = (await detach(session, './program')).processes;
      assert.deepEqual(
        process!.functions.map(({ version, activeThreads }) => [version, activeThreads]),
        [[0, 1]],
      );
      program.send('go on');
      assert.equal(await program.line(), 'patched');
      program.send('start');
      await program.line('waits');
      program.send('go on');
      assert.equal(await program.line(), 'original');
      program.endInput();
      assert.equal(await program.exit(), 0);
    }),
  );

  it('is refused where the patches cannot be taken back, and the process stays attached to', async () => {
    const { session } = use;
    const program = await session.start();
    const [process] = (await edited(session, 3, program.pid)).processes;
    const entry = Number(process!.functions[0]!.trampoline.address);
    const memory = openSync(`/proc/${program.pid}/mem`, 'r+');
    writeSync(memory, Buffer.of(0x90), 0, 1, entry);
    const refused = await session.hotPatch('detach', String(program.pid));
    assert.equal(refused.status, 4);
    assert.match(refused.stderr, /\[original-differs\]/);
    assert.equal(refused.stdout, '');
    assert.equal((await listed(session, program)).state, 'ready');
    writeSync(memory, Buffer.of(0xe9), 0, 1, entry);
    closeSync(memory);
    assert.equal(await program.ask('7'), '21');
    await detach(session, String(program.pid));
    assert.equal(await program.ask('7'), '14');
    await program.stop();
  });

  it('is refused for a process that was never attached to', async () => {
    const { session } = use;
    const program = await session.startPlain();
    const { status, stderr } = await session.hotPatch('detach', String(program.pid));
    assert.equal(status, 3);
    assert.match(stderr, /has no hot_fix runtime \[no-runtime\]/);
    await program.stop();
  });

  it(
    'takes a whole family along, and children forked later sleep too',
    inSession(async (session) => {
      session.copySample('family');
      session.write('unit.c', VALUE);
      await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O2'] });
      const program = await session.start();
      const forked: number[] = [];
      const fork = async () => {
        const pid = Number(await program.ask('fork'));
        forked.push(pid);
        return { pid };
      };
      try {
        const child = await fork();
        await until(
          () => listed(session, child),
          ({ state }) => state === 'ready',
        );
        session.write('unit.c', VALUE.replace('n * 2', 'n * 3'));
        await session.patch(['unit.c', '--all']);
        assert.equal(await program.ask('7'), '21');
        const result = await detach(session, './program');
        assert.deepEqual(
          result.processes.map(({ pid }) => pid).sort((a, b) => a - b),
          [program.pid, child.pid].sort((a, b) => a - b),
        );
        assert.equal(await program.ask('7'), '14');
        const grandchild = await fork();
        await until(
          () => listed(session, grandchild),
          ({ asleep }) => asleep !== undefined,
        );
        await attach(session, String(grandchild.pid));
        assert.equal((await listed(session, grandchild)).state, 'ready');
        assert.equal((await listed(session, child)).state, 'no-runtime');
      } finally {
        for (const pid of forked.reverse()) process.kill(pid, 'SIGKILL');
      }
    }),
  );

  it(
    'leaves a plain kill without effect',
    inSession(async (session) => {
      session.copySample('driver');
      session.write('unit.c', VALUE);
      await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O2'] });
      const program = await session.start('program', [], { HOT_FIX_PATCH: '/nowhere.so' });
      const answer = join(
        'run',
        `hot_fix-${process.getuid!()}`,
        String(program.pid),
        'answers',
        'signal.json',
      );
      await detach(session, String(program.pid));
      process.kill(program.pid, 'SIGUSR1');
      // The worker has heard it by the time that it answers the next request.
      await attach(session, String(program.pid));
      assert.throws(() => session.read(answer), /ENOENT/);
      process.kill(program.pid, 'SIGUSR1');
      await until(
        () => existsSync(session.path(answer)) && session.read(answer),
        (text) => text !== false && text.includes('seed-patch-failed'),
      );
      await program.stop();
    }),
  );

  it('is not heard by a stopped process: waking one is refused with the reason', async () => {
    const { session } = use;
    const program = await session.start();
    await detach(session, String(program.pid));
    process.kill(program.pid, 'SIGSTOP');
    const refused = await session.hotPatch('attach', String(program.pid));
    assert.equal(refused.status, 3);
    assert.match(refused.stderr, /\[stopped\]/);
    assert.equal((await listed(session, program)).problem?.code, 'stopped');
    process.kill(program.pid, 'SIGCONT');
    await attach(session, String(program.pid));
    await program.stop();
  });

  it('needs no right to trace for waking', async function () {
    if (process.getuid!() !== 0) this.skip();
    const { session } = use;
    const program = await session.start();
    await detach(session, String(program.pid));
    // Without the capability, and as a process that is not dumpable would be: only a signal is sent.
    const woken = await session.run('setpriv', [
      ...['--bounding-set', '-sys_ptrace', '--inh-caps', '-sys_ptrace'],
      ...[globalThis.process.execPath, join(attachProgram, '../../../cli.js'), 'attach', String(program.pid)],
    ]);
    assert.match(woken, /its runtime was woken/);
    await program.stop();
  });
});

/** Waits in work() for the line "go on" while main reads the lines. */
const WAITING = `
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
static sem_t go;
__attribute__((noipa)) static const char *work(void) {
  puts("waits");
  fflush(stdout);
  while (sem_wait(&go) != 0) {}
  return "original";
}
static void *run(void *unused) {
  puts(work());
  fflush(stdout);
  return unused;
}
int main(void) {
  char line[64];
  sem_init(&go, 0, 0);
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    pthread_t thread;
    if (strcmp(line, "start\\n") == 0) pthread_create(&thread, 0, run, 0);
    else sem_post(&go);
  }
  return 0;
}
`;
