// First light: edited functions are live before their unit is compiled whole, and what the whole unit says comes out in
// the end, whatever it is. Saves go through `hot-patch watch`, as a user's do; its first save of a file is exact.
import { strict as assert } from 'node:assert';
import { chmodSync } from 'node:fs';
import { createEngine } from '../../extension/engine/create_engine';
import type { Engine, Target } from '../../extension/engine/engine';
import type { PatchResult } from '../../extension/engine/model/result';
import { cli } from '../support/paths';
import type { Program } from '../support/program';
import { inSession, type Session, Unit, type UnitOptions } from '../support/session';

const O0 = ['-O0', '-g'];

/** A unit whose saves are watched, of which one was made: the text of the running code is known from then on. */
class Watched {
  private constructor(
    readonly session: Session,
    readonly unit: Unit,
    readonly watch: Program,
  ) {}

  static async start(
    session: Session,
    source: string,
    { watch: words = ['--json'], ...options }: UnitOptions & { watch?: string[] } = {},
  ): Promise<Watched> {
    const unit = await Unit.start(session, source, { flags: O0, ...options });
    const args = [cli, 'watch', '--verbose', ...words, session.directory];
    const watched = new Watched(session, unit, await session.startCommand(process.execPath, args));
    await watched.watch.errorLine(/^watching/);
    if (words.includes('--json')) {
      assert.equal((await watched.save(source, `${source}\n`)).outcome, 'unchanged');
    }
    return watched;
  }

  /** Edits the unit and saves it. */
  async save(from: string | RegExp, to: string, file = this.unit.file): Promise<PatchResult> {
    this.session.edit(file, from, to);
    return this.result();
  }

  async result(): Promise<PatchResult> {
    return JSON.parse(await this.watch.line()) as PatchResult;
  }

  value(n: number): Promise<number> {
    return this.unit.value(n);
  }

  /** A save that was live ahead, with what came of it. */
  async light(from: string, to: string, outcome = 'confirmed'): Promise<PatchResult> {
    const result = await this.save(from, to);
    const shown = `${JSON.stringify(result, null, 1)}\n${this.watch.errorLines.join('\n')}`;
    assert.equal(result.firstLight?.outcome, outcome, shown);
    assert.ok(result.firstLight.live <= result.firstLight.exact);
    return result;
  }

  /** A save of which nothing was live ahead, for a reason. */
  async exact(from: string, to: string, reason: RegExp, file?: string): Promise<PatchResult> {
    const result = await this.save(from, to, file);
    assert.equal(result.firstLight, undefined, JSON.stringify(result, null, 1));
    await this.watch.errorLine((line) => line.includes('no first light: ') && reason.test(line));
    return result;
  }

  /** Nothing would be done by an exact save of the text as it is. */
  async isExact(): Promise<void> {
    await this.session.patch([this.unit.file, '--dry-run'], 'unchanged');
  }
}

const inC = `
static long calls = 100;
static long twice(long n) { return 2 * n; }
long (*volatile operation)(long) = twice;
long other(long n) { calls++; return n + 1; }
long value(long n) {
  return operation(n) + other(n) + calls;
}
`;
const inCplusplus = `
#include <string>
namespace { long calls = 100; }
struct Shape { virtual ~Shape() {} virtual long area(long n) const; };
long Shape::area(long n) const { return n; }
static long twice(long n) { std::string text("ab"); return text.size() * n; }
namespace { long other(long n) { calls++; return n + 1; } }
long value(long n) {
  Shape shape; const Shape *any = &shape;
  return twice(n) + other(n) + calls + any->area(0);
}
`;

const compilers: { title: string; source: string; options: UnitOptions }[] = [
  { title: 'gcc', source: inC, options: { language: 'c', compiler: 'gcc' } },
  { title: 'g++', source: inCplusplus, options: { compiler: 'g++' } },
  { title: 'clang', source: inC, options: { language: 'c', compiler: 'clang' } },
  { title: 'clang++', source: inCplusplus, options: { compiler: 'clang++' } },
];

