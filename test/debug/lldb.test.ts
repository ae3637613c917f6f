// Real lldb and our patches in the same process, as gdb.test.ts does it with gdb; and with code of clang, whose debug
// information names addresses by their number in a table.
import { strict as assert } from 'node:assert';
import { passCommand } from '../../extension/debug/signal_pass';
import { Lldb } from '../support/debuggers';
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

/** lldb attached to the unit's process, deaf to the runtime's own signal as our tracker makes it. */
async function attach(unit: Unit): Promise<Lldb> {
  const { session, program } = unit;
  return Lldb.attach(session.path('program'), program.pid, passCommand('lldb', await runtimeSignal(unit)));
}

for (const options of [
  { flags: ['-O0', '-g'] },
  { flags: ['-O2', '-g'] },
  { flags: ['-O0', '-g'], compiler: 'clang++' },
])
  describe(`lldb, ${[options.compiler ?? 'g++', ...options.flags].join(' ')}`, () => {
    it(
      'stops at a line of the patched file, shows frames on both sides and locals, and finishes',
      inSession(async (session) => {
        const unit = await start(session, options);
        await unit.editAndPatch('factor = 3', 'factor = 5');
        const lldb = await attach(unit);
        try {
          await lldb.run('breakpoint set --file unit.cc --line 8');
          await lldb.resume();
          const answer = unit.value(2);
          assert.match(await lldb.stop(), /stop reason = breakpoint 1\.\d/);
          assert.match(
            await lldb.run('thread backtrace'),
            /frame #0: .*JIT\(0x.*scaled\(.*unit\.cc:[789][\s\S]*frame #1: .*program`unpatched\(.*unit\.cc:[\s\S]*main/,
          );
          assert.match(await lldb.run('frame variable'), /\(long\) sum = 12/);
          await lldb.run('breakpoint delete --force');
          assert.match(await lldb.finish(), /stop reason = step out/);
          assert.match(await lldb.run('thread backtrace'), /frame #0: .*program`unpatched\(/);
          await lldb.resume();
          assert.equal(await answer, 12);
        } finally {
          await lldb.end();
        }
        assert.equal(await unit.value(2), 12);
      }),
    );

    it(
      'that was there before the patch stops in the patched code at a line where it had a breakpoint',
      inSession(async (session) => {
        const unit = await start(session, options);
        const lldb = await attach(unit);
        try {
          await lldb.run('breakpoint set --file unit.cc --line 8');
          await lldb.resume();
          await unit.editAndPatch('factor = 3', 'factor = 5');
          const answer = unit.value(2);
          assert.match(await lldb.stop(), /stop reason = breakpoint 1\.\d/);
          assert.match(await lldb.run('thread backtrace'), /frame #0: .*JIT\(0x.*scaled\(/);
          assert.match(await lldb.run('frame variable'), /\(long\) sum = 12/);
          await lldb.resume();
          assert.equal(await answer, 12);
        } finally {
          await lldb.end();
        }
      }),
    );

    it(
      'keeps its breakpoint at an entry, which a save waits for, and takes it away without harm to the trampoline',
      inSession(async (session) => {
        const unit = await start(session, options);
        const lldb = await attach(unit);
        let entry = '';
        try {
          const scaled = await lldb.run('image lookup --verbose --regex --symbol scaled program');
          entry = /range = \[(0x[0-9a-f]+)-/.exec(scaled)![1]!;
          await lldb.run(`breakpoint set --address ${entry}`);
          await lldb.resume();
          session.edit(unit.file, 'factor = 3', 'factor = 5');
          const saved = await session.startCommand(process.execPath, [cli, 'patch', session.path(unit.file)]);
          await saved.errorLine(/breakpoint at the entry of .*scaled/);
          const answer = unit.value(2);
          assert.match(await lldb.stop(), /stop reason = breakpoint 1\.1/);
          assert.match(
            await lldb.run('thread backtrace'),
            /frame #0: .*program`.*scaled\([\s\S]*frame #1: .*unpatched\(/,
          );
          await lldb.run('breakpoint delete --force');
          await lldb.resume();
          // It was called before the breakpoint was removed.
          assert.equal(await answer, 8);
          assert.equal(await saved.exit(), 0);
          assert.equal(await unit.value(3), 18);
        } finally {
          await lldb.end();
        }
        assert.equal(readMemory(unit.program.pid, entry, 1), 'e9');
        assert.equal(await unit.value(4), 24);
      }),
    );

    it(
      'keeps its breakpoint at an entry that is redirected already while a save leads it elsewhere',
      inSession(async (session) => {
        const unit = await start(session, options);
        const entry = entryOf(await unit.editAndPatch('factor = 3', 'factor = 5'));
        const lldb = await attach(unit);
        try {
          await lldb.run(`breakpoint set --address ${entry}`);
          await lldb.resume();
          await unit.editAndPatch('factor = 5', 'factor = 7');
          assert.equal(readMemory(unit.program.pid, entry, 1), 'cc');
          const answer = unit.value(2);
          assert.match(await lldb.stop(), /stop reason = breakpoint 1\.1/);
          await lldb.resume();
          assert.equal(await answer, 16);
        } finally {
          await lldb.end();
        }
        assert.equal(readMemory(unit.program.pid, entry, 1), 'e9');
        assert.equal(await unit.value(3), 24);
      }),
    );

    it(
      'that stands at a breakpoint in the edited function has a save carried out there when it is told to',
      inSession(async (session) => {
        const unit = await start(session, options);
        const lldb = await attach(unit);
        try {
          await lldb.run('breakpoint set --file unit.cc --line 8');
          await lldb.resume();
          const answer = unit.value(2);
          await lldb.stop();
          session.edit(unit.file, 'factor = 3', 'factor = 5');
          const saved = session.patch(unit.file);
          await requestWaits(unit, saved);
          assert.match(await lldb.serve(), /The request was carried out/);
          await saved;
          assert.match(
            await lldb.run('thread backtrace'),
            /frame #0: .*program`.*scaled\([\s\S]*unpatched\(/,
          );
          await lldb.resume();
          // What was called before runs the old code to its end.
          assert.equal(await answer, 8);
          const next = unit.value(2);
          assert.match(await lldb.stop(), /stop reason = breakpoint 1\.\d/);
          assert.match(await lldb.run('thread backtrace'), /frame #0: .*JIT\(0x.*scaled\(/);
          assert.match(await lldb.run('frame variable'), /\(long\) sum = 12/);
          await lldb.run('breakpoint delete --force');
          await lldb.resume();
          assert.equal(await next, 12);
        } finally {
          await lldb.end();
        }
        assert.equal(await unit.value(2), 12);
      }),
    );
  });

describe('lldb', () => {
  it(
    'that holds threads which would have to be stopped elsewhere cannot have the save carried out there: it waits on',
    inSession(async (session) => {
      const unit = await start(session, { flags: ['-O0', '-g', '-no-pie'] });
      const lldb = await attach(unit);
      try {
        await lldb.run('breakpoint set --file unit.cc --line 8');
        await lldb.resume();
        const answer = unit.value(2);
        await lldb.stop();
        session.edit(unit.file, 'factor = 3', 'factor = 5');
        const saved = session.patch(unit.file);
        await requestWaits(unit, saved);
        assert.match(await lldb.serve(), /The request was carried out/);
        await requestWaits(unit, saved);
        await lldb.run('breakpoint delete --force');
        await lldb.resume();
        assert.equal(await answer, 8);
        await saved;
        assert.equal(await unit.value(2), 12);
      } finally {
        await lldb.end();
      }
    }),
  );

  it(
    'that holds a thread with the loader’s lock is told so, and the save is carried out when that goes on',
    inSession(async (session) => {
      const { unit, edit } = await startLoading(session);
      const lldb = await attach(unit);
      try {
        edit();
        const saved = session.patch(unit.file);
        await requestWaits(unit, saved);
        assert.match(await lldb.serve(), /held here has a lock of the loader/);
        await lldb.resume();
        assert.equal(await unit.value(101), 1);
        await saved;
        assert.equal(await unit.value(2), 6);
      } finally {
        await lldb.end();
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
      const lldb = await attach(unit);
      try {
        await lldb.run('breakpoint set --file unit.cc --line 4');
        await lldb.resume();
        const answer = unit.value(0);
        assert.match(await lldb.stop(), /stop reason = breakpoint 1/);
        assert.match(await lldb.run('thread backtrace'), /frame #0: .*JIT\(0x.*next\(/);
        await lldb.resume();
        assert.equal(await answer, 8);
      } finally {
        await lldb.end();
      }
      assert.equal(readMemory(unit.program.pid, entry, 5), jump);
      assert.equal(await unit.value(0), 13);
    }),
  );
});

describe('lldb, in a function that was taken out of the optimisation', () => {
  for (const compiler of ['g++', 'clang++'])
    it(
      `shows every argument and local, line by line (${compiler})`,
      inSession(async (session) => {
        const unit = await startDeoptimised(session, compiler);
        const lldb = await attach(unit);
        try {
          await lldb.run('breakpoint set --file unit.cc --line 4');
          await lldb.resume();
          const answer = unit.value(2);
          assert.match(await lldb.stop(), /stop reason = breakpoint 1/);
          assert.match(await lldb.run('thread backtrace'), /frame #0: .*JIT\(0x.*step\(.*unit\.cc:4/);
          for (const [line, locals] of [
            [5, /n = 4[^]*unused = 7[^]*doubled = 8/],
            [6, /doubled = 8[^]*sum = 12/],
            [7, /doubled = 8[^]*sum = 13/],
          ] as const) {
            assert.match(await lldb.next(), /stop reason = step over/);
            assert.match(await lldb.run('thread backtrace'), new RegExp(`frame #0: .*unit\\.cc:${line}`));
            assert.match(await lldb.run('frame variable'), locals);
          }
          await lldb.run('breakpoint delete --force');
          await lldb.resume();
          assert.equal(await answer, 15);
        } finally {
          await lldb.end();
        }
      }),
    );
});
