// What becomes of first light: the whole unit behind it confirms it, in every process, and a newer save may overtake it.
import { strict as assert } from 'node:assert';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Target } from '../../extension/engine/engine';
import { withEngine } from '../support/engines';
import { controlDirectory } from '../support/memory';
import { cli } from '../support/paths';
import { inSession, type Session, Unit } from '../support/session';
import { inC, O0, Watched, wrap } from '../support/watched_unit';

describe('first light in two processes of a program', () => {
  for (const compiler of ['g++', 'clang++'])
    it(
      `is live in both, and exact when one of them was changed alone (${compiler})`,
      inSession(async (session) => {
        const watched = await Watched.start(
          session,
          '#include <cstdio>\nlong value(long n) { return n + 1; }\n',
          {
            compiler,
            watch: ['--json', '--all'],
          },
        );
        const second = await session.start();
        const values = async () => [await watched.value(1), Number(await second.ask('1'))];
        // The second one is new to the watch: the whole unit says what it runs.
        await watched.exact('n + 1', 'n + 2', /was changed by somebody else/);
        assert.deepEqual(await values(), [3, 3]);
        const { processes } = await watched.light('n + 2', 'n * 10');
        assert.deepEqual(
          processes.map(({ pid }) => pid).sort(),
          [watched.unit.program.pid, second.pid].sort(),
        );
        assert.deepEqual(await values(), [10, 10]);
        await session.run(process.execPath, [cli, 'revert', '--pid', String(second.pid)]);
        assert.deepEqual(await values(), [10, 2]);
        await watched.exact('n * 10', 'n * 20', /was changed by somebody else/);
        assert.deepEqual(await values(), [20, 20]);
        await second.stop();
        await watched.light('n * 20', 'n * 30');
        assert.equal(await watched.value(1), 30);
      }),
    );
});

/** An edit of `inC` that is live while the compile of the whole unit waits until `hold` is removed. */
async function heldUp(session: Session): Promise<{ watched: Watched; hold: string }> {
  const watched = await Watched.start(session, inC, { language: 'c', compiler: wrap(session), watch: [] });
  session.write('unit.c', `${inC}\n`);
  await watched.watch.errorLine(/^unchanged/);
  const hold = session.write('hold', '');
  session.edit('unit.c', 'n + 1;', 'n + 5;');
  await watched.watch.errorLine(/^live in .*: other$/);
  return { watched, hold };
}

describe('the whole unit behind first light', () => {
  it(
    'takes it back when it does not compile, to the version before',
    inSession(async (session) => {
      const watched = await Watched.start(session, inC, { language: 'c', compiler: wrap(session) });
      await watched.light('n + 1;', 'n + 5;');
      assert.equal(await watched.value(10), 20 + 15 + 101);
      const fail = session.write('fail', '');
      const result = await watched.light('n + 5;', 'n + 7;', 'withdrawn');
      assert.equal(result.outcome, 'failed');
      assert.match(result.refusals[0]!.message, /disk is full/);
      assert.equal(await watched.value(10), 20 + 15 + 102);
      await session.run('rm', [fail]);
      const again = await watched.save('n + 7;', 'n + 8;');
      assert.equal(again.outcome, 'patched');
      assert.equal(await watched.value(10), 20 + 18 + 103);
      await watched.isExact();
    }),
  );

  it(
    'is waited for while the edit is live',
    inSession(async (session) => {
      const { watched, hold } = await heldUp(session);
      assert.equal(await watched.value(10), 20 + 15 + 101);
      await session.run('rm', [hold]);
      await watched.watch.errorLine(/live in .*, confirmed after/);
    }),
  );

  it(
    'fails when the process has ended in between',
    inSession(async (session) => {
      const { watched, hold } = await heldUp(session);
      await watched.unit.program.stop();
      await session.run('rm', [hold]);
      await watched.watch.errorLine(/has ended|no running process|no process/i);
      await watched.watch.errorLine(/^failed/);
      assert.ok(watched.watch.running);
    }),
  );
});

