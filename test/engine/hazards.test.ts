// Edits that are correct C++ and would still corrupt a running program if every changed function were simply
// redirected: callers that are active, objects that exist, addresses that were handed out. Through the command line,
// with real programs.
import { strict as assert } from 'node:assert';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Program } from '../support/program';
import { inSession, Unit, type Session } from '../support/session';

/** Text for `tick` that uses every register that a call may use, and tells through whom it was called. */
const usesRegisters = `
  if (ticks % 500000 == 0) {
    void *frames[16];
    int count = backtrace(frames, 16), inLoop = 0;
    for (int k = 0; k < count; k++) inLoop |= loopFrame(frames[k]);
    fprintf(stderr, "%ld frames: %s\\n", ticks, inLoop && count >= 4 ? "through the loop to its thread" : "torn");
  }
  __asm__ volatile("" ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
                   "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm15");
  __asm__ volatile("xor %%eax, %%eax; xor %%ecx, %%ecx; xor %%edx, %%edx; xor %%esi, %%esi; xor %%edi, %%edi;"
                   "xor %%r8, %%r8; xor %%r9, %%r9; xor %%r10, %%r10; xor %%r11, %%r11; xorps %%xmm1, %%xmm1; xorps %%xmm9, %%xmm9"
                   ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm1", "xmm9", "cc");`;

/** A thread that never leaves a loop, which calls `tick` and keeps its values in registers meanwhile. */
async function startLoop(
  session: Session,
  {
    parameters,
    argument,
    body = '',
    result,
    flags = [],
  }: {
    parameters: string;
    argument: string;
    body?: string;
    result?: { type: string; value: string };
    flags?: string[];
  },
): Promise<Program> {
  session.write(
    'loop.c',
    `#include <execinfo.h>
     #include <pthread.h>
     #include <stdio.h>
     static volatile long ticks;
     static volatile long sink;
     static volatile int corrupted;
     static long loop(long a, long b, long c, long d, double x);
     static int loopFrame(void *address) { long past = (char *)address - (char *)loop; return past > 0 && past < 2000; }
     __attribute__((noinline)) static ${result?.type ?? 'void'} tick(${parameters}) { ticks++; ${body} ${result ? `return ticks * 0 + ${result.value};` : ''} }
     __attribute__((noinline)) static long loop(long a, long b, long c, long d, double x) {
       long e = a * 3, f = b * 5, g = c * 7, h = d * 9;
       double y = x * 3;
       for (long i = 0; !corrupted; i++) {
         ${result ? `if (tick(${argument}) != ${result.value}) corrupted = 1` : `tick(${argument})`};
         if (e + f + g + h != a * 3 + b * 5 + c * 7 + d * 9 || (e ^ f) == g || y != x * 3) corrupted = 1;
         __asm__ volatile("" : "+x"(x), "+x"(y));
       }
       return a + b + c + d + e + f + g + h + (long)(x + y) + loopFrame(&e);
     }
     static void *run(void *seed) { return (void *)loop((long)seed, 22, 33, 44, 1.5); }
     int main(void) {
       pthread_t thread;
       pthread_create(&thread, NULL, run, (void *)11);
       puts("ready"); fflush(stdout);
       for (char line[80]; fgets(line, sizeof line, stdin);) {
         long before = ticks;
         while (!corrupted && ticks - before < 1000000) {}
         puts(corrupted ? "corrupted" : "well"); fflush(stdout);
       }
       return 0;
     }`,
  );
  await session.build({ sources: ['loop.c'], flags: ['-O2', '-g', '-pthread', ...flags] });
  const program = await session.start();
  assert.equal(await program.ask('how'), 'well');
  return program;
}

