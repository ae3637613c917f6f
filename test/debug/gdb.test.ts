// Real gdb and our patches in the same process: neither spoils the other's work. Everything is said in gdb's own
// commands and read from its own answers and from the program's output.
import { strict as assert } from 'node:assert';
import { readdir, watch } from 'node:fs/promises';
import { join } from 'node:path';
import { gdbSignalName } from '../../extension/debug/signal_pass';
import { Gdb } from '../support/debuggers';
import { controlDirectory, readMemory } from '../support/memory';
import { cli } from '../support/paths';
import { inSession, Unit, type Session } from '../support/session';

const source = `
struct Box { int size; long content; };
static long calls;
__attribute__((noinline)) static long scaled(const Box &box, long n) {
  long factor = 3;
  long sum = box.content * factor + n;
  calls++;
  return sum;
}
__attribute__((noinline)) long unpatched(long n) {
  Box box{1, n};
  long result = scaled(box, n);
  return result + 1;
}
long value(long n) { return unpatched(n) - 1; }
`;

/** The unit in a running program, and the signal at which the runtime is rung for. */
async function start(session: Session, flags: string[]): Promise<Unit> {
  const unit = await Unit.start(session, source, { flags });
  assert.equal(await unit.value(2), 8);
  return unit;
}

/** gdb attached to the unit's process, deaf to the runtime's own signal as our tracker makes it. */
async function attach({ session, program }: Unit): Promise<Gdb> {
  const running = JSON.parse((await session.hotPatch('ps', '--json')).stdout) as {
    pid: number;
    runtime?: { signal: number };
  }[];
  const { signal } = running.find(({ pid }) => pid === program.pid)!.runtime!;
  return Gdb.attach(program.pid, `handle ${gdbSignalName(signal)} nostop noprint pass`);
}

/** Resolves when the engine's request lies in the control directory: it is taken from there when the process runs. */
async function unitWaits({ session, program }: Unit): Promise<void> {
  const requests = join(controlDirectory(session.path('run'), program.pid)!, 'requests');
  const changes = watch(requests)[Symbol.asyncIterator]();
  while (!(await readdir(requests)).some((name) => !name.startsWith('.'))) await changes.next();
  await changes.return?.();
}

for (const flags of [
  ['-O0', '-g'],
  ['-O2', '-g'],
])
  describe(`gdb, ${flags.join(' ')}`, () => {
    it(
      'stops at a line of the patched file, shows frames on both sides and locals, and finishes',
      inSession(async (session) => {
        const unit = await start(session, flags);
        await unit.editAndPatch('factor = 3', 'factor = 5');
        const gdb = await attach(unit);
        try {
          await gdb.run('break unit.cc:8');
          await gdb.resume();
          const answer = unit.value(2);
          const { reason } = await gdb.stop();
          assert.equal(reason, 'breakpoint-hit');
          const frames = await gdb.run('backtrace');
          assert.match(
            frames,
            /#0 .*scaled ?\(.*unit\.cc:[78][\s\S]*#1 .*unpatched ?\(.*unit\.cc:[\s\S]*main ?\(/,
          );
          assert.match(await gdb.run('info locals'), /sum = 12/);
          await gdb.run('delete');
          await gdb.run('finish');
          const finished = await gdb.stop();
          assert.equal(finished.reason, 'function-finished');
          assert.match(finished.record, /func="unpatched"/);
          await gdb.resume();
          assert.equal(await answer, 12);
        } finally {
          await gdb.end();
        }
        assert.equal(await unit.value(2), 12);
      }),
    );

    it(
      'keeps its breakpoint at an entry, which a save waits for, and takes it away without harm to the trampoline',
      inSession(async (session) => {
        const unit = await start(session, flags);
        const gdb = await attach(unit);
        let entry = '';
        try {
          entry = /= \(void \*\) (0x[0-9a-f]+)/.exec(await gdb.run('print (void *) &scaled'))![1]!;
          await gdb.run('break *scaled');
          await gdb.resume();
          session.edit(unit.file, 'factor = 3', 'factor = 5');
          const saved = await session.startCommand(process.execPath, [cli, 'patch', session.path(unit.file)]);
          await saved.errorLine(/breakpoint at the entry of .*scaled/);
          const answer = unit.value(2);
          assert.match((await gdb.stop()).record, /reason="breakpoint-hit"/);
          assert.match(await gdb.run('backtrace'), /#0 .*scaled ?\([\s\S]*#1 .*unpatched ?\(/);
          await gdb.run('delete');
          await gdb.resume();
          // It was called before the breakpoint was removed.
          assert.equal(await answer, 8);
          assert.equal(await saved.exit(), 0);
          assert.equal(await unit.value(3), 18);
        } finally {
          await gdb.end();
        }
        assert.equal(readMemory(unit.program.pid, entry, 1), 'e9');
        assert.equal(await unit.value(4), 24);
      }),
    );

    it(
      'that holds the process makes a save wait, and the save is applied when it lets go',
      inSession(async (session) => {
        const unit = await start(session, flags);
        const gdb = await attach(unit);
        try {
          session.edit(unit.file, 'factor = 3', 'factor = 5');
          const saved = session.patch(unit.file);
          await unitWaits(unit);
          await gdb.resume();
          await saved;
          assert.equal(await unit.value(2), 12);
        } finally {
          await gdb.end();
        }
        assert.equal(await unit.value(2), 12);
      }),
    );
  });
