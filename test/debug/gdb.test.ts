// Real gdb and our patches in the same process: neither spoils the other's work. Everything is said in gdb's own
// commands and read from its own answers and from the program's output.
import { strict as assert } from 'node:assert';
import { passCommand, USUAL_SIGNAL, withPassSetup } from '../../extension/debug/signal_pass';
import { Gdb } from '../support/debuggers';
import { runtimeEnvironment } from '../support/hot_patch';
import { readMemory } from '../support/memory';
import { cli } from '../support/paths';
import { inSession, Unit } from '../support/session';
import {
  entryOf,
  requestWaits,
  runtimeSignal,
  shortPrologue,
  start,
  startDeoptimised,
  startLoading,
} from './traced_unit';

/** gdb attached to the unit's process, deaf to the runtime's own signal as our tracker makes it. */
async function attach(unit: Unit): Promise<Gdb> {
  return Gdb.attach(unit.program.pid, passCommand('gdb', await runtimeSignal(unit)));
}

for (const flags of [
  ['-O0', '-g'],
  ['-O2', '-g'],
])
  describe(`gdb, ${flags.join(' ')}`, () => {
    it(
      'stops at a line of the patched file, shows frames on both sides and locals, and finishes',
      inSession(async (session) => {
        const unit = await start(session, { flags });
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
      'that was there before the patch stops in the patched code at a line where it had a breakpoint',
      inSession(async (session) => {
        const unit = await start(session, { flags });
        const gdb = await attach(unit);
        try {
          await gdb.run('break unit.cc:8');
          await gdb.resume();
          await unit.editAndPatch('factor = 3', 'factor = 5');
          const answer = unit.value(2);
          assert.match((await gdb.stop()).record, /reason="breakpoint-hit".*func="scaled/);
          assert.match(await gdb.run('info locals'), /sum = 12/);
          await gdb.resume();
          assert.equal(await answer, 12);
        } finally {
          await gdb.end();
        }
      }),
    );

    it(
      'keeps its breakpoint at an entry, which a save waits for, and takes it away without harm to the trampoline',
      inSession(async (session) => {
        const unit = await start(session, { flags });
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
      'keeps its breakpoint at an entry that is redirected already while a save leads it elsewhere',
      inSession(async (session) => {
        const unit = await start(session, { flags });
        const entry = entryOf(await unit.editAndPatch('factor = 3', 'factor = 5'));
        const gdb = await attach(unit);
        try {
          await gdb.run(`break *${entry}`);
          await gdb.resume();
          await unit.editAndPatch('factor = 5', 'factor = 7');
          assert.equal(readMemory(unit.program.pid, entry, 1), 'cc');
          const answer = unit.value(2);
          assert.match((await gdb.stop()).record, /reason="breakpoint-hit"/);
          await gdb.resume();
          assert.equal(await answer, 16);
        } finally {
          await gdb.end();
        }
        assert.equal(readMemory(unit.program.pid, entry, 1), 'e9');
        assert.equal(await unit.value(3), 24);
      }),
    );

    it(
      'that stands at a breakpoint in the edited function has a save carried out there when it is told to',
      inSession(async (session) => {
        const unit = await start(session, { flags });
        const gdb = await attach(unit);
        try {
          await gdb.run('break unit.cc:8');
          await gdb.resume();
          const answer = unit.value(2);
          await gdb.stop();
          session.edit(unit.file, 'factor = 3', 'factor = 5');
          const saved = session.patch(unit.file);
          await requestWaits(unit, saved);
          assert.match(await gdb.serve(), /The request was carried out/);
          await saved;
          assert.match(await gdb.run('backtrace'), /#0 .*scaled[\s\S]*#1 .*unpatched ?\(/);
          await gdb.resume();
          // What was called before runs the old code to its end.
          assert.equal(await answer, 8);
          const next = unit.value(2);
          assert.match((await gdb.stop()).record, /reason="breakpoint-hit".*func="scaled/);
          assert.match(await gdb.run('info locals'), /sum = 12/);
          await gdb.run('delete');
          await gdb.resume();
          assert.equal(await next, 12);
        } finally {
          await gdb.end();
        }
        assert.equal(await unit.value(2), 12);
      }),
    );
  });

describe('gdb', () => {
  it(
    'that holds threads which would have to be stopped elsewhere cannot have the save carried out there: it waits on',
    inSession(async (session) => {
      const unit = await start(session, { flags: ['-O0', '-g', '-no-pie'] });
      const gdb = await attach(unit);
      try {
        await gdb.run('break unit.cc:8');
        await gdb.resume();
        const answer = unit.value(2);
        await gdb.stop();
        session.edit(unit.file, 'factor = 3', 'factor = 5');
        const saved = session.patch(unit.file);
        await requestWaits(unit, saved);
        assert.match(await gdb.serve(), /The request was carried out/);
        await requestWaits(unit, saved);
        await gdb.run('delete');
        await gdb.resume();
        assert.equal(await answer, 8);
        await saved;
        assert.equal(await unit.value(2), 12);
      } finally {
        await gdb.end();
      }
    }),
  );

  it(
    'that holds a thread with the loader’s lock is told so, and the save is carried out when that goes on',
    inSession(async (session) => {
      const { unit, edit } = await startLoading(session);
      const gdb = await attach(unit);
      try {
        edit();
        const saved = session.patch(unit.file);
        await requestWaits(unit, saved);
        assert.match(await gdb.serve(), /held here has a lock of the loader/);
        await gdb.resume();
        assert.equal(await unit.value(101), 1);
        await saved;
        assert.equal(await unit.value(2), 6);
      } finally {
        await gdb.end();
      }
    }),
  );

  it(
    'whose breakpoint lies over the jump, at the line behind the prologue, leaves the jump as it is',
    inSession(async (session) => {
      const unit = await Unit.start(session, shortPrologue, { flags: ['-O0', '-g', '-fcf-protection=none'] });
      assert.equal(await unit.value(0), 3);
      const entry = entryOf(await unit.editAndPatch('+= 3', '+= 5'));
      const jump = readMemory(unit.program.pid, entry, 5);
      const gdb = await attach(unit);
      try {
        await gdb.run('break unit.cc:4');
        await gdb.resume();
        const answer = unit.value(0);
        assert.match((await gdb.stop()).record, /reason="breakpoint-hit".*func="next"/);
        await gdb.resume();
        assert.equal(await answer, 8);
      } finally {
        await gdb.end();
      }
      assert.equal(readMemory(unit.program.pid, entry, 5), jump);
      assert.equal(await unit.value(0), 13);
    }),
  );
});

describe('gdb, in a function that was taken out of the optimisation', () => {
  for (const compiler of ['g++', 'clang++'])
    it(
      `shows every argument and local, line by line (${compiler})`,
      inSession(async (session) => {
        const unit = await startDeoptimised(session, compiler);
        const gdb = await attach(unit);
        try {
          await gdb.run('break unit.cc:4');
          await gdb.resume();
          const answer = unit.value(2);
          assert.match((await gdb.stop()).record, /reason="breakpoint-hit".*func="step/);
          assert.match(
            await gdb.run('backtrace'),
            /#0 .*step ?\(n=4, unused=7\) at .*unit\.cc:4\n#1 .*value ?\(.*unit\.cc:1[01]/,
          );
          for (const [line, locals] of [
            [5, /doubled = 8/],
            [6, /doubled = 8\nsum = 12/],
            [7, /doubled = 8\nsum = 13/],
          ] as const) {
            await gdb.run('next');
            assert.match((await gdb.stop()).record, new RegExp(`end-stepping-range.*line="${line}"`));
            assert.match(await gdb.run('info locals'), locals);
          }
          await gdb.run('delete');
          await gdb.resume();
          assert.equal(await answer, 15);
        } finally {
          await gdb.end();
        }
      }),
    );
});

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
