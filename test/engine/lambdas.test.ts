// Lambdas that an edit adds, removes, moves or gives other captures. Compilers name them by numbers: what new code calls is
// the body that the new text has there, and objects made of old lambdas keep the code of their own.
import { strict as assert } from 'node:assert';
import { inSession, Unit } from '../support/session';

const builds = ['g++ -O0', 'g++ -O2', 'clang++ -O0', 'clang++ -O2'].map((text) => {
  const [compiler, ...flags] = text.split(' ');
  return { text, options: { compiler: compiler!, flags: ['-g', '-std=c++17', ...flags] } };
});

/** `value(0)` calls the stored function, `value(1)` makes one and calls it, `value(2)` stores one. */
const around = (body: string): string => `#include <functional>
static std::function<long(long)> stored;
static long base = 1000;
long value(long n) {
  if (n == 0) return stored ? stored(5) : -1;
  long own = base + n;
  ${body}
}
`;

for (const { text, options } of builds)
  describe(`A lambda (${text})`, () => {
    it(
      'that is added behind another can be edited again',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          around('if (n == 2) stored = [own](long m) { return m + own; }; return own;'),
          options,
        );
        assert.equal(await unit.value(2), 1002);
        assert.equal(await unit.value(0), 1007);
        await unit.editAndPatch(
          'return own;',
          'std::function<long(long)> more = [](long m) { return m * 2; }; return more(own);',
        );
        assert.equal(await unit.value(1), 2002);
        assert.equal(await unit.value(0), 1007);
        await unit.editAndPatch('return m * 2;', 'return m * 3;');
        assert.equal(await unit.value(1), 3003);
        await unit.editAndPatch('return m * 3;', 'return m * 4;');
        assert.equal(await unit.value(1), 4004);
        assert.equal(await unit.value(0), 1007);
      }),
    );

    it(
      'that is added before another leaves the stored ones their code, through later edits',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          around('if (n == 2) stored = [](long m) { return m + 10; }; return own;'),
          options,
        );
        assert.equal(await unit.value(2), 1002);
        assert.equal(await unit.value(0), 15);
        await unit.editAndPatch(
          'if (n == 2)',
          'std::function<long(long)> first = [](long m) { return m - 1; }; own = first(own); if (n == 2)',
        );
        assert.equal(await unit.value(1), 1000);
        assert.equal(await unit.value(0), 15);
        await unit.editAndPatch('return m - 1;', 'return m - 2;');
        assert.equal(await unit.value(1), 999);
        assert.equal(await unit.value(0), 15);
        assert.equal(await unit.value(2), 1000);
        assert.equal(await unit.value(0), 15);
        // From here on the stored one is of the text that runs.
        await unit.editAndPatch('return m + 10;', 'return m + 20;');
        assert.equal(await unit.value(0), 25);
        assert.equal(await unit.value(1), 999);
      }),
    );

    it(
      'that is removed before another gives it no other body',
      inSession(async (session) => {
        const first = 'std::function<long(long)> first = [](long m) { return m - 1; }; own = first(own);';
        const unit = await Unit.start(
          session,
          around(`${first} if (n == 2) stored = [](long m) { return m + 10; }; return own;`),
          options,
        );
        assert.equal(await unit.value(2), 1001);
        await unit.editAndPatch(first, '');
        assert.equal(await unit.value(0), 15);
        assert.equal(await unit.value(2), 1002);
        assert.equal(await unit.value(0), 15);
        await unit.editAndPatch('return m + 10;', 'return m + 30;');
        assert.equal(await unit.value(0), 35);
        await unit.editAndPatch('long own = base + n;', `long own = base + n; ${first}`);
        assert.equal(await unit.value(1), 1000);
      }),
    );

    it(
      'that changes places with another takes its body along',
      inSession(async (session) => {
        const one = 'std::function<long(long)> one = [](long m) { return m + 1; };';
        const two = 'std::function<long(long)> two = [](long m) { return m * 2; };';
        const unit = await Unit.start(
          session,
          around(`${one} ${two} if (n == 2) stored = one; return one(n) * 100 + two(n);`),
          options,
        );
        assert.equal(await unit.value(2), 304);
        assert.equal(await unit.value(0), 6);
        session.edit('unit.cc', `${one} ${two}`, `${two} ${one}`);
        await session.patch('unit.cc');
        assert.equal(await unit.value(0), 6);
        assert.equal(await unit.value(1), 202);
        await unit.editAndPatch('return m * 2;', 'return m * 5;');
        assert.equal(await unit.value(1), 205);
        assert.equal(await unit.value(0), 6);
      }),
    );

    it(
      'whose captures change is another one',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          around('if (n == 2) stored = [own](long m) { return m + own; }; return own;'),
          options,
        );
        assert.equal(await unit.value(2), 1002);
        assert.equal(await unit.value(0), 1007);
        await unit.editAndPatch(
          '[own](long m) { return m + own; }',
          '[n, own](long m) { return m + own + n * 10000; }',
        );
        assert.equal(await unit.value(0), 1007);
        assert.equal(await unit.value(2), 1002);
        assert.equal(await unit.value(0), 21007);
        await unit.editAndPatch('n * 10000', 'n * 20000');
        assert.equal(await unit.value(0), 41007);
        await unit.editAndPatch(
          '[n, own](long m) { return m + own + n * 20000; }',
          '[own](long m) { return m + own; }',
          'reverted',
        );
        assert.equal(await unit.value(2), 1002);
        assert.equal(await unit.value(0), 1007);
      }),
    );

    it(
      'in one function does not disturb those of others',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `#include <functional>
           static std::function<long(long)> stored;
           long before(long n) { return n; }
           static long keep(long n) { stored = [](long m) { return m + 7; }; return n; }
           long value(long n) {
             if (n == 0) return stored ? stored(5) : -1;
             return n == 2 ? keep(n) : before(n);
           }`,
          options,
        );
        assert.equal(await unit.value(2), 2);
        assert.equal(await unit.value(0), 12);
        await unit.editAndPatch(
          'long before(long n) { return n; }',
          'long before(long n) { std::function<long(long)> more = [](long m) { return m * 9; }; return more(n); }',
        );
        assert.equal(await unit.value(3), 27);
        assert.equal(await unit.value(0), 12);
        await unit.editAndPatch('return m + 7;', 'return m + 8;');
        assert.equal(await unit.value(2), 2);
        assert.equal(await unit.value(0), 13);
        assert.equal(await unit.value(3), 27);
      }),
    );

    it(
      'goes with its function, and leaves its number to one of a function with a jump table',
      inSession(async (session) => {
        const lambda = '{ auto l = [=](long x) { return x * 7; }; r += l(n); }';
        const table =
          'switch (r % 7) { case 0: r += 17; break; case 1: r ^= 23; break; case 2: r &= 16; break; case 3: r -= 17; break; case 5: r += n; break; default: r++; }';
        const unit = await Unit.start(
          session,
          `__attribute__((noinline)) static long gone(long n) { long r = n; ${lambda.replace('7', '9')} return r; }
__attribute__((noinline)) static long stays(long n) { long r = n; ${lambda} return r; }
long value(long n) { long r = n; r = gone(r); return stays(r); }
`,
          options,
        );
        assert.equal(await unit.value(1), 80);
        await unit.editAndPatch(/(stays\(long n\) \{ long r = n;)/, `stays(long n) { long r = n; ${table}`);
        assert.equal(await unit.value(1), 63);
        await unit.editAndPatch(' r = gone(r);', '');
        assert.equal(await unit.value(1), 29);
        await unit.editAndPatch('x * 7', 'x * 8');
        await unit.editAndPatch('r ^= 23', 'r ^= 7');
      }),
    );
  });

for (const { text, options } of builds)
  describe(`A function whose parameters change (${text})`, () => {
    it(
      'is called by what the text says, also where the code of the caller stays the same',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `__attribute__((noinline)) static long inner(long n) { return n + 7; }
           long value(long n) { asm volatile("" : "+r"(n)); long m = inner(n); asm volatile("" : "+r"(m)); return m; }`,
          options,
        );
        assert.equal(await unit.value(1), 8);
        session.edit(
          'unit.cc',
          'inner(long n) { return n + 7; }',
          'inner(long n, long m) { return n + 7 * m; }',
        );
        await unit.editAndPatch('inner(n);', 'inner(n, 3);');
        assert.equal(await unit.value(1), 22);
        await unit.editAndPatch('n + 7 * m', 'n + 8 * m');
        assert.equal(await unit.value(1), 25);
      }),
    );
  });
