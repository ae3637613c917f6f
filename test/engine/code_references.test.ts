// What code refers to without a relocation, because the assembler resolved it: thunks beside their function, a function's
// own address, branches between functions of one section. A patch lays functions anew, so each has to be kept right.
import { strict as assert } from 'node:assert';
import { inSession, Unit } from '../support/session';

const builds = ['g++ -O0', 'g++ -O2', 'clang++ -O0', 'clang++ -O2'].map((text) => {
  const [compiler, ...flags] = text.split(' ');
  return { text, options: { compiler: compiler!, flags: ['-g', ...flags] } };
});

for (const { text, options } of builds)
  describe(`A reference that the assembler resolved (${text})`, () => {
    it(
      'leads a thunk to its function through every version of both',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `struct A { virtual ~A() {} virtual long fa(long n) { return n; } long a = 1; };
           struct B { virtual ~B() {} virtual long fb(long n) { return n; } long b = 2; };
           struct V { virtual long fv(long n) { return n; } long v = 3; };
           struct C : A, B, virtual V {
             long fa(long n) override { return n + 10 + a; }
             long fb(long n) override { return n + 20 + b; }
             long fv(long n) override { return n + 30 + v; }
           };
           static B *b; static V *v;
           long value(long n) {
             if (!b) { C *c = new C; b = c; v = c; asm volatile("" ::: "memory"); }
             return b->fb(n) * 1000 + v->fv(n);
           }`,
          options,
        );
        assert.equal(await unit.value(0), 22033);
        await unit.editAndPatch('n + 20', 'n + 40');
        assert.equal(await unit.value(0), 42033);
        await unit.editAndPatch('n + 30', 'n + 50');
        assert.equal(await unit.value(0), 42053);
        await unit.editAndPatch('n + 40', 'n * 2 + 60');
        assert.equal(await unit.value(1), 64054);
        await unit.editAndPatch(
          'static B *b;',
          `struct D : A, B { long fb(long n) override { return n + 70 + b; } };
           static B *b;`,
          'unchanged',
        );
        await unit.editAndPatch(
          'return b->fb(n)',
          'if (n == 7) { B *d = new D; asm volatile("" : "+r"(d)); return d->fb(n); } return b->fb(n)',
        );
        assert.equal(await unit.value(7), 79);
        await unit.editAndPatch('n + 70', 'n + 80');
        assert.equal(await unit.value(7), 89);
        await unit.editAndPatch('n * 2 + 60', 'n + 20', 'reverted');
        await unit.editAndPatch('n + 50', 'n + 30', 'reverted');
        assert.equal(await unit.value(0), 22033);
      }),
    );

    it(
      'is the entry where a function takes its own address',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `typedef long (*callback)(long);
           static callback next;
           static __attribute__((noinline)) long tick(long n) { next = tick; return n + 1; }
           long value(long n) {
             if (n == 9) return next == tick;
             return next ? next(n) : tick(n);
           }`,
          options,
        );
        assert.equal(await unit.value(1), 2);
        await unit.editAndPatch('n + 1', 'n + 100');
        assert.equal(await unit.value(1), 101);
        assert.equal(await unit.value(9), 1);
        await unit.editAndPatch('n + 100', 'n + 200');
        assert.equal(await unit.value(1), 201);
        assert.equal(await unit.value(9), 1);
        await unit.editAndPatch('n + 200', 'n + 1', 'reverted');
        assert.equal(await unit.value(1), 2);
      }),
    );

    it(
      'joins functions of one section',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `#define OWN __attribute__((noinline, section("own_code")))
           OWN static long one(long n) { asm volatile(""); return n + 1; }
           OWN static long two(long n) { asm volatile(""); return one(n * 2); }
           OWN static long pick(long n) {
             switch (n) { case 0: return one(5); case 1: return two(7); case 2: return one(n) * 3; case 3: return two(n) * 4;
               case 4: return one(9); case 5: return one(11); }
             return 0;
           }
           long value(long n) { return pick(n) * 100 + two(n); }`,
          options,
        );
        assert.equal(await unit.value(1), 1503);
        await unit.editAndPatch('one(n * 2)', 'one(n * 3)');
        assert.equal(await unit.value(1), 2204);
        await unit.editAndPatch('two(n) * 4', 'two(n) * 5');
        assert.equal(await unit.value(3), 5010);
        assert.equal(await unit.value(1), 2204);
        await unit.editAndPatch('return n + 1', 'return n + 2');
        assert.equal(await unit.value(1), 2305);
        assert.equal(await unit.value(4), 1114);
      }),
    );

    it(
      'is followed in unlikely code, also when it is undone',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `#define COLD __attribute__((noinline, cold))
           static long count;
           COLD long first(long n) { asm volatile(""); return n + ++count; }
           COLD long second(long n) { asm volatile(""); return n + ++count + 1000; }
           __attribute__((noinline)) long likely(long n) {
             if (__builtin_expect(n < 0, 0)) return first(n) + 5;
             return n * 2;
           }
           long value(long n) { return likely(n); }`,
          options,
        );
        assert.equal(await unit.value(-1), 5);
        await unit.editAndPatch('return first(n)', 'return second(n)');
        assert.equal(await unit.value(-1), 1006);
        await unit.editAndPatch('return second(n)', 'return first(n)', 'reverted');
        assert.equal(await unit.value(-1), 7);
      }),
    );

    it(
      'belongs to nobody else where code ends in a call that never returns',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `#include <cstdlib>
           __attribute__((noinline, cold, noreturn)) void fail(long n) { exit((int)n); }
           __attribute__((noinline)) long checked(long n) {
             while (n > 100) { if (n & 1) fail(n); n -= 2; if (n == 50) fail(n + 1); }
             return n;
           }
           long value(long n) { return checked(n) + 1; }`,
          options,
        );
        await unit.editAndPatch('checked(n) + 1', 'checked(n) + 2');
        assert.equal(await unit.value(3), 5);
      }),
    );
  });