describe('first light', () => {
  for (const { title, source, options } of compilers) {
    it(
      `is taken of edited bodies and confirmed (${title})`,
      inSession(async (session) => {
        const watched = await Watched.start(session, source, options);
        assert.equal(await watched.value(10), 20 + 11 + 101);
        const result = await watched.light('return n + 1;', 'return n + 1000;');
        assert.equal(result.outcome, 'patched');
        assert.equal(await watched.value(10), 20 + 1010 + 102);
        // A second version, of two functions at once.
        session.edit(watched.unit.file, '+ 1000;', '+ 2000;');
        const two = await watched.result();
        assert.equal(two.firstLight?.outcome, 'confirmed');
        assert.equal(await watched.value(10), 20 + 2010 + 103);
        await watched.isExact();
        // Back to the original.
        const back = await watched.light('return n + 2000;', 'return n + 1;');
        assert.equal(back.outcome, 'reverted');
        assert.equal(await watched.value(10), 20 + 11 + 104);
      }),
    );

    it(
      `is not taken of optimised code (${title})`,
      inSession(async (session) => {
        const watched = await Watched.start(session, source, { ...options, flags: ['-O2', '-g'] });
        await watched.exact('return n + 1;', 'return n + 1000;', /-O2/);
        assert.equal(await watched.value(10), 20 + 1010 + 101);
      }),
    );
  }

  it(
    'is not taken with --exact',
    inSession(async (session) => {
      const watched = await Watched.start(session, inC, { language: 'c', watch: ['--json', '--exact'] });
      const result = await watched.save('n + 1', 'n + 5');
      assert.equal(result.firstLight, undefined);
      assert.equal(await watched.value(10), 20 + 15 + 101);
    }),
  );

  it(
    'keeps to the static functions and variables of its own unit',
    inSession(async (session) => {
      session.write(
        'other.cc',
        'static long state = 7; static long step(long n) { return n * 100 + state++; }\nlong far(long n) { return step(n); }\n',
      );
      const watched = await Watched.start(
        session,
        `static long state = 3; static long step(long n) { return n + state++; }
         long far(long);
         long value(long n) { return step(n) + far(0); }`,
        { sources: ['other.cc'] },
      );
      assert.equal(await watched.value(1), 4 + 7);
      await watched.light('return step(n) + far(0);', 'return step(n) + step(n) + far(0);');
      assert.equal(await watched.value(1), 5 + 6 + 8);
      await watched.light('return n + state++', 'return n * 10 + state++');
      assert.equal(await watched.value(1), 16 + 17 + 9);
    }),
  );

  it(
    'brings new static variables, strings, lambdas and templates, whose state later saves keep',
    inSession(async (session) => {
      const watched = await Watched.start(
        session,
        `#include <string>
         #include <vector>
         #include <functional>
         template <typename T> long measure(const T &what) { return what.size(); }
         long other(long n) { std::string text("abc"); return n; }
         long value(long n) { return other(n); }`,
      );
      await watched.light('return n;', 'static long calls = 50; return n + ++calls;');
      assert.equal(await watched.value(0), 51);
      await watched.light('return n + ++calls;', 'return n + ++calls + measure(std::string("abcd"));');
      assert.equal(await watched.value(0), 52 + 4);
      await watched.light('"abcd"', '"abcdef"');
      assert.equal(await watched.value(0), 59);
      await watched.light(
        'return n + ++calls',
        'std::function<long(long)> f = [n](long m) { return n + m * 1000; }; return f(1) + ++calls',
      );
      assert.equal(await watched.value(0), 1054 + 6);
      await watched.light('m * 1000', 'm * 2000 + measure(std::vector<int>(3))');
      assert.equal(await watched.value(0), 2003 + 55 + 6);
      await watched.isExact();
    }),
  );

  it(
    'tells statics of one name in C functions apart',
    inSession(async (session) => {
      const watched = await Watched.start(
        session,
        `static long one(void) { static long count = 10; return ++count; }
         static long two(void) { static long count = 20; return ++count; }
         static long three(long n) { return n; }
         long value(long n) { return n == 1 ? one() : n == 2 ? two() : three(n); }`,
        { language: 'c' },
      );
      assert.equal(await watched.value(1), 11);
      assert.equal(await watched.value(2), 21);
      await watched.light('count = 20; return ++count', 'count = 20; return (count += 2)');
      assert.equal(await watched.value(2), 23);
      assert.equal(await watched.value(1), 12);
      await watched.light('long n) { return n; }', 'long n) { static long count = 30; return n + ++count; }');
      assert.equal(await watched.value(5), 36);
      assert.equal(await watched.value(2), 25);
      assert.equal(await watched.value(1), 13);
      await watched.isExact();
    }),
  );

  it(
    'is not taken when anything but bodies of functions was edited',
    inSession(async (session) => {
      session.write('step.h', '#define STEP 3\nstatic inline long scaled(long n) { return n * 2; }\n');
      const watched = await Watched.start(
        session,
        `#include "step.h"
         #define FACTOR 10
         static const long limits[] = {1, 2};
         struct Pair { long a, b; };
         long other(long n) { Pair pair = {n, limits[0]}; return pair.a * FACTOR + pair.b + STEP + scaled(n); }
         long value(long n) { return other(n); }`,
      );
      assert.equal(await watched.value(1), 10 + 1 + 3 + 2);
      await watched.exact('FACTOR 10', 'FACTOR 20', /not only of bodies/);
      assert.equal(await watched.value(1), 20 + 1 + 3 + 2);
      await watched.exact('{1, 2}', '{5, 2}', /not only of bodies/);
      assert.equal(await watched.value(1), 20 + 5 + 3 + 2);
      await watched.exact('n * 2', 'n * 4', /is a header/, 'step.h');
      assert.equal(await watched.value(1), 20 + 5 + 3 + 4);
      await watched.exact('long a, b;', 'long a, b, c;', /not only of bodies/);
      const back = await watched.save('long a, b, c;', 'long a, b;');
      assert.equal(back.outcome, 'unchanged');
      // And again of a body, now that it is known what runs.
      await watched.light('+ pair.b', '- pair.b');
      assert.equal(await watched.value(1), 20 - 5 + 3 + 4);
    }),
  );

  it(
    'is not taken when a header was changed beside the save',
    inSession(async (session) => {
      session.write('include/step.h', '#define STEP 3\n');
      const watched = await Watched.start(
        session,
        '#include "step.h"\nlong other(long n) { return n + STEP; }\nlong value(long n) { return other(n); }',
        { flags: [...O0, '-Iinclude'] },
      );
      // Nobody watches it: another program wrote it. (The directory is watched; its save is another one.)
      session.write('include/step.h', '#define STEP 4\n');
      await watched.result();
      assert.equal(await watched.value(1), 5);
      await watched.light('n + STEP', 'n * 2 + STEP');
      assert.equal(await watched.value(1), 6);
    }),
  );

  it(
    'is answered at once, without a compile, when no token was edited',
    inSession(async (session) => {
      const watched = await Watched.start(session, inC, { language: 'c' });
      const result = await watched.save('calls;\n}', 'calls; /* so far */  \n}');
      assert.equal(result.outcome, 'unchanged');
      assert.equal(result.timings['compile'], undefined);
      await watched.light('n + 1', 'n + 2');
    }),
  );

  it(
    'is not answered so when a macro makes text of the tokens, or knows where they stand',
    inSession(async (session) => {
      const source = `#include <source_location>
#define SPELLED(x) #x
#define COLUMN() std::source_location::current().column()
long value(long n) { return n ? sizeof SPELLED(n+1) : COLUMN(); }
`;
      const watched = await Watched.start(session, source, { flags: ['-O0', '-g', '-std=c++20'] });
      const [size, column] = [await watched.value(1), await watched.value(0)];
      assert.equal((await watched.save('n+1', 'n + 1')).outcome, 'patched');
      assert.deepEqual([await watched.value(1), await watched.value(0)], [size + 2, column + 2]);
      assert.equal((await watched.save(': COLUMN', ':    COLUMN')).outcome, 'patched');
      assert.deepEqual([await watched.value(1), await watched.value(0)], [size + 2, column + 5]);
    }),
  );

  it(
    'is corrected by what depends on the lines that moved',
    inSession(async (session) => {
      const watched = await Watched.start(
        session,
        'long other(long n) {\n  return n + 1;\n}\nlong line(void) { return __LINE__; }\nlong value(long n) { return n == 0 ? line() : other(n); }\n',
      );
      assert.equal(await watched.value(0), 4);
      const result = await watched.light('return n + 1;', 'n++;\n  return n + 1;', 'corrected');
      assert.deepEqual(result.firstLight!.corrected, ['line()']);
      assert.deepEqual(
        result.changed.map(({ symbol }) => symbol),
        ['_Z5otherl', '_Z4linev'],
      );
      assert.equal(await watched.value(0), 5);
      assert.equal(await watched.value(1), 3);
      await watched.isExact();
    }),
  );

  it(
    'leaves a compile error to the whole unit, whose messages are shown',
    inSession(async (session) => {
      const watched = await Watched.start(session, inC, { language: 'c' });
      const result = await watched.exact('return n + 1;', 'return n + missing;', /missing/);
      assert.equal(result.outcome, 'failed');
      assert.equal(result.diagnostics.filter(({ severity }) => severity === 'error').length, 1);
      assert.equal(await watched.value(10), 20 + 11 + 101);
      await watched.light('return n + missing;', 'return n + 3;');
      assert.equal(await watched.value(10), 20 + 13 + 102);
    }),
  );

  for (const compiler of ['g++', 'clang++'])
    it(
      `is not taken where callers may count on a function that throws nothing (${compiler})`,
      inSession(async (session) => {
        const watched = await Watched.start(
          session,
          `static long cleaned = 0;
         struct Cleaner { ~Cleaner() { cleaned++; } };
         void fail(long n) { if (n < 0) throw n; }
         void check(long n) { cleaned += n * 0; }
         static void guarded(long n) { Cleaner cleaner; check(n); }
         long value(long n) {
           try { guarded(n); } catch (long) { return 1000 + cleaned; }
           return cleaned;
         }`,
          { compiler },
        );
        assert.equal(await watched.value(1), 1);
        await watched.exact('cleaned += n * 0;', 'fail(n);', /count on/);
        assert.equal(await watched.value(-1), 1002);
        await watched.light('n < 0', 'n < 5');
        assert.equal(await watched.value(4), 1003);
      }),
    );

  it(
    'is not taken where callers may leave out the alignment of the stack',
    inSession(async (session) => {
      const watched = await Watched.start(
        session,
        `#include <stdio.h>
         static char text[32];
         long sum(long a, long b, long c, long d, long e, long f, long g) { return a + b + c + d + e + f + g; }
         static long ones(void) { return sum(1, 1, 1, 1, 1, 1, 1); }
         long value(long n) { return n + ones(); }`,
        { language: 'c' },
      );
      await watched.exact('return a + b', 'snprintf(text, 32, "%g", (double)a); return a + b', /count on/);
      assert.equal(await watched.value(1), 8);
    }),
  );

  it(
    'hides no type from the layout check of later saves',
    inSession(async (session) => {
      const watched = await Watched.start(
        session,
        `#include <stdlib.h>
         long other(long n) { return n; }
         long value(long n) { return other(n); }`,
        { language: 'c' },
      );
      await watched.exact(
        'long value(long n) { return other(n); }',
        `struct node { long count; };
         static struct node *first;
         long value(long n) { if (!first) first = calloc(1, sizeof *first); return other(n) + ++first->count; }`,
        /not only of bodies/,
      );
      assert.equal(await watched.value(10), 11);
      await watched.light('return n;', 'return n * 2;');
      assert.equal(await watched.value(10), 22);
      const refused = await watched.save('{ long count; }', '{ long before; long count; }');
      assert.deepEqual(
        refused.refusals.map(({ code }) => code),
        ['layout-changed'],
      );
      assert.equal(await watched.value(10), 23);
    }),
  );

  it(
    'is not taken when somebody else changed the process',
    inSession(async (session) => {
      const watched = await Watched.start(session, inC, { language: 'c' });
      await watched.light('n + 1;', 'n + 5;');
      await session.revert('--pid', String(watched.unit.program.pid));
      assert.equal(await watched.value(10), 20 + 11 + 101);
      await watched.exact('n + 5;', 'n + 6;', /somebody else/);
      assert.equal(await watched.value(10), 20 + 16 + 102);
    }),
  );
});

