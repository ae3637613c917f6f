// Edits that are correct C++ and would still corrupt a running program if every changed function were simply
// redirected: callers that are active, objects that exist, addresses that were handed out. Through the command line,
// with real programs.
import { strict as assert } from 'node:assert';
import { inSession, Unit } from '../support/session';

describe('a running program is not corrupted', () => {
  it(
    'by a callee that uses registers an active caller counts on (-fipa-ra)',
    inSession(async (session) => {
      session.write(
        'loop.c',
        `#include <pthread.h>
         #include <stdio.h>
         static volatile long ticks;
         static volatile int corrupted;
         __attribute__((noinline)) static void tick(void) { ticks++; }
         __attribute__((noinline)) static long loop(long a, long b, long c, long d, long n) {
           long e = a * 3, f = b * 5, g = c * 7, h = d * 9;
           for (long i = 0; corrupted ? i < n : 1; i++) {
             tick();
             if (e + f + g + h != a * 3 + b * 5 + c * 7 + d * 9 || (e ^ f) == g) corrupted = 1;
           }
           return a + b + c + d + e + f + g + h;
         }
         static void *run(void *seed) { return (void *)loop((long)seed, 22, 33, 44, 1000); }
         int main(void) {
           pthread_t thread;
           pthread_create(&thread, NULL, run, (void *)11);
           puts("ready"); fflush(stdout);
           for (char line[80]; fgets(line, sizeof line, stdin);) {
             long before = ticks;
             while (!corrupted && ticks == before) {}
             puts(corrupted ? "corrupted" : "well"); fflush(stdout);
           }
           return 0;
         }`,
      );
      await session.build({ sources: ['loop.c'], flags: ['-O2', '-g', '-pthread'] });
      const program = await session.start();
      assert.equal(await program.ask('how'), 'well');
      session.edit(
        'loop.c',
        '{ ticks++; }',
        '{ ticks++; if (ticks % 1000000 == 0) fprintf(stderr, "%ld\\n", ticks); }',
      );
      const result = await session.refused('loop.c', 'caller-active');
      assert.match(result.refusals[0]!.message, /loop/);
      assert.equal(await program.ask('how'), 'well');
    }),
  );

  it(
    'by a lambda that takes the name of one that is stored',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `#include <functional>
         static std::function<long(long)> stored;
         long value(long n) {
           if (!stored) { stored = [](long m) { return m + 1000; }; }
           return stored(n);
         }`,
      );
      assert.equal(await unit.value(1), 1001);
      await unit.editAndPatch(
        'if (!stored) {',
        'static std::function<long(long)> first; if (!first) { first = [](long m) { return m - 5000000; }; } if (!stored) {',
      );
      assert.equal(await unit.value(1), 1001);
      assert.equal(await unit.value(2), 1002);
    }),
  );

  it(
    'by a lambda whose captures changed while a closure of it is stored',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `#include <functional>
         static std::function<long(long)> stored;
         static long base = 1000;
         long value(long n) {
           long own = base + 7;
           if (!stored) { stored = [own](long m) { return m + own; }; }
           return stored(n);
         }`,
      );
      assert.equal(await unit.value(1), 1008);
      await unit.editAndPatch(
        '[own](long m) { return m + own; }',
        '[own, n](long m) { return m + own + n * 100000; }',
      );
      assert.equal(await unit.value(1), 1008);
    }),
  );

  it(
    'by patches that come and go while it keeps a string literal of an earlier one',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `#include <cstring>
         static const char *name = "none";
         static long round_ = 0;
         long value(long n) {
           if (n == 1) name = "first name of all";
           return static_cast<long>(std::strlen(name)) * 1000 + round_ + n * 7;
         }`,
      );
      assert.equal(await unit.value(1), 17007);
      await unit.editAndPatch('first name of all', 'a name of the first patch');
      assert.equal(await unit.value(1), 25007);
      for (let round = 1; round <= 4; round++) {
        await unit.editAndPatch(/n \* \d+;/, `n * ${round + 100};`);
        assert.equal(await unit.value(0), 25000);
      }
    }),
  );

  it(
    'by a type that an earlier save added and this one lays out anew',
    inSession(async (session) => {
      const unit = await Unit.start(session, 'long value(long n) { return (n * 3) ^ (n >> 2); }');
      await unit.editAndPatch(
        'long value(long n) {',
        `struct Added { long first; long second; };
         static Added *added;
         long value(long n) { if (!added) { added = new Added{n, 2}; }`,
      );
      await unit.value(3);
      await unit.editAndBeRefused('long first; long second;', 'long second; long first;', 'layout-changed');
    }),
  );
});
