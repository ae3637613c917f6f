// Patching code that is running: that a handler has interrupted, that is on a stack, that is returned into.
import { strict as assert } from 'node:assert';
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { mappings } from '../support/memory';
import { inRuntimeSession, type Status } from '../support/runtime_process';
import { notUnderSanitizers } from '../support/sanitizers';

/** The heap of a sanitizer lies above guard pages, as a stack does, and the unwinder's records of a patch are in it. */
const heapLikeStacks = 'patches stay, as their heap is taken for stacks';

/** The bytes behind the first one lead to a negative address: entries have to be closed. */
const lowAddresses = '-no-pie';

/** A handler interrupts f() where its second instruction begins, computes for most of the time, and returns there. */
const interrupted = `
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef SHORT
__attribute__((naked, noipa)) double f(double x) { __asm__("push %rbp; sqrtsd %xmm0,%xmm0; pop %rbp; ret"); }
#else
__attribute__((naked, noipa)) double f(double x) { __asm__("sqrtsd %xmm0,%xmm0; ret"); }
#endif
static atomic_long calls, wrong;
static void handle(int unused) {
  struct timespec now, start;
  clock_gettime(CLOCK_MONOTONIC, &start);
  do clock_gettime(CLOCK_MONOTONIC, &now);
  while ((now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec < 10000000);
}
static void *run(void *unused) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
  event._sigev_un._tid = syscall(SYS_gettid);
  struct itimerspec every = {{0, 13000000}, {0, 13000000}};
  timer_t timer;
#ifdef ALTERNATE
  static char stack[65536];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, 0);
#endif
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
  sigaction(SIGRTMIN, &action, 0);
  timer_create(CLOCK_MONOTONIC, &event, &timer);
  timer_settime(timer, 0, &every, 0);
  for (;;) {
    for (int i = 0; i < 1000; i++) {
      double got = f(4.0);
      if (got != 2.0 && got != 3.0) atomic_fetch_add(&wrong, 1);
    }
    atomic_fetch_add(&calls, 1);
  }
  return unused;
}
int main(void) {
  char line[64];
  pthread_t t;
  setvbuf(stdout, 0, _IOLBF, 0);
  pthread_create(&t, 0, run, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    long c = atomic_load(&calls);
    while (atomic_load(&calls) < c + 2) ;
    printf("%ld\\n", atomic_load(&wrong));
  }
  return 0;
}`;

describe('a running thread in a signal handler that interrupted the first bytes of a function', () => {
  const newF = 'double new_f(double x) { return x == 4.0 ? 3.0 : 0.0; }';
  const cases: [string, string[], number][] = [
    ['stored entries', [], 0b10001],
    ['stored entries, and an alternate stack', ['-DALTERNATE'], 0b10001],
    ['closed entries', [lowAddresses], 0b10001],
    ['closed entries, and an alternate stack', [lowAddresses, '-DALTERNATE'], 0b10001],
  ];
  for (const [name, flags, boundaries] of cases) {
    it(
      `returns into code that it can go on with: ${name}`,
      inRuntimeSession(async (session) => {
        const process = await session.run(interrupted, { flags });
        const functions = [process.fix('f', 'new_f', { boundaries })];
        await process.patch(newF, {}, { functions });
        for (let round = 0; round < 25; round++) {
          await process.revert('f', round % 2);
          assert.equal(await process.ask(''), '0');
        }
      }),
    );
  }

  it(
    'is undisturbed where entries are closed by int3, also when it is in the way',
    inRuntimeSession(async (session) => {
      const process = await session.run(interrupted, { flags: [lowAddresses, '-DSHORT'] });
      const functions = [process.fix('f', 'new_f', { boundaries: 0b00011 })];
      for (let round = 0; round < 10; round++) {
        const file = process.patchFile(newF, {}, { functions });
        const answer = await process.request('patch', `file ${file}`);
        if (answer.ok) await process.request('revert', 'all');
        // What an interrupted call leaves on its stack cannot be told from a handler that has not returned.
        else assert.equal(answer.error?.code, 'thread-unresponsive');
        assert.equal(await process.ask(''), '0');
      }
    }),
  );
});

