// Threads that the runtime holds after a crash: when it does, what else goes on, and that the process ends as it would have
// when nobody attends any more. What the ways on come to is in test/engine/held.test.ts; that the
// core is the same is shown in cores.test.ts.
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { program } from '../support/guest_program';
import { documents, engine, heldThread, hold, letCrash, lines } from '../support/held';
import { inRuntimeSession } from '../support/runtime_process';

const source = program(
  '',
  `line[strcspn(line, "\\n")] = 0;
   perform(line);`,
  `#include <sys/mman.h>
   static volatile int *page;
   __attribute__((noipa)) void crash(void) { *(volatile int *)8 = 1; }
   __attribute__((noipa)) int recurse(int n) { volatile char room[200]; room[0] = n; return recurse(n + 1) + room[0]; }
   static void last(int number) { write(1, "own handler\\n", 12); signal(number, SIG_DFL); raise(number); }
   static void here(int number) { (void)number;
     const char *where = gettid() == getpid() ? "first thread\\n" : "other thread\\n"; write(1, where, 13); }
   static void *crashing(void *unused) { crash(); return unused; }
   static void *reading(void *unused) { *page; write(1, "read\\n", 5); return unused; }
   static void *idling(void *unused) { for (;;) pause(); return unused; }
   static void *overflowing(void *unused) {
     stack_t own = {malloc(65536), 0, 65536}; sigaltstack(&own, 0); recurse(0); return unused; }
   static void start(void *(*what)(void *)) { pthread_t thread; pthread_create(&thread, 0, what, 0); pthread_detach(thread); }
   static void perform(const char *what) {
     int status; pid_t child;
     if (!strcmp(what, "crash")) crash();
     if (!strcmp(what, "thread")) start(crashing);
     if (!strcmp(what, "overflow")) start(overflowing);
     if (!strcmp(what, "idle")) { signal(SIGUSR2, here); start(idling); }
     if (!strcmp(what, "read")) { page = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); start(reading); }
     if (!strcmp(what, "allow")) mprotect((void *)page, 4096, PROT_READ);
     if (!strcmp(what, "own")) { signal(SIGSEGV, last); start(crashing); }
     if (!strcmp(what, "child")) {
       if (!(child = fork())) { usleep(100000); crash(); }
       waitpid(child, &status, 0); printf("signal %d\\n", WTERMSIG(status));
     }
   }`,
);

describe('a thread that has crashed', () => {
  const start = inRuntimeSession;

  it(
    'is held only where that was asked for: all, or what is patched',
    start(async (session) => {
      const executable = session.compile('program', source);
      const patched = await session.start(executable);
      await hold(patched, 'patched');
      patched.program.send('thread');
      assert.equal(await patched.program.exit(), 'SIGSEGV');
      assert.ok(existsSync(join(patched.controlDirectory, 'crash.json')));

      const off = await session.start(executable);
      await hold(off, 'all');
      await hold(off, 'off');
      off.program.send('thread');
      assert.equal(await off.program.exit(), 'SIGSEGV');

      const deaf = await session.start(executable, { env: { HOT_FIX_CRASH_REPORT: '0' } });
      const message = await deaf.refused('cannot-hold', 'hold', 'mode all', engine(globalThis.process.pid));
      assert.match(message, /HOT_FIX_CRASH_REPORT=0/);
      const foreign = engine(globalThis.process.pid).replace(/pid:\[\d+\]/, 'pid:[1]');
      await deaf.refused('cannot-hold', 'hold', 'mode all', foreign);
    }),
  );

  it(
    'waits while others work, patches are loaded and children forked; it is not let go wrongly, and not detached from',
    start(async (session) => {
      const process = await session.run(source);
      await hold(process, 'all');
      assert.equal(await process.ask('read'), '1');
      const thread = await heldThread(process);
      assert.equal(thread.signal, 11);
      assert.equal(thread.fault, true);
      await process.patch('int new_value(int n) { return n + 41; }', { value: 'new_value' });
      assert.equal(await process.ask(''), '42');
      // The child has neither the thread nor an engine.
      assert.equal(await process.ask('child'), 'signal 11');
      assert.equal(await process.program.line(), '42');
      await process.refused('thread-held', 'detach');
      await process.refused('not-held', 'resume', `thread ${thread.tid}`, 'held 77', 'way instruction');
      const pointer = `register 7 ${thread.registers[7]}`;
      for (const counter of ['0x8', thread.registers[16]!])
        await process.refused(
          'way-not-offered',
          'resume',
          ...lines(thread, 'way return', pointer, `register 16 ${counter}`),
        );
      assert.equal(await process.ask('allow'), '42');
      await process.done('resume', ...lines(thread, 'way instruction'));
      assert.equal(await process.program.line(), 'read');
      assert.deepEqual(documents(process), []);
    }),
  );

  it(
    'runs no handler of the program, before which the runtime is never',
    start(async (session) => {
      const process = await session.run(source);
      await hold(process, 'all');
      await process.ask('idle');
      process.program.send('crash');
      const thread = await heldThread(process);
      assert.equal(thread.tid, process.pid);
      process.signal('SIGUSR2');
      assert.equal(await process.program.line(), 'other thread');
      letCrash(process, thread);
      assert.equal(await process.program.exit(), 'SIGSEGV');

      const own = await session.start(session.path('program'));
      await hold(own, 'all');
      own.program.send('own');
      await own.program.line(/own handler/);
      assert.equal((await heldThread(own)).fault, false);
    }),
  );

  it(
    'is held on a stack that overflowed, where it has another',
    start(async (session) => {
      const process = await session.run(source);
      await hold(process, 'all');
      await process.ask('overflow');
      const thread = await heldThread(process);
      assert.ok(BigInt(thread.registers[16]!) - process.address('recurse') < process.size('recurse'));
      assert.equal(await process.ask(''), '1');
    }),
  );

  it(
    'crashes when nobody has come back who attended, and when the time is over',
    start(async (session) => {
      const executable = session.compile('program', source);
      const attendant = spawn('sleep', ['1000']);
      const held = async () => {
        const process = await session.start(executable);
        await process.done('hold', 'mode all', engine(attendant.pid!));
        await process.ask('read');
        await heldThread(process);
        return process;
      };
      const left = await held();
      const cameBack = await held();
      // Started to be held, for as long as whoever started it may need to attend.
      const unattended = await session.start(executable, { env: { HOT_FIX_HOLD: 'all' } });
      await unattended.ask('thread');
      await heldThread(unattended);
      const later = await session.start(executable);
      await later.done('hold', 'mode all', engine(attendant.pid!));
      const ended = once(attendant, 'exit');
      attendant.kill('SIGKILL');
      await ended;
      // As the window does that was loaded again.
      await hold(cameBack, 'all');
      later.program.send('thread');
      assert.equal(await later.program.exit(), 'SIGSEGV');
      assert.deepEqual(documents(later), []);
      assert.equal((await heldThread(left)).fault, true);
      assert.equal(await left.program.exit(), 'SIGSEGV');
      assert.ok(existsSync(join(left.controlDirectory, 'crash.json')));
      assert.equal(await unattended.program.exit(), 'SIGSEGV');
      await cameBack.ask('allow');
      await cameBack.done('resume', ...lines(await heldThread(cameBack), 'way instruction'));
      assert.equal(await cameBack.program.line(), 'read');

      const late = await session.start(executable);
      await hold(late, 'all', 'limit 1');
      await late.ask('thread');
      assert.equal(await late.program.exit(), 'SIGSEGV');
    }),
  );
});