for (const { text, options } of builds)
  describe(`A reference through the GOT (${text} -fPIC)`, () => {
    it(
      'means the symbol itself: a new destructor, new functions and variables of every binding',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `static long first = 1;
           long value(long n) { return n + first; }`,
          { ...options, flags: [...options.flags, '-fPIC'] },
        );
        assert.equal(await unit.value(1), 2);
        await unit.editAndPatch(
          'long value(long n) { return n + first; }',
          `long before = 10, second = 20;
           struct Gauge { long held; Gauge(long n) : held(n) {} ~Gauge() { held += second; } };
           long *where() { return &second; }
           __attribute__((noinline)) long twice(long n) { asm volatile(""); return n * 2; }
           typedef long (*callback)(long);
           callback kept;
           long value(long n) {
             static Gauge gauge(n);
             kept = twice;
             return n + gauge.held + *where() + kept(first);
           }`,
        );
        assert.equal(await unit.value(5), 32);
        await unit.editAndPatch('return n * 2', 'return n * 3');
        assert.equal(await unit.value(5), 33);
        await unit.editAndPatch('*where() +', '*where() * 10 +');
        assert.equal(await unit.value(5), 213);
      }),
    );
  });

describe('A small function that came with a patch', () => {
  it(
    'is edited again, though it was the last code of its file',
    inSession(async (session) => {
      const unit = await Unit.start(session, 'long value(long n) { return n < 0 ? -n : n; }', {
        flags: ['-g', '-O2'],
      });
      await unit.editAndPatch(
        /^.*$/,
        `static __attribute__((noinline)) long limit() { asm volatile(""); return 5; }
         long value(long n) { return n + limit(); }`,
      );
      assert.equal(await unit.value(1), 6);
      await unit.editAndPatch('return 5', 'return 6');
      assert.equal(await unit.value(1), 7);
      await unit.editAndPatch('return 6', 'return 7');
      assert.equal(await unit.value(1), 8);
    }),
  );
});
