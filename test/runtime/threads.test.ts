// Patching under running threads: no wrong result, no interrupted system call, no thread that is in the way unseen.
import { strict as assert } from 'node:assert';
import { inRuntimeSession } from '../support/runtime_process';
import { notUnderSanitizers } from '../support/sanitizers';

/** Two functions with entries of several instructions; every result of every call is checked by its caller. */
const busy = `
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((noipa)) long add(long a, long b) { return a + b; }
__attribute__((noipa)) long first(long a) { return add(a, 1) + add(a, 2); }
__attribute__((noipa)) long second(long a) { return add(a, 10) + add(a, 20); }
static atomic_long calls, wrong;
static void *run(void *unused) {
  setpriority(PRIO_PROCESS, syscall(SYS_gettid), 10); // this thread only: the test has other work to do
  for (long i = 0;; i++) {
    long f = first(i) - 2 * i, s = second(i) - 2 * i;
    if ((f != 3 && f != 103) || (s != 30 && s != 130)) atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&calls, 1);
  }
  return unused;
}
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  for (int i = 0; i < 4; i++) { pthread_t t; pthread_create(&t, 0, run, 0); }
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "wrong", 5)) printf("%ld\\n", atomic_load(&wrong));
    else { long a = atomic_load(&calls); while (atomic_load(&calls) < a + 100) ; puts("called"); }
  }
  exit(0);
}`;

const replacement = `
extern long add(long, long);
long new_first(long a) { return add(a, 1) + add(a, 102); }
long new_second(long a) { return add(a, 10) + add(a, 120); }`;

describe('threads that never stop calling', () => {
  it(
    'get a right result from every call over 1,000 patches and reverts',
    inRuntimeSession(async (session) => {
      const process = await session.run(busy, { flags: ['-rdynamic', '-fno-omit-frame-pointer'] });
      await process.patch(replacement, { first: 'new_first', second: 'new_second' });
      const entries = ['first', 'second'].map((name) => `function 0x${process.address(name).toString(16)}`);
      for (let round = 0; round < 1000; round += 20) {
        // Twenty requests a ring, answered in the order of their names.
        const ids = Array.from({ length: 20 }, (_, i) => `round-${String(round + i).padStart(4, '0')}`);
        for (const [i, id] of ids.entries()) {
          const lines = entries.map((entry) => `${entry} ${i % 2}\n`);
          process.place(id, `hot_fix 1\ncommand revert\n${lines.join('')}end\n`);
        }
        process.ring();
        for (const [i, id] of ids.entries()) {
          const answer = await process.answer(id);
          assert.ok(answer.ok, JSON.stringify(answer.error));
          assert.deepEqual(
            answer.status.functions.map((f) => [f.version, f.verified]),
            [
              [i % 2, true],
              [i % 2, true],
            ],
          );
        }
      }
      assert.equal(await process.ask('calls'), 'called');
      assert.equal(await process.ask('wrong'), '0');
    }),
  );

  it(
    'go on calling after a patch and after the way back',
    inRuntimeSession(async (session) => {
      const process = await session.run(busy, { flags: ['-rdynamic'] });
      await process.patch(replacement, { first: 'new_first', second: 'new_second' });
      assert.equal(await process.ask('calls'), 'called');
      await process.done('revert', 'all');
      assert.equal(await process.ask('calls'), 'called');
      assert.equal(await process.ask('wrong'), '0');
    }),
  );
});

