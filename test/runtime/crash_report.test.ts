// The last word of a process that crashes: what it says, and that the process ends as it would have without it, by the
// same signal, after its own handlers. That the core is the same is shown in cores.test.ts.
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { program } from '../support/guest_program';
import { inRuntimeSession, type RuntimeProcess } from '../support/runtime_process';

const source = program(
  '',
  `line[strcspn(line, "\\n")] = 0;
   perform(line);`,
  `#include <setjmp.h>
   #include <sys/resource.h>
   #include <sys/signalfd.h>
   static volatile int zero;
   static sigjmp_buf back;
   __attribute__((noipa)) void crash(void) { *(volatile int *)8 = 1; }
   __attribute__((noipa)) int recurse(int n) { volatile char room[200]; room[0] = n; return recurse(n + 1) + room[0]; }
   static void last(int number) { write(1, "own handler\\n", 12); signal(number, SIG_DFL); raise(number); }
   static void survives(int number) { siglongjmp(back, number); }
   volatile int started, taken;
   static int signals(void) { sigset_t set; sigemptyset(&set); sigaddset(&set, SIGABRT); sigaddset(&set, SIGSEGV); sigprocmask(SIG_BLOCK, &set, 0);
     return signalfd(-1, &set, 0); }
   static void *crashing(void *barrier) { pthread_barrier_wait(barrier); crash(); return 0; }
   static void perform(const char *what) {
     pthread_t thread; pthread_barrier_t barrier; struct sigaction action; int status; pid_t child;
     if (!strcmp(what, "null")) crash();
     if (!strcmp(what, "abort")) abort();
     if (!strcmp(what, "divide")) zero = 1000 / zero;
     if (!strcmp(what, "heap")) { volatile size_t *block = malloc(3000); block[375] = 1; *(volatile char *)malloc(1 << 15) = 0; }
     if (!strcmp(what, "threads")) {
       pthread_barrier_init(&barrier, 0, 4);
       for (int i = 0; i < 4; i++) pthread_create(&thread, 0, crashing, &barrier);
       pthread_join(thread, 0);
     }
     if (!strcmp(what, "own")) { signal(SIGSEGV, last); crash(); }
     if (!strcmp(what, "survive")) {
       memset(&action, 0, sizeof action); action.sa_handler = survives;
       sigaction(SIGSEGV, &action, 0);
       if (!sigsetjmp(back, 1)) crash();
     }
     if (!strcmp(what, "query")) {
       sigaction(SIGSEGV, 0, &action);
       void (*before)(int) = signal(SIGBUS, SIG_DFL);
       printf("%s %s\\n", action.sa_handler == SIG_DFL ? "default" : "taken", before == SIG_DFL ? "default" : "taken");
     }
     if (!strcmp(what, "child")) {
       if (!(child = fork())) crash();
       waitpid(child, &status, 0); printf("signal %d\\n", WTERMSIG(status));
       if (!(child = vfork())) { crash(); }
       waitpid(child, &status, 0); printf("signal %d\\n", WTERMSIG(status));
     }
     if (!strncmp(what, "take", 4)) { // during the constructor of a patch for "take late"
       struct signalfd_siginfo info;
       int from = signals();
       while (what[4] && !started) usleep(1000);
       puts("waiting");
       printf("%d\\n", read(from, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0);
       taken = what[4];
     }
     if (!strcmp(what, "unblock")) { // by a signal that comes while all threads of the program block it
       sigset_t set;
       signals();
       puts("waiting");
       for (sigemptyset(&set); !sigismember(&set, SIGSEGV); usleep(100000)) sigpending(&set);
       sigemptyset(&set); sigaddset(&set, SIGSEGV); sigprocmask(SIG_UNBLOCK, &set, 0);
     }
     if (!strcmp(what, "overflow")) {
       static char room[65536]; stack_t own = {room, 0, sizeof room};
       sigaltstack(&own, 0);
       recurse(0);
     }
   }`,
);

interface Report {
  signal: number;
  /** si_code of sigaction(2); 0: by kill(). */
  code: number;
  tid: number;
  address: string;
  registers: string[];
  stack: { address: string; bytes: string };
  maps: string;
}

const SIGILL = 4;
const SIGABRT = 6;
const SIGFPE = 8;
const SIGSEGV = 11;