describe('first light in the editor', () => {
  it(
    'is taken of the first save of a file that was checked, and confirmed by a save that overtakes it',
    inSession(async (session) => {
      const unit = await Unit.start(session, inC, { language: 'c', flags: O0, compiler: wrap(session) });
      await withEngine(session, async (engine) => {
        const target: Target = { kind: 'pid', pids: [unit.program.pid] };
        const files = [session.path('unit.c')];
        while (!(await engine.processes()).some(({ pid, runtime }) => pid === unit.program.pid && runtime));
        const [report] = await engine.check(files, target);
        assert.equal(report!.verdict, 'ready', report!.message);

        // The whole unit is held up until a newer save has come.
        const hold = session.write('hold', '');
        session.edit('unit.c', 'n + 1;', 'n + 5;');
        const newer = new AbortController();
        const first = await engine.patch({
          files,
          target,
          firstLight: true,
          signal: newer.signal,
          onProgress: ({ live }) => live && newer.abort(),
        });
        assert.equal(first.outcome, 'failed');
        assert.equal(await unit.value(10), 20 + 15 + 101);
        await session.run('rm', [hold]);

        // It undoes that edit and makes another.
        session.edit('unit.c', 'n + 5;', 'n + 1;');
        session.edit('unit.c', '2 * n', '3 * n');
        const second = await engine.patch({ files, target, firstLight: true });
        assert.equal(second.firstLight?.outcome, 'confirmed', JSON.stringify(second, null, 1));
        assert.equal(await unit.value(10), 30 + 11 + 102);
        const exact = await engine.patch({ files, target });
        assert.equal(exact.outcome, 'unchanged');
      });
    }),
  );

  it(
    'leaves the process as exact saves leave it, whatever is edited',
    inSession(async (session) => {
      const edits = randomEdits(7);
      const unit = await Unit.start(session, edits.text, { language: 'c', flags: O0 });
      await withEngine(session, async (engine) => {
        const target: Target = { kind: 'pid', pids: [unit.program.pid] };
        const files = [session.path('unit.c')];
        while (!(await engine.processes()).some(({ pid, runtime }) => pid === unit.program.pid && runtime));
        await engine.check(files, target);
        const outcomes = new Map<string, number>();
        for (let round = 0; round < 40; round++) {
          session.write('unit.c', edits.next());
          const result = await engine.patch({ files, target, firstLight: true });
          const shown = `${edits.text}\n${JSON.stringify(result, null, 1)}`;
          assert.ok(result.outcome !== 'failed' && result.outcome !== 'refused', shown);
          const outcome = result.firstLight?.outcome ?? 'exact';
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
          const exact = await engine.patch({ files, target, dryRun: true });
          assert.equal(exact.outcome, 'unchanged', shown);
          for (const n of [0, 1, 5]) assert.equal(await unit.value(n), edits.value(n), `${n}\n${shown}`);
        }
        assert.ok(outcomes.get('confirmed')! >= 10, JSON.stringify([...outcomes]));
      });
    }),
  );
});

/** A unit of functions that call each other, and texts of it that differ at random places. */
function randomEdits(seed: number): { text: string; next: () => string; value: (n: number) => number } {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  /** Each function multiplies, adds, and calls a later one or none; some lie a line lower. */
  const functions = Array.from({ length: 8 }, (_, i) => ({ factor: i + 1, add: i, calls: i + 1, lines: 0 }));
  let table = 3;
  const bodyOf = ({ factor, add, calls, lines }: (typeof functions)[number]): string =>
    `{${'\n'.repeat(lines)} return n * ${factor} + ${add}${calls < 8 ? ` + f${calls}(n % 7)` : ''}; }`;
  const text = (): string =>
    [
      `static const long table[] = {${table}, 2};`,
      ...functions.map((_, i) => `${i % 2 === 0 ? 'static ' : ''}long f${i}(long n);`),
      ...functions.map((fn, i) => `${i % 2 === 0 ? 'static ' : ''}long f${i}(long n) ${bodyOf(fn)}`),
      'static long line(long n) { return n + __LINE__; }',
      'long value(long n) { return f0(n) + table[0] + line(n); }',
      '',
    ].join('\n');
  const valueOf = (index: number, n: number): number => {
    const { factor, add, calls } = functions[index]!;
    return n * factor + add + (calls < 8 ? valueOf(calls, n % 7) : 0);
  };
  const lineOf = (): number => text().split('static long line(')[0]!.split('\n').length;
  return {
    get text() {
      return text();
    },
    next() {
      for (let edits = 1 + random(2); edits > 0; edits--) {
        const index = random(8);
        const fn = functions[index]!;
        switch (random(6)) {
          case 0:
          case 1:
            fn.factor = 1 + random(9);
            break;
          case 2:
            fn.add = random(100);
            break;
          case 3:
            fn.calls = index + 1 + random(8 - index);
            break;
          case 4:
            fn.lines = random(3);
            break;
          default:
            if (random(3) === 0) table = random(50);
        }
      }
      return text();
    },
    value: (n) => valueOf(0, n) + table + n + lineOf(),
  };
}

describe('a save whose answer was lost', () => {
  it(
    'is undone by the text that ran before it',
    inSession(async (session) => {
      const unit = await Unit.start(session, inC, { language: 'c', flags: O0 });
      await withEngine(session, async (engine) => {
        const target: Target = { kind: 'pid', pids: [unit.program.pid] };
        const files = [session.path('unit.c')];
        while (!(await engine.processes()).some(({ pid, runtime }) => pid === unit.program.pid && runtime));
        await engine.check(files, target);
        const answers = join(controlDirectory(session.path('run'), unit.program.pid)!, 'answers');
        const away = session.path('away');
        // More than a body, so that the whole unit goes first.
        const before = session.edit('unit.c', 'n + 1;', 'n + 5; } long another(void) { return 1;');
        const lost = await engine.patch({
          files,
          target,
          firstLight: true,
          onProgress: ({ step }) => {
            if (step === 'deliver' && !existsSync(away)) renameSync(answers, away);
          },
        });
        renameSync(away, answers);
        assert.equal(lost.outcome, 'failed', JSON.stringify(lost));
        assert.equal(await unit.value(10), 20 + 15 + 101);
        session.write('unit.c', before);
        const back = await engine.patch({ files, target, firstLight: true });
        assert.equal(back.outcome, 'reverted', JSON.stringify(back));
        assert.equal(await unit.value(10), 20 + 11 + 102);
      });
    }),
  );
});