/** Beside a thread that never sleeps, memory holds what the signal frame of another one is: at the second instruction of
 * value(), of a breakpoint or of an interruption. */
const late = `
#include <pthread.h>
#include <stdio.h>
#include <string.h>
__attribute__((naked, noipa)) int value(int n) {
  __asm__("push %rbp; mov %rsp,%rbp; mov %edi,%eax; pop %rbp; ret");
}
static volatile unsigned long frame[32];
static void *turn(void *unused) { for (;;) ; return unused; }
int main(void) {
  char line[64];
  pthread_t thread;
  setvbuf(stdout, 0, _IOLBF, 0);
  pthread_create(&thread, 0, turn, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    frame[0] = (unsigned long)value + 1;
    frame[1] = 0x202;
    frame[2] = 0x33;
    frame[17] = !strncmp(line, "trap", 4) ? 5 : 14;
    frame[18] = 0x80;
    printf("%d\\n", value(1));
  }
  return 0;
}`;

describe('a thread that was not on a processor since a signal', () => {
  it(
    "is in nobody's way when that was the trap of a closed entry, and is when it was another",
    inRuntimeSession(async (session) => {
      notUnderSanitizers('their library can block SIGTRAP, so that threads are parked instead');
      const process = await session.run(late, { flags: [lowAddresses] });
      const functions = [process.fix('value', 'new_value', { boundaries: 0b10011 })];
      const newValue = 'int new_value(int n) { return n + 1; }';
      assert.equal(await process.ask('interruption'), '1');
      const early = process.patchFile(newValue, {}, { functions });
      await process.refused('thread-unresponsive', 'patch', `file ${early}`);
      assert.equal(await process.ask('trap'), '1');
      const [patched] = (await process.patch(newValue, {}, { functions })).functions;
      assert.equal(patched!.trampoline.method, 'int3');
      assert.equal(await process.ask('trap'), '2');
    }),
  );
});

/** main() waits inside outer(), which is on the stack until a line comes. */
const waiting = `
#include <stdio.h>
static char line[64];
__attribute__((noipa)) int inner(int n) { return fgets(line, sizeof line, stdin) ? n : -1; }
__attribute__((noipa)) int outer(int n) { int r = inner(n); return r < 0 ? r : r + 1; }
int main(void) {
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  for (;;) {
    int r = outer(10);
    if (r < 0) return 0;
    printf("%d\\n", r);
  }
}`;
/** One thread turns in turn() from `in` to `out`, another calls value() without pause. */
const turning = `
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
atomic_int inside, leave;
__attribute__((noipa)) int turn(int n) { return n; }
__attribute__((noipa)) int value(int n) { return n; }
static atomic_int sink, enter;
static void *call(void *unused) { for (;;) atomic_store(&sink, value(1)); return unused; }
static void *go(void *unused) {
  for (;;) {
    while (!atomic_load(&enter)) ;
    atomic_store(&enter, 0);
    turn(0);
  }
  return unused;
}
int main(void) {
  char line[64];
  pthread_t thread;
  setvbuf(stdout, 0, _IOLBF, 0);
  pthread_create(&thread, 0, call, 0);
  pthread_create(&thread, 0, go, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    int was = atomic_load(&inside);
    if (!strncmp(line, "in", 2)) { atomic_store(&enter, 1); while (atomic_load(&inside) == 0) ; printf("%d\\n", atomic_load(&inside)); }
    else { atomic_store(&leave, 1); while (atomic_load(&inside) != 0) ; atomic_store(&leave, 0); printf("%d\\n", was); }
  }
  return 0;
}`;
const turn = (version: number) => `
  extern int inside, leave;
  int new_value(int n) { return n + ${version}; }
  int new_turn(int n) {
    __atomic_store_n(&inside, ${version}, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&leave, __ATOMIC_SEQ_CST)) ;
    __atomic_store_n(&inside, 0, __ATOMIC_SEQ_CST);
    return n;
  }`;
const newOuter =
  'extern int inner(int); int new_outer(int n) { int r = inner(n); return r < 0 ? r : r + 2; }';