const reportOf = (process: RuntimeProcess): Report | undefined => {
  const file = join(process.controlDirectory, 'crash.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : undefined;
};

/** Where the instruction is that crashed, from the start of a function. */
const offsetIn = (report: Report, start: bigint) => Number(BigInt(report.registers[16]!) - start);

describe('a process that crashes', () => {
  const start = inRuntimeSession;
  const ended = async (process: RuntimeProcess, command: string): Promise<number | string> => {
    process.program.send(command);
    return process.program.exit();
  };

  it(
    'says by which signal and where, and ends by that signal',
    start(async (session) => {
      const executable = session.compile('program', source);
      for (const [command, signal, name] of [
        ['null', SIGSEGV, 'SIGSEGV'],
        ['abort', SIGABRT, 'SIGABRT'],
        ['divide', SIGFPE, 'SIGFPE'],
        // In malloc, whose lock the thread holds.
        ['heap', SIGABRT, 'SIGABRT'],
        ['threads', SIGSEGV, 'SIGSEGV'],
      ] as const) {
        const process = await session.start(executable);
        const [crash, size] = [process.address('crash'), process.size('crash')];
        assert.equal(await ended(process, command), name, command);
        const report = reportOf(process);
        assert.equal(report?.signal, signal, command);
        assert.match(report.maps, /program/);
        assert.ok(report.stack.bytes.length > 100, command);
        if (signal !== SIGSEGV) continue;
        assert.equal(report.address, '0x8');
        const offset = offsetIn(report, crash);
        assert.ok(offset >= 0 && offset < size, `${command}: ${offset} in crash`);
      }
      const process = await session.start(executable);
      process.signal('SIGILL');
      assert.equal(await process.program.exit(), 'SIGILL');
      assert.equal(reportOf(process)?.signal, SIGILL);
    }),
  );

  it(
    'comes last: handlers of the program see what they would see, and are not told of it',
    start(async (session) => {
      const executable = session.compile('program', source);
      const own = await session.start(executable);
      assert.equal(await own.ask('query'), 'default default');
      assert.equal(await own.program.line(), '1');
      assert.equal(await ended(own, 'own'), 'SIGSEGV');
      assert.ok(own.program.lines.includes('own handler'));
      assert.equal(reportOf(own)?.signal, SIGSEGV);

      const survivor = await session.start(executable);
      assert.equal(await survivor.ask('survive'), '1');
      assert.equal(reportOf(survivor), undefined);
    }),
  );

  it(
    'says nothing of a child that has no runtime yet, and nothing where it is told not to',
    start(async (session) => {
      const executable = session.compile('program', source);
      const parent = await session.start(executable);
      assert.equal(await parent.ask('child'), `signal ${SIGSEGV}`);
      assert.equal(await parent.program.line(), `signal ${SIGSEGV}`);
      assert.equal(reportOf(parent), undefined);

      const silent = await session.start(executable, { env: { HOT_FIX_CRASH_REPORT: '0' } });
      assert.equal(await ended(silent, 'null'), 'SIGSEGV');
      assert.equal(reportOf(silent), undefined);

      const left = await session.start(executable);
      await left.done('detach');
      assert.equal(await ended(left, 'null'), 'SIGSEGV');
      assert.equal(reportOf(left), undefined);
    }),
  );

  it(
    'leaves a signal that was sent to the process to who takes it, also while a patch is being loaded',
    start(async (session) => {
      const process = await session.run(source, { flags: ['-rdynamic'] });
      for (const [name, number] of [
        ['SIGABRT', SIGABRT],
        ['SIGSEGV', SIGSEGV],
      ] as const)
        for (const command of ['take', 'take late']) {
          const patched =
            command === 'take'
              ? undefined
              : process.patch(
                  `#include <unistd.h>
                   extern volatile int started, taken;
                   int object;
                   void construct(void *at) {
                     started = 1; while (!taken) usleep(1000); started = taken = 0;
                   }
                   int new_value(int n) { return n + object; }`,
                  { value: 'new_value' },
                  {
                    permanent: true,
                    objects: [{ name: 'object', construct: 'construct', argument: 'object' }],
                  },
                );
          assert.equal(await process.ask(command), 'waiting');
          process.signal(name);
          assert.equal(await process.program.line(), `${number}`, `${name}, ${command}`);
          assert.equal(await process.program.line(), '1');
          await patched;
        }
      assert.equal(await process.ask(''), '1');
      assert.equal(reportOf(process), undefined);
    }),
  );

  it(
    'tells of a signal that was sent to the process as it was sent, whichever thread met it first',
    start(async (session) => {
      const process = await session.run(source);
      assert.equal(await process.ask('unblock'), 'waiting');
      process.signal('SIGSEGV');
      assert.equal(await process.program.exit(), 'SIGSEGV');
      const { signal, code, tid } = reportOf(process)!;
      assert.deepEqual([signal, code, tid], [SIGSEGV, 0, process.pid]);
    }),
  );

  it(
    'tells of a stack that overflowed, where the thread has another for its handlers',
    start(async (session) => {
      const process = await session.run(source);
      const recurse = process.address('recurse');
      assert.equal(await ended(process, 'overflow'), 'SIGSEGV');
      const report = reportOf(process)!;
      assert.ok(offsetIn(report, recurse) < process.size('recurse'));
      assert.ok(report.stack.bytes.length > 1000);
    }),
  );
});
