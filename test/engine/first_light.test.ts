// First light: edited functions are live before their unit is compiled whole, and what the whole unit says comes out in
// the end, whatever it is. Saves go through `hot-patch watch`, as a user's do; its first save of a file is exact.
import { strict as assert } from 'node:assert';
import { inSession } from '../support/session';
import { compilers, inC, O0, Watched } from '../support/watched_unit';

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
      `is taken of optimised code where gcc made it (${title})`,
      inSession(async (session) => {
        const watched = await Watched.start(session, source, { ...options, flags: ['-O2', '-g'] });
        if (title.startsWith('g')) await watched.light('return n + 1;', 'return n + 1000;');
        else await watched.exact('return n + 1;', 'return n + 1000;', /is for gcc/);
        assert.equal(await watched.value(10), 20 + 1010 + 101);
        await watched.isExact();
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
    'leaves functions as they run whose frames depend on what was left out (gcc)',
    inSession(async (session) => {
      const watched = await Watched.start(
        session,
        `static int leaf(int a) { return a + 1; }
         static long counted(long n) { static long calls = 100; char room[8]; room[n & 7] = 1; return calls += leaf(n) + room[n & 7]; }
         static long other(long n) { return n + 1; }
         long value(long n) { return counted(n) + other(n); }`,
        { language: 'c', compiler: 'gcc' },
      );
      assert.equal(await watched.value(1), 103 + 2);
      const { changed } = await watched.light('return n + 1', 'return n + 1000');
      assert.deepEqual(
        changed.map(({ name }) => name),
        ['other'],
      );
      assert.equal(await watched.value(1), 106 + 1001);
      // An edit of the frame alone is one all the same.
      const larger = await watched.save('room[8]', 'room[64]');
      assert.ok(larger.changed.some(({ name }) => name === 'counted'));
      assert.equal(await watched.value(1), 109 + 1001);
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
