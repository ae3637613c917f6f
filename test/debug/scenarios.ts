// A debugger and our patches in the same process: neither spoils the other's work. The same for gdb and lldb.
import { strict as assert } from 'node:assert';
import { readMemory } from '../support/memory';
import { cli } from '../support/paths';
import { inSession, Unit, type Session, type UnitOptions } from '../support/session';
import type { Debugger, Frame, Kind } from './debugger';
import { entryOf, requestWaits, shortPrologue, start, startDeoptimised, startLoading } from './traced_unit';

/** Attached for the time of a test; the process lives on behind it. */
async function attached(kind: Kind, unit: Unit, test: (one: Debugger) => Promise<void>): Promise<void> {
  const one = await kind.attach(unit);
  try {
    await test(one);
  } finally {
    await one.end();
  }
}

/** It stands in one version of a function. */
function standsIn(
  { name, isPatched }: Frame | undefined = { name: '', line: 0 },
  version: 'patched' | 'original',
  wanted: string,
): void {
  assert.equal(name, wanted);
  if (isPatched !== undefined) assert.equal(isPatched ? 'patched' : 'original', version);
}

export function describeBreakpoints(kind: Kind, options: UnitOptions): void {
  const title = [options.compiler ?? 'g++', ...(options.flags ?? [])].join(' ');
  const startUnit = (session: Session) => start(session, options);
  describe(`${kind.name}, ${title}`, () => {
    it(
      'stops at a line of the patched file, shows frames on both sides and locals, and finishes',
      inSession(async (session) => {
        const unit = await startUnit(session);
        await unit.editAndPatch('factor = 3', 'factor = 5');
        await attached(kind, unit, async (one) => {
          await one.breakAtLine(8);
          await one.resume();
          const answer = unit.value(2);
          assert.equal(await one.stopped(), 'breakpoint');
          const frames = await one.frames();
          standsIn(frames[0], 'patched', 'scaled');
          assert.ok([7, 8, 9].includes(frames[0]!.line!), `in line ${frames[0]!.line}`);
          standsIn(frames[1], 'original', 'unpatched');
          assert.ok(frames.some(({ name }) => name === 'main'));
          assert.match(await one.variables(), /^sum = 12$/m);
          await one.deleteBreakpoints();
          assert.match(await one.run('finish'), /function-finished|step out/);
          standsIn((await one.frames())[0], 'original', 'unpatched');
          await one.resume();
          assert.equal(await answer, 12);
        });
        assert.equal(await unit.value(2), 12);
      }),
    );

    it(
      'that was there before the patch stops in the patched code at a line where it had a breakpoint',
      inSession(async (session) => {
        const unit = await startUnit(session);
        await attached(kind, unit, async (one) => {
          await one.breakAtLine(8);
          await one.resume();
          await unit.editAndPatch('factor = 3', 'factor = 5');
          const answer = unit.value(2);
          assert.equal(await one.stopped(), 'breakpoint');
          standsIn((await one.frames())[0], 'patched', 'scaled');
          assert.match(await one.variables(), /^sum = 12$/m);
          await one.resume();
          assert.equal(await answer, 12);
        });
      }),
    );

    it(
      'keeps its breakpoint at an entry, which a save waits for, and takes it away without harm to the trampoline',
      inSession(async (session) => {
        const unit = await startUnit(session);
        let entry = '';
        await attached(kind, unit, async (one) => {
          entry = await one.originalEntry('scaled');
          await one.breakAtAddress(entry);
          await one.resume();
          session.edit(unit.file, 'factor = 3', 'factor = 5');
          const saved = await session.startCommand(process.execPath, [cli, 'patch', session.path(unit.file)]);
          await saved.errorLine(/breakpoint at the entry of .*scaled/);
          const answer = unit.value(2);
          assert.equal(await one.stopped(), 'breakpoint');
          const frames = await one.frames();
          standsIn(frames[0], 'original', 'scaled');
          standsIn(frames[1], 'original', 'unpatched');
          await one.deleteBreakpoints();
          await one.resume();
          // It was called before the breakpoint was removed.
          assert.equal(await answer, 8);
          assert.equal(await saved.exit(), 0);
          assert.equal(await unit.value(3), 18);
        });
        assert.equal(readMemory(unit.program.pid, entry, 1), 'e9');
        assert.equal(await unit.value(4), 24);
      }),
    );

    it(
      'keeps its breakpoint at an entry that is redirected already while a save leads it elsewhere',
      inSession(async (session) => {
        const unit = await startUnit(session);
        const entry = entryOf(await unit.editAndPatch('factor = 3', 'factor = 5'));
        await attached(kind, unit, async (one) => {
          await one.breakAtAddress(entry);
          await one.resume();
          await unit.editAndPatch('factor = 5', 'factor = 7');
          assert.equal(readMemory(unit.program.pid, entry, 1), 'cc');
          const answer = unit.value(2);
          assert.equal(await one.stopped(), 'breakpoint');
          await one.resume();
          assert.equal(await answer, 16);
        });
        assert.equal(readMemory(unit.program.pid, entry, 1), 'e9');
        assert.equal(await unit.value(3), 24);
      }),
    );

    it(
      'that stands at a breakpoint in the edited function has a save carried out there when it is told to',
      inSession(async (session) => {
        const unit = await startUnit(session);
        await attached(kind, unit, async (one) => {
          await one.breakAtLine(8);
          await one.resume();
          const answer = unit.value(2);
          await one.stopped();
          session.edit(unit.file, 'factor = 3', 'factor = 5');
          const saved = session.patch(unit.file);
          await requestWaits(unit, saved);
          assert.match(await one.serve(), /The request was carried out/);
          await saved;
          const frames = await one.frames();
          standsIn(frames[0], 'original', 'scaled');
          standsIn(frames[1], 'original', 'unpatched');
          await one.resume();
          // What was called before runs the old code to its end.
          assert.equal(await answer, 8);
          const next = unit.value(2);
          assert.equal(await one.stopped(), 'breakpoint');
          standsIn((await one.frames())[0], 'patched', 'scaled');
          assert.match(await one.variables(), /^sum = 12$/m);
          await one.deleteBreakpoints();
          await one.resume();
          assert.equal(await next, 12);
        });
        assert.equal(await unit.value(2), 12);
      }),
    );
  });
}