describe('code that is on a stack', () => {
  it(
    'is counted until it has been left',
    inRuntimeSession(async (session) => {
      const process = await session.run(waiting, { flags: ['-rdynamic'] });
      const [patched] = (await process.patch(newOuter, { outer: 'new_outer' })).functions;
      assert.equal(patched!.activeThreads, 1);
      assert.deepEqual(
        patched!.versions.map((v) => v.activeThreads),
        [1, 0],
      );
      assert.equal(await process.ask(''), '11');
      await process.ask('');
      const [left] = (await process.done('status')).functions;
      assert.equal(left!.activeThreads, 0);
      assert.deepEqual(
        left!.versions.map((v) => v.activeThreads),
        [0, 1],
      );
    }),
  );

  it(
    'is counted too when its thread never blocks',
    inRuntimeSession(async (session) => {
      const process = await session.run(
        `#include <pthread.h>
         #include <stdatomic.h>
         #include <stdio.h>
         static atomic_int stop;
         static pthread_t thread;
         __attribute__((noipa)) int step(int n) { return n + 1; }
         __attribute__((noipa)) int loop(int n) { while (!atomic_load(&stop)) n = step(n); return n; }
         static void *run(void *unused) { loop(0); return unused; }
         int main(void) {
           char line[64];
           setvbuf(stdout, 0, _IOLBF, 0);
           pthread_create(&thread, 0, run, 0);
           puts("ready");
           while (fgets(line, sizeof line, stdin)) {
             atomic_store(&stop, 1);
             pthread_join(thread, 0);
             puts("joined");
           }
           return 0;
         }`,
        { flags: ['-rdynamic'] },
      );
      const [patched] = (await process.patch('int new_loop(int n) { return n; }', { loop: 'new_loop' }))
        .functions;
      assert.equal(patched!.activeThreads, 1);
      assert.equal(await process.ask(''), 'joined');
      assert.equal((await process.done('status')).functions[0]!.activeThreads, 0);
    }),
  );

  it(
    'refuses a patch that guards it, by name',
    inRuntimeSession(async (session) => {
      const process = await session.run(waiting, { flags: ['-rdynamic'] });
      const guarded = (name: string) => ({
        guards: [{ name, start: process.address(name), length: process.size(name) }],
      });
      const file = process.patchFile(newOuter, { outer: 'new_outer' }, guarded('outer'));
      assert.match(await process.refused('caller-active', 'patch', `file ${file}`), /^outer/);
      assert.equal(await process.ask(''), '11');
      const unguarded = process.patchFile(newOuter, { outer: 'new_outer' }, { guards: [] });
      await process.done('patch', `file ${unguarded}`);
    }),
  );

  it(
    'keeps its patch in memory; a patch that nothing needs is unmapped, and comes back for a revert',
    inRuntimeSession(async (session) => {
      notUnderSanitizers(heapLikeStacks);
      const process = await session.run(waiting, { flags: ['-rdynamic'] });
      // Constants may be pointed to from anywhere: this one stays.
      const text =
        'extern int inner(int); const char *volatile said; int new_outer(int n) { said = "said"; return inner(n); }';
      await process.patch(text, { outer: 'new_outer' });
      await process.ask('');
      const first = (await process.patch(newOuter, { outer: 'new_outer' })).patches.at(-1)!.file;
      await process.ask('');
      await process.patch(newOuter.replace('+ 2', '+ 3'), { outer: 'new_outer' });
      const states = async () => (await process.done('status')).patches.map((patch) => patch.state);
      assert.deepEqual(await states(), ['superseded', 'superseded', 'live']);
      assert.equal(await process.ask(''), '12');
      await process.ask('');
      // Each request is followed by a search for what can go; one thread that runs at that moment puts it off.
      while ((await states())[1] !== 'unmapped') continue;
      assert.deepEqual(await states(), ['superseded', 'unmapped', 'live']);
      assert.equal(mappings(process.pid).filter((mapping) => mapping.path === first).length, 0);
      await process.revert('outer', 2);
      await process.ask('');
      assert.equal(await process.ask(''), '12');
      assert.equal((await states())[1], 'live');
    }),
  );

  it(
    'keeps its patch in memory beside threads that never sleep; others go when some have piled up',
    inRuntimeSession(async (session) => {
      notUnderSanitizers(heapLikeStacks);
      const process = await session.run(turning, { flags: ['-rdynamic'] });
      const [old, ...files] = Array.from({ length: 12 }, (_, n) =>
        process.patchFile(turn(n + 1), { turn: 'new_turn', value: 'new_value' }),
      );
      await process.done('patch', `file ${old}`);
      // One of two threads turns in the first version from now on, the other calls the newest again and again.
      assert.equal(await process.ask('in'), '1');
      for (const file of files) await process.done('patch', `file ${file}`);
      let states: string[];
      do states = (await process.done('status')).patches.map(({ state }) => state);
      while (states.filter((state) => state === 'unmapped').length < 7);
      assert.equal(states[0], 'superseded');
      assert.equal(states.at(-1), 'live');
      assert.equal(await process.ask('out'), '1');
      assert.equal(await process.ask('in'), '12');
    }),
  );

  it(
    'is looked for in time in a program that has terabytes, as the address sanitizer has for its shadow',
    inRuntimeSession(async (session) => {
      notUnderSanitizers('it gives programs no such places in memory', 'thread');
      const text = waiting.replace(
        'puts("ready");',
        `mmap(0, 14ul << 40, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED
           ? puts("no memory") : puts("ready");`,
      );
      const process = await session.run(`#include <sys/mman.h>\n${text}`, { flags: ['-rdynamic'] });
      assert.deepEqual(process.program.lines, ['ready']);
      for (const n of [1, 2, 3]) {
        await process.patch(newOuter.replace('+ 2', `+ ${n}`), { outer: 'new_outer' });
        await process.ask('');
      }
      assert.equal((await process.done('status')).functions[0]!.version, 3);
    }),
  );

  it(
    'is unmapped when nothing needs it, and in the end forgotten with its file',
    inRuntimeSession(async (session) => {
      notUnderSanitizers(heapLikeStacks);
      const process = await session.run(waiting, { flags: ['-rdynamic'] });
      const files = [1, 2].map((n) => {
        const built = process.patchFile(newOuter.replace('+ 2', `+ ${n}`), { outer: 'new_outer' });
        const file = join(process.controlDirectory, 'patches', `${n}.so`);
        copyFileSync(built, file);
        return file;
      });
      /** Lengths of the mapped parts of the patches' files. */
      const ofPatches = (): bigint[] =>
        mappings(process.pid).flatMap(({ path, start, end }) => (files.includes(path) ? [end - start] : []));
      let early: bigint[] = [];
      for (let round = 0; round < 100; round++) {
        // The search for what can go comes after an answer, and the next request may come before it.
        for (let done = false; !done;) {
          const { ok, error } = await process.request('patch', `file ${files[round % 2]}`);
          assert.ok(ok || error?.code === 'address-taken', error?.message);
          done = ok;
        }
        const isTidy = ({ patches }: Status) =>
          patches.every(({ state }, i) => state === (i < patches.length - 1 ? 'unmapped' : 'live'));
        while (!isTidy(await process.done('status')));
        if (round === 10) early = ofPatches();
      }
      const { patches, functions } = await process.done('status');
      assert.equal(patches.length, 65);
      assert.deepEqual([patches[0]!.id, patches.at(-1)!.id], [36, 100]);
      assert.deepEqual(
        functions[0]!.versions.map(({ version }) => version),
        [0, ...Array.from({ length: 65 }, (_, i) => 36 + i)],
      );
      // The kernel joins and parts the mappings of memory without a file, in no way that counts patches.
      assert.deepEqual(ofPatches(), early);
      assert.match(
        await process.refused('unknown-version', 'revert', `function ${functions[0]!.address} 3`),
        /version 3/,
      );
      await process.revert('outer', 41);
      await process.revert('outer', 0);
      assert.deepEqual(
        files.map((file) => existsSync(file)),
        [true, true],
        'newer patches are of the same files',
      );
    }),
  );
});
