// One function at -O0 in a program that is optimised: what becomes of it in the process and in later saves, until it is
// optimised again; and where it cannot be.
import { strict as assert } from 'node:assert';
import type { Engine, PatchRequest, Target } from '../../extension/engine/engine';
import type { PatchResult } from '../../extension/engine/model/result';
import { ready, withEngines } from '../support/engines';
import type { Program } from '../support/program';
import { inSession, Unit, useSession } from '../support/session';

const flags = ['-O2', '-g'];

/** `step` is inlined into both of its callers, and has a static. */
const INLINED = `static long step(long n) {
  static long calls;
  long twice = n * 2;
  long three = n + twice;
  calls++;
  return three + calls * 1000;
}
long other(long n) {
  return step(n) + 1;
}
long value(long n) {
  long first = step(n);
  return first + 0 * other(n);
}
`;

const bare = (name: string): string => name.replace(/\(.*/, '');

const deoptimised = ({ changed }: PatchResult): string[] =>
  changed.filter((fn) => fn.deoptimised).map(({ name }) => bare(name));

/** What the views show as such. */
async function shown(engine: Engine, { pid }: Program): Promise<string[]> {
  return ((await engine.status(pid)).deoptimised ?? [])
    .map(({ name, line }) => `${bare(name)}:${line}`)
    .sort();
}

describe('a function at -O0 for debugging', () => {
  for (const { compiler, language } of [
    { compiler: 'gcc', language: 'c' },
    { compiler: 'g++', language: 'cc' },
    { compiler: 'clang', language: 'c' },
    { compiler: 'clang++', language: 'cc' },
  ] as const)
    it(
      `was inlined before, keeps its state, stays so in later saves, and goes back (${compiler})`,
      inSession((session) =>
        withEngines(session, async (create) => {
          const unit = await Unit.start(session, INLINED, { language, compiler, flags });
          const { program } = unit;
          const engine = create();
          await ready(engine, program.pid);
          const ask = async (
            what: Partial<PatchRequest>,
            outcome: PatchResult['outcome'] = 'patched',
            by = engine,
          ): Promise<PatchResult> => {
            const result = await by.patch({
              files: [session.path(unit.file)],
              target: { kind: 'pid', pids: [program.pid] },
              firstLight: true,
              ...what,
            });
            assert.equal(result.outcome, outcome, JSON.stringify(result, null, 1));
            return result;
          };
          const save = async (
            from: string,
            to: string,
            outcome: PatchResult['outcome'] = 'patched',
          ): Promise<PatchResult> => {
            session.edit(unit.file, from, to);
            return ask({}, outcome);
          };
          await ask({}, 'unchanged');
          assert.equal(await unit.value(1), 1003);

          assert.deepEqual(deoptimised(await ask({ deoptimise: 'step' })), ['step']);
          // The static is the one of before.
          assert.equal(await unit.value(1), 3003);
          assert.deepEqual(await shown(engine, program), ['step:1']);

          // A save of a text that was not edited, also by an engine that was started since.
          await ask({}, 'unchanged');
          const second = create();
          await ready(second, program.pid);
          await ask({}, 'unchanged', second);
          const [report] = await second.check([session.path(unit.file)], { kind: 'match' });
          assert.equal(report!.verdict, 'ready', JSON.stringify(report));
          assert.deepEqual(await shown(second, program), ['step:1']);

          // Edited: it stays so, wherever its lines are.
          await save('static long step', '\n\nstatic long step', 'unchanged');
          assert.deepEqual(deoptimised(await save('n * 2;', 'n * 20;')), ['step']);
          assert.equal(await unit.value(1), 5021);

          // A second one, and one of the two back.
          assert.deepEqual(deoptimised(await ask({ deoptimise: 'other' }, 'patched', second)), ['other']);
          assert.deepEqual(await shown(engine, program), ['other:10', 'step:3']);
          assert.deepEqual(deoptimised(await save('step(n) + 1', 'step(n) + 2')), ['other']);
          assert.equal(await unit.value(1), 7021);
          await ask({ optimise: 'step' });
          assert.deepEqual(await shown(engine, program), ['other:10']);
          await ask({}, 'unchanged');
          assert.equal(await unit.value(1), 9021);
          const missing = await ask({ optimise: 'step' }, 'refused');
          assert.deepEqual(
            missing.refusals.map(({ code }) => code),
            ['unknown-function'],
          );

          // The original code is entered again when it is asked for and the edits are undone.
          session.write(unit.file, INLINED);
          assert.deepEqual(deoptimised(await ask({})), ['other']);
          await ask({ optimise: 'other' }, 'reverted');
          assert.deepEqual(await shown(engine, program), []);
          const { functions } = await engine.status(program.pid);
          const own = functions.filter(({ symbol }) => /other|value/.test(symbol));
          assert.equal(own.length, 2);
          for (const { version, trampoline, verifiedFromMemory } of own)
            assert.deepEqual([version, trampoline.kind, verifiedFromMemory], [0, 'none', true]);
          await ask({}, 'unchanged');
          assert.equal(await unit.value(1), 11003);
        }),
      ),
    );

  it(
    'is so in the process in which it was asked for, and is taken back with its redirection',
    inSession((session) =>
      withEngines(session, async (create) => {
        const unit = await Unit.start(session, INLINED, { language: 'c', flags });
        const other = await session.start();
        const engine = create();
        for (const program of [unit.program, other]) await ready(engine, program.pid);
        const files = [session.path(unit.file)];
        const only: Target = { kind: 'pid', pids: [unit.program.pid] };
        const both: Target = { kind: 'pid', pids: [unit.program.pid, other.pid] };
        await engine.patch({ files, target: only, deoptimise: 'step' });
        session.edit(unit.file, 'n * 2;', 'n * 20;');
        const result = await engine.patch({ files, target: both });
        assert.equal(result.outcome, 'patched', JSON.stringify(result, null, 1));
        assert.deepEqual(await shown(engine, unit.program), ['step:1']);
        assert.deepEqual(await shown(engine, other), []);
        assert.deepEqual([await unit.value(1), await other.ask('1')], [1021, '1021']);
        await engine.revert({ pids: [unit.program.pid], functions: 'all' });
        assert.deepEqual(await shown(engine, unit.program), []);
        assert.equal((await engine.patch({ files, target: both })).outcome, 'patched');
        assert.deepEqual(await shown(engine, unit.program), []);
      }),
    ),
  );

  it(
    'is found by its name alone, and said in the result and the status of the command line',
    inSession(async (session) => {
      const { program, file } = await Unit.start(session, INLINED, { language: 'c', flags });
      const pid = ['--pid', String(program.pid)];
      const taken = await session.hotPatch('deoptimize', 'step', ...pid);
      assert.equal(taken.status, 0, taken.stderr);
      assert.match(
        taken.stdout,
        /patched: 2 functions in process[^]*\n {2}step +new +at -O0 for debugging\n/,
      );
      const { stdout } = await session.hotPatch('status', ...pid);
      assert.match(stdout, new RegExp(`\\n  at -O0 for debugging: step \\(.*${file}:1\\)\\n`));
      const back = await session.hotPatch('optimize', 'step', ...pid);
      assert.equal(back.status, 0, back.stderr);
      assert.match(back.stdout, /^reverted: 2 functions in process/);
      const unknown = await session.hotPatch('optimize', 'step', ...pid);
      assert.equal(unknown.status, 2);
      assert.match(unknown.stderr, /No running process has a function step at -O0 for debugging/);
    }),
  );
});

/** Of every kind of definition one. */
const KINDS = `#include "header.h"
#include <coroutine>
#define DEFINE(name) static long name(long n) { long twice = n * 2; return twice; }
struct Task {
  struct promise_type {
    Task get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
};
DEFINE(made)
namespace shop {
struct Order {
  long price;
  Order(long n) : price{n} { price += 1; }
  long total(long n) const { long sum = price * n; return sum; }
};
template <class T> T scaled(T n) { T by = n * 3; return by; }
}
static __attribute__((always_inline)) inline long forced(long n) { long half = n / 2; return half; }
consteval long early(long n) { long more = n + 1; return more; }
Task later(long *to) { *to += 1; co_return; }
long *shared(long *to) { long next = *to + 1; *to = next; return to; }
long value(long n) {
  long sum = made(n) + inHeader(n) + shop::Order(n).total(2) + shop::scaled(n) + forced(n) + early(4);
  later(&sum);
  return *shared(&sum);
}
`;
const VALUE = (n: number): string => String(n * 2 + (n + 7) + (n + 1) * 2 + n * 3 + (n >> 1) + 5 + 1 + 1);

describe('a function at -O0 for debugging, of every kind', () => {
  let unit: Unit;
  const world = useSession(async (session) => {
    session.write('header.h', 'static inline long inHeader(long n) { long more = n + 7; return more; }\n');
    unit = await Unit.start(session, KINDS, { flags: ['-O2', '-g', '-std=c++20'] });
  });

  it('is that, or is refused with the reason', () =>
    withEngines(world.session, async (create) => {
      const engine = create();
      await ready(engine, unit.program.pid);
      const target: Target = { kind: 'pid', pids: [unit.program.pid] };
      const files = [world.session.path(unit.file)];
      for (const name of [
        'shop::Order::total',
        'shop::Order::Order',
        'scaled',
        'forced',
        'shared',
        'value',
      ]) {
        const result = await engine.patch({ files, target, deoptimise: name });
        assert.equal(result.outcome, 'patched', `${name}: ${JSON.stringify(result, null, 1)}`);
        assert.equal(await unit.program.ask('6'), VALUE(6), name);
      }
      assert.equal((await shown(engine, unit.program)).length, 6);
      for (const [name, code, reason] of [
        ['made', 'cannot-deoptimise', /no definition of it stands at line 13/],
        ['inHeader', 'cannot-deoptimise', /it is written in .*header\.h/],
        ['early', 'cannot-deoptimise', /it has no code of its own/],
        ['later', 'cannot-deoptimise', /it is a coroutine/],
        ['nothing', 'unknown-function', /has no function nothing/],
      ] as const) {
        const { outcome, refusals } = await engine.patch({ files, target, deoptimise: name });
        assert.equal(outcome, 'refused', name);
        assert.equal(refusals[0]!.code, code, JSON.stringify(refusals));
        assert.match(refusals[0]!.message, reason);
      }
      assert.equal(await unit.program.ask('6'), VALUE(6));
      // An edit that takes it out of the file's own text: the save says that it is optimised again.
      world.session.edit(
        unit.file,
        /long \*shared.*\n/,
        '#define DEFINE2(name) long *name(long *to) { *to += 1; return to; }\nDEFINE2(shared)\n',
      );
      const { outcome, warnings } = await engine.patch({ files, target });
      assert.equal(outcome, 'reverted');
      assert.deepEqual(
        warnings.map(({ code }) => code),
        ['optimised-again'],
      );
      assert.equal((await shown(engine, unit.program)).length, 5);
      assert.equal(await unit.program.ask('6'), VALUE(6));
    }));

  it(
    'is refused in a unit that is not optimised, where there is nothing to do',
    inSession(async (session) => {
      const { file } = await Unit.start(session, INLINED, { language: 'c', flags: ['-O0', '-g'] });
      const { status, stderr } = await session.hotPatch('deoptimize', 'step', file);
      assert.equal(status, 2);
      assert.match(
        stderr,
        /unit\.c:1: error: step .*not optimised as it is; there is nothing to do \[cannot-deoptimise\]/,
      );
    }),
  );
});