describe('a running program is not corrupted', () => {
  it(
    'by a callee that uses registers an active caller counts on (-fipa-ra)',
    inSession(async (session) => {
      const program = await startLoop(session, { parameters: 'void', argument: '' });
      session.edit('loop.c', 'ticks++;', `ticks++; ${usesRegisters}`);
      const { processes } = await session.patch('loop.c');
      // The loop's own code changed as well, but it is the old one that runs, and goes on calling the new tick.
      assert.equal(processes[0]!.functions.find(({ symbol }) => symbol === 'loop')?.activeThreads, 1);
      assert.match(await program.errorLine(/frames/), /through the loop to its thread/);
      assert.equal(await program.ask('how'), 'well');
      assert.match(await program.errorLine(/frames/), /through the loop to its thread/);
      assert.equal(await program.ask('how'), 'well');
      // What stands before the new version is no part of it: the same text is the same code.
      await session.patch('loop.c', 'unchanged');
      session.edit('loop.c', 'frames:', 'frames again:');
      await session.patch('loop.c');
      assert.match(await program.errorLine(/frames again/), /through the loop to its thread/);
      assert.equal(await program.ask('how'), 'well');
      session.edit('loop.c', usesRegisters.replace('frames:', 'frames again:'), '');
      await session.patch('loop.c', 'reverted');
      assert.equal(await program.ask('how'), 'well');
    }),
  );

  for (const result of [
    { type: 'long', value: '7' },
    { type: 'double', value: '2.5' },
  ])
    it(
      `by such a callee whose result is in a register that is left out (${result.type})`,
      inSession(async (session) => {
        const program = await startLoop(session, { parameters: 'void', argument: '', result });
        session.edit('loop.c', 'ticks++;', `ticks++; ${usesRegisters}`);
        await session.patch('loop.c');
        assert.match(await program.errorLine(/frames/), /through the loop to its thread/);
        assert.equal(await program.ask('how'), 'well');
      }),
    );

  it(
    'by such a callee of a unit whose debug information was split off; once that is gone it is refused',
    inSession(async (session) => {
      const flags = ['-gsplit-dwarf'];
      const program = await startLoop(session, { parameters: 'void', argument: '', flags });
      session.edit('loop.c', 'ticks++;', `ticks++; ${usesRegisters}`);
      await session.patch('loop.c');
      assert.match(await program.errorLine(/frames/), /through the loop to its thread/);
      assert.equal(await program.ask('how'), 'well');
      const split = readdirSync(session.directory).filter((name) => name.endsWith('.dwo'));
      assert.equal(split.length, 1);
      rmSync(join(session.directory, split[0]!));
      session.edit('loop.c', 'frames:', 'frames again:');
      await session.refused('loop.c', 'caller-active');
      assert.equal(await program.ask('how'), 'well');
    }),
  );

  const seven = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const onTheStack = {
    parameters: seven.map((name) => `long ${name}`).join(', '),
    argument: seven.map((_, i) => `i + ${i}`).join(', '),
  };

  it(
    'by such a callee when nothing can be put before it, because arguments lie on the stack: it waits, then is refused',
    inSession(async (session) => {
      const program = await startLoop(session, { ...onTheStack, body: `sink = ${seven.join(' + ')};` });
      session.edit('loop.c', 'ticks++;', `ticks++; ${usesRegisters}`);
      const result = await session.refused('loop.c', 'caller-active');
      assert.match(result.refusals[0]!.message, /loop/);
      assert.equal(await program.ask('how'), 'well');
    }),
  );

  /** Keeps a number of values, in as many pushed registers, while it calls `tick` with a stack that is aligned for nobody. */
  const unaligned = (kept: number): string => `#include <pthread.h>
      #include <stdio.h>
      static volatile long ticks, wrong, got;
      __attribute__((noinline)) static void tick(long n) { ticks++; got = n + 1; }
      __attribute__((noinline)) static long loop(long a, long b, long c, long d) {
        long sum = 0;
        for (long i = 0; !wrong; i++) {
          tick(i);
          if (got != i + 1 && got != i + 2) wrong = 1;
          ${['', 'sum += a;', 'sum += a ^ b;', 'sum += (a ^ b) + (c & sum);', 'sum += (a ^ b) + (c & sum) + (d | i);'][kept]}
        }
        return sum;
      }
      static void *run(void *seed) { return (void *)loop((long)seed, 22, 33, 44); }
      int main(void) {
        pthread_t thread;
        pthread_create(&thread, NULL, run, (void *)11);
        puts("ready"); fflush(stdout);
        for (char line[80]; fgets(line, sizeof line, stdin);) {
          long before = ticks;
          while (!wrong && ticks - before < 1000000) {}
          puts(wrong ? "wrong" : "well"); fflush(stdout);
        }
        return 0;
      }`;

  for (const [kept, level] of [
    [0, '-O1'],
    [1, '-O2'],
    [2, '-O2'],
    [3, '-O1'],
    [4, '-O2'],
  ] as const)
    it(
      `by a callee that needs its stack aligned where an active caller left that out (${level}, ${kept} values kept)`,
      inSession(async (session) => {
        session.write('loop.c', unaligned(kept));
        await session.build({ sources: ['loop.c'], flags: [level, '-g', '-pthread'] });
        const program = await session.start();
        session.edit(
          'loop.c',
          'ticks++; got = n + 1;',
          'ticks++; if (ticks % 300000 == 0) fprintf(stderr, "%g\\n", n / 2.0); got = n + 2;',
        );
        await session.patch('loop.c');
        assert.equal(await program.ask('how'), 'well');
        await program.errorLine(/^[0-9.e+]+$/);
        session.edit('loop.c', 'got = n + 2;', 'got = n + 1;');
        await session.patch('loop.c');
        assert.equal(await program.ask('how'), 'well');
      }),
    );

  for (const flags of [[], ['-fpatchable-function-entry=5']])
    it(
      `by such a callee when the compiler made a clone of it, which old code goes on calling in its old version (${['-O2', ...flags].join(' ')})`,
      inSession(async (session) => {
        const program = await startLoop(session, { ...onTheStack, flags });
        session.edit('loop.c', 'ticks++;', `ticks++; ${usesRegisters}`);
        const { changed, processes } = await session.patch('loop.c');
        const clone = changed.find(({ symbol }) => symbol.startsWith('tick.'));
        assert.ok(clone, JSON.stringify(changed));
        assert.ok(
          !processes.some(({ functions }) => functions.some(({ symbol }) => symbol === clone.symbol)),
        );
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
         long value(long n) { if (!added) { added = new Added{n, 2}; } added->first++;`,
      );
      await unit.value(3);
      await unit.editAndBeRefused('long first; long second;', 'long second; long first;', 'layout-changed');
    }),
  );

  it(
    'by a type of a header that its unit did not use until now, and that was laid out anew meanwhile',
    inSession(async (session) => {
      session.write(
        'player.h',
        'namespace game { struct Player { long health; long score; }; }\nextern game::Player *player;\n',
      );
      session.write(
        'player.cc',
        '#include "player.h"\ngame::Player *player = new game::Player{100, 7};\nlong score() { return player->score; }\n',
      );
      const unit = await Unit.start(
        session,
        '#include "player.h"\nlong score();\nlong value(long n) { return n + score(); }\n',
        { sources: ['player.cc'] },
      );
      assert.equal(await unit.value(1), 8);
      await unit.editAndPatch('n + score()', 'n + score() + player->health');
      assert.equal(await unit.value(1), 108);
      await unit.editAndPatch(' + player->health', '', 'reverted');
      // Not saved through Hot Patch: as after a refusal that was read away, or before the editor was started.
      session.edit('player.h', 'long health; long score;', 'long score; long health;');
      const { refusals } = await unit.editAndBeRefused('n + score()', 'n + player->score', 'layout-changed');
      assert.match(refusals[0]!.message, /game::Player/);
      assert.match(refusals[0]!.file ?? '', /player\.h$/);
    }),
  );

  for (const [flags, linkage, described] of [
    [['-O0', '-g', '-std=c++20'], '', ''],
    [['-O2', '-g', '-std=c++20'], '', ''],
    [['-O0', '-g', '-std=c++20'], 'static ', ' of a function of its file'],
    [['-O2', '-g', '-std=c++20'], 'static ', ' of a function that is inlined'],
  ] as const)
    it(
      `by a coroutine${described} that is suspended in the old version (${flags[0]})`,
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `#include <coroutine>
           #include <exception>
           #include <vector>
           struct Counter {
             struct promise_type {
               long current = 0;
               Counter get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
               std::suspend_always initial_suspend() noexcept { return {}; }
               std::suspend_always final_suspend() noexcept { return {}; }
               std::suspend_always yield_value(long value) { current = value; return {}; }
               void return_void() {}
               void unhandled_exception() { std::terminate(); }
             };
             std::coroutine_handle<promise_type> handle;
           };
           ${linkage}Counter counter(long start) {
             for (long i = start;; i++) co_yield i;
           }
           static std::vector<Counter> counters;
           /* 0: start another one; n: the next value of the n-th */
           long value(long n) {
             if (n == 0) { counters.push_back(counter(1000 * static_cast<long>(counters.size() + 1))); return 0; }
             auto handle = counters[static_cast<std::size_t>(n - 1)].handle;
             handle.resume();
             return handle.promise().current;
           }`,
          { flags: [...flags] },
        );
        await unit.value(0);
        assert.deepEqual([await unit.value(1), await unit.value(1)], [1000, 1001]);
        await unit.editAndPatch(
          'for (long i = start;; i++) co_yield i;',
          'long seen[40] = {}; co_yield -1; for (long i = start;; i += 10) { seen[i % 40]++; co_yield i + seen[i % 40]; }',
        );
        assert.deepEqual([await unit.value(1), await unit.value(1)], [1002, 1003]);
        await unit.value(0);
        assert.deepEqual([await unit.value(2), await unit.value(2), await unit.value(2)], [-1, 2001, 2011]);
        await session.patch(unit.file, 'unchanged');
        await unit.editAndPatch('co_yield -1;', 'co_yield -2; co_yield -3;');
        await unit.value(0);
        assert.deepEqual([await unit.value(3), await unit.value(3), await unit.value(3)], [-2, -3, 3001]);
        assert.deepEqual([await unit.value(1), await unit.value(2)], [1004, 2021]);
        await unit.editAndPatch(
          /long seen\[40\].*\n/,
          'for (long i = start;; i++) co_yield i;\n',
          'reverted',
        );
        await unit.value(0);
        assert.deepEqual([await unit.value(4), await unit.value(4)], [4000, 4001]);
        assert.deepEqual([await unit.value(1), await unit.value(2), await unit.value(3)], [1005, 2031, 3011]);
        // As in the first edit: parts of that version are in the process.
        await unit.editAndPatch(
          'for (long i = start;; i++) co_yield i;',
          'long seen[40] = {}; co_yield -1; for (long i = start;; i += 10) { seen[i % 40]++; co_yield i + seen[i % 40]; }',
        );
        await session.patch(unit.file, 'unchanged');
        await unit.value(0);
        assert.deepEqual([await unit.value(5), await unit.value(5)], [-1, 5001]);
        assert.deepEqual([await unit.value(1), await unit.value(2), await unit.value(4)], [1006, 2042, 4002]);
      }),
    );
});