/** A thread that blocks every signal, by system call (or through libc), and calls value() without pause. */
const blocking = `
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef SHORT
__attribute__((naked, noipa)) int value(int n) {
  __asm__("push %rbp; mov %rsp,%rbp; mov %edi,%eax; pop %rbp; ret");
}
#else
__attribute__((naked, noipa)) int value(int n) { __asm__("mov %edi,%eax; nop; nop; nop; ret"); }
#endif
static atomic_int blocks, answers, last;
static void *run(void *unused) {
  prctl(PR_SET_NAME, "deaf", 0, 0, 0);
  sigset_t all;
  sigfillset(&all);
#ifdef LIBC
  pthread_sigmask(SIG_BLOCK, &all, 0);
#else
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, 0, 8);
#endif
  atomic_store(&blocks, 1);
  for (;;) { atomic_store(&last, value(1)); atomic_fetch_add(&answers, 1); }
  return unused;
}
int main(void) {
  char line[64];
  pthread_t t;
  setvbuf(stdout, 0, _IOLBF, 0);
  pthread_create(&t, 0, run, 0);
  while (!atomic_load(&blocks)) ;
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    int a = atomic_load(&answers);
    while (atomic_load(&answers) < a + 2) ;
    printf("%d\\n", atomic_load(&last));
  }
  return 0;
}`;
const plusOne = 'int new_value(int n) { return n + 1; }';

/** The bytes behind the first one lead to a negative address: entries have to be closed. */
const lowAddresses = '-no-pie';

describe('a thread that blocks all signals', () => {
  it(
    'is patched under by storing one byte',
    inRuntimeSession(async (session) => {
      for (const [flags, boundaries] of [
        [[], 0b11101],
        [['-DSHORT'], 0b10011],
      ] as const) {
        const process = await session.run(blocking, { flags: [...flags] });
        const functions = [process.fix('value', 'new_value', { boundaries })];
        const [patched] = (await process.patch(plusOne, {}, { functions })).functions;
        assert.equal(patched!.trampoline.method, 'store');
        assert.equal(await process.ask(''), '2');
        const [reverted] = (await process.revert('value', 0)).functions;
        assert.equal(reverted!.trampoline.method, 'store');
        assert.equal(await process.ask(''), '1');
      }
    }),
  );

  it(
    'is patched under without int3 where the first instruction allows it',
    inRuntimeSession(async (session) => {
      const process = await session.run(blocking, { flags: [lowAddresses] });
      const functions = [process.fix('value', 'new_value', { boundaries: 0b11101 })];
      const [patched] = (await process.patch(plusOne, {}, { functions })).functions;
      assert.equal(patched!.trampoline.method, 'spin');
      assert.equal(await process.ask(''), '2');
      const [reverted] = (await process.revert('value', 0)).functions;
      assert.equal(reverted!.trampoline.method, 'store');
      assert.equal(await process.ask(''), '1');
    }),
  );

  it(
    'is named when the first instruction is too short for that, and nothing is changed',
    inRuntimeSession(async (session) => {
      const process = await session.run(blocking, { flags: ['-DSHORT', lowAddresses] });
      const file = process.patchFile(
        plusOne,
        {},
        {
          functions: [process.fix('value', 'new_value', { boundaries: 0b10011 })],
        },
      );
      assert.match(await process.refused('signals-blocked', 'patch', `file ${file}`), /deaf/);
      assert.equal(await process.ask(''), '1');
      assert.deepEqual((await process.done('status')).functions, []);
    }),
  );

  it(
    'does not block SIGTRAP when it does so through libc',
    inRuntimeSession(async (session) => {
      notUnderSanitizers('their pthread_sigmask stands before that of the runtime');
      for (const runtime of ['preloaded', 'embedded'] as const) {
        const flags = ['-DLIBC', '-DSHORT', lowAddresses];
        const text =
          runtime === 'preloaded'
            ? blocking
            : blocking
                .replace('#include <pthread.h>', '#include <pthread.h>\n#include "hot_fix.h"')
                .replace('pthread_t t;', 'pthread_t t; init_hot_fix_signal();');
        const executable = session.compile(`deaf-${runtime}`, text, { flags, runtime });
        const process = await session.start(executable, { runtime });
        const functions = [process.fix('value', 'new_value', { boundaries: 0b10011 })];
        const [patched] = (await process.patch(plusOne, {}, { functions })).functions;
        assert.equal(patched!.trampoline.method, 'int3');
        assert.equal(await process.ask(''), '2');
      }
    }),
  );
});