/** A compiler that the test can hold up, or have fail, when it compiles the whole unit. */
function wrap(session: Session): string {
  const script = `#!/bin/sh
here=$(dirname "$0")
case " $* " in
  *" -w "*) ;;
  *" -ffunction-sections "*)
    while [ -e "$here/hold" ]; do sleep 0.05; done
    if [ -e "$here/fail" ]; then echo "unit.c:1:1: error: the disk is full" >&2; exit 1; fi ;;
esac
exec gcc "$@"
`;
  const path = session.write('gcc', script);
  chmodSync(path, 0o755);
  return path;
}

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
      const watched = await Watched.start(session, inC, {
        language: 'c',
        compiler: wrap(session),
        watch: [],
      });
      session.write('unit.c', `${inC}\n`);
      await watched.watch.errorLine(/^unchanged/);
      const hold = session.write('hold', '');
      session.edit('unit.c', 'n + 1;', 'n + 5;');
      await watched.watch.errorLine(/^live in .*: other$/);
      assert.equal(await watched.value(10), 20 + 15 + 101);
      await session.run('rm', [hold]);
      await watched.watch.errorLine(/live in .*, confirmed after/);
    }),
  );

  it(
    'fails when the process has ended in between',
    inSession(async (session) => {
      const watched = await Watched.start(session, inC, {
        language: 'c',
        compiler: wrap(session),
        watch: [],
      });
      session.write('unit.c', `${inC}\n`);
      await watched.watch.errorLine(/^unchanged/);
      const hold = session.write('hold', '');
      session.edit('unit.c', 'n + 1;', 'n + 5;');
      await watched.watch.errorLine(/^live in .*: other$/);
      await watched.unit.program.stop();
      await session.run('rm', [hold]);
      await watched.watch.errorLine(/has ended|no running process|no process/i);
      await watched.watch.errorLine(/^failed/);
      assert.ok(watched.watch.running);
    }),
  );
});

/** An engine of this process that sees the session's processes, as the editor's does. */
async function withEngine(session: Session, test: (engine: Engine) => Promise<void>): Promise<void> {
  const runtimeDirectory = process.env['XDG_RUNTIME_DIR'];
  process.env['XDG_RUNTIME_DIR'] = session.environment['XDG_RUNTIME_DIR'];
  const engine = createEngine({
    temporaryDirectory: session.path('tmp'),
    preambleDirectory: session.path('preambles'),
    roots: [session.directory],
  });
  try {
    await test(engine);
  } finally {
    await engine.dispose();
    if (runtimeDirectory === undefined) delete process.env['XDG_RUNTIME_DIR'];
    else process.env['XDG_RUNTIME_DIR'] = runtimeDirectory;
  }
}

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