export function describeOtherStops(kind: Kind): void {
  describe(kind.name, () => {
    it(
      'that holds threads which would have to be stopped elsewhere cannot have the save carried out there: it waits on',
      inSession(async (session) => {
        const unit = await start(session, { flags: ['-O0', '-g', '-no-pie'] });
        await attached(kind, unit, async (one) => {
          await one.breakAtLine(8);
          await one.resume();
          const answer = unit.value(2);
          await one.stopped();
          session.edit(unit.file, 'factor = 3', 'factor = 5');
          const saved = session.patch(unit.file);
          await requestWaits(unit, saved);
          assert.match(await one.serve(), /The request was carried out/);
          await requestWaits(unit, saved);
          await one.deleteBreakpoints();
          await one.resume();
          assert.equal(await answer, 8);
          await saved;
          assert.equal(await unit.value(2), 12);
        });
      }),
    );

    it(
      'that holds a thread with the loader’s lock is told so, and the save is carried out when that goes on',
      inSession(async (session) => {
        const { unit, edit } = await startLoading(session);
        await attached(kind, unit, async (one) => {
          edit();
          const saved = session.patch(unit.file);
          await requestWaits(unit, saved);
          assert.match(await one.serve(), /held here has a lock of the loader/);
          await one.resume();
          assert.equal(await unit.value(101), 1);
          await saved;
          assert.equal(await unit.value(2), 6);
        });
      }),
    );

    it(
      'whose breakpoint lies over the jump, at the line behind the prologue, leaves the jump as it is',
      inSession(async (session) => {
        const flags = ['-O0', '-g', '-fcf-protection=none'];
        const unit = await Unit.start(session, shortPrologue, { flags });
        assert.equal(await unit.value(0), 3);
        const entry = entryOf(await unit.editAndPatch('+= 3', '+= 5'));
        const jump = readMemory(unit.program.pid, entry, 5);
        await attached(kind, unit, async (one) => {
          await one.breakAtLine(4);
          await one.resume();
          const answer = unit.value(0);
          assert.equal(await one.stopped(), 'breakpoint');
          standsIn((await one.frames())[0], 'patched', 'next');
          await one.resume();
          assert.equal(await answer, 8);
        });
        assert.equal(readMemory(unit.program.pid, entry, 5), jump);
        assert.equal(await unit.value(0), 13);
      }),
    );
  });

  describe(`${kind.name}, in a function that was taken out of the optimisation`, () => {
    for (const compiler of ['g++', 'clang++'])
      it(
        `shows every argument and local, line by line (${compiler})`,
        inSession(async (session) => {
          const unit = await startDeoptimised(session, compiler);
          await attached(kind, unit, async (one) => {
            await one.breakAtLine(4);
            await one.resume();
            const answer = unit.value(2);
            assert.equal(await one.stopped(), 'breakpoint');
            const [frame, caller] = await one.frames();
            standsIn(frame, 'patched', 'step');
            assert.equal(frame!.line, 4);
            assert.equal(caller!.name, 'value');
            for (const [line, variables] of [
              [5, /^n = 4\nunused = 7\ndoubled = 8$/m],
              [6, /^doubled = 8\nsum = 12$/m],
              [7, /^doubled = 8\nsum = 13$/m],
            ] as const) {
              assert.match(await one.run('step'), /end-stepping-range|step over/);
              assert.equal((await one.frames())[0]!.line, line);
              assert.match(await one.variables(), variables);
            }
            await one.deleteBreakpoints();
            await one.resume();
            assert.equal(await answer, 15);
          });
        }),
      );
  });
}
