// The runtime as a guest: programs that fork, exec, have signal handlers of their own, end; and its directory.
import { strict as assert } from 'node:assert';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { inRuntimeSession, RuntimeProcess, type RuntimeSession } from '../support/runtime_process';
import { addTo, embedded, init, program, returning, workers } from '../support/guest_program';
import { notUnderSanitizers } from '../support/sanitizers';

describe('a program with the runtime', () => {
  for (const runtime of ['embedded', 'preloaded', 'both'] as const) {
    it(
      `has one worker and one directory when it is ${runtime}`,
      inRuntimeSession(async (session) => {
        const flags = runtime === 'preloaded' ? [] : ['-DEMBEDDED'];
        const process = await session.run(program(`${init} ${init}`), { runtime, flags });
        assert.equal(workers(process).length, 1);
        assert.deepEqual(workers(process), [String(process.identity.workerTid)]);
        assert.equal(process.identity.exe, process.executable);
        await addTo(process, 1);
        assert.equal(await process.ask(''), '2');
      }),
    );
  }

  it(
    'leaves no directory when it runs another in its place that ends at once',
    inRuntimeSession(async (session) => {
      const process = await session.run(`
        #include <stdio.h>
        #include <unistd.h>
        int main(void) {
          puts("ready");
          fflush(stdout);
          getchar();
          execl("/bin/true", "true", (char *)0);
          return 1;
        }`);
      process.program.send('');
      assert.equal(await process.program.exit(), 0);
      assert.equal(existsSync(process.controlDirectory), false);
    }),
  );

  it(
    'removes its directory when it ends, and prints nothing',
    inRuntimeSession(async (session) => {
      const process = await session.run(program(''));
      await addTo(process, 1);
      process.program.send('end');
      assert.equal(await process.program.exit(), 0);
      assert.deepEqual(readdirSync(session.path('run')), []);
      assert.deepEqual(process.program.lines, ['ready']);
      assert.deepEqual(process.program.errorLines, []);
    }),
  );

  it(
    'sweeps the directories of processes that ended without removing theirs',
    inRuntimeSession(async (session) => {
      const killed = await session.run(program(''));
      await killed.program.stop();
      assert.equal(existsSync(killed.controlDirectory), true);
      const next = await session.start(killed.executable);
      await next.done('status');
      assert.equal(existsSync(killed.controlDirectory), false);
    }),
  );

  it(
    'uses another directory where its own cannot be trusted, and says why',
    inRuntimeSession(async (session) => {
      const attempts: [(user: string) => void, string][] = [
        [
          (user) => {
            mkdirSync(session.path('elsewhere'), { mode: 0o700 });
            symlinkSync(session.path('elsewhere'), user);
          },
          'is not a directory',
        ],
        [
          (user) => {
            mkdirSync(user);
            chmodSync(user, 0o755);
          },
          'may be used by others (mode 755)',
        ],
        [(user) => writeFileSync(user, ''), 'is not a directory'],
      ];
      const executable = session.compile('program', program(init), embedded);
      for (const [i, [prepare, why]] of attempts.entries()) {
        const base = session.path(`base-${i}`);
        mkdirSync(base, { mode: 0o700 });
        const user = join(base, `hot_fix-${process.getuid!()}`);
        prepare(user);
        const started = await session.start(executable, { runtime: 'none', env: { XDG_RUNTIME_DIR: base } });
        assert.equal(await started.ask(''), '1');
        if (!lstatSync(user).isFile()) assert.deepEqual(readdirSync(user), []);
        const directory = `/tmp/hot_fix-${process.getuid!()}/${started.pid}`;
        const identity = JSON.parse(readFileSync(join(directory, 'process.json'), 'utf8')) as object;
        assert.equal((identity as { passedOver: string }).passedOver, `${user} ${why}`);
        started.program.send('end');
        assert.equal(await started.program.exit(), 0);
        assert.equal(existsSync(directory), false);
      }
    }),
  );

  it(
    'is told when it cannot be patched, and can ask again',
    inRuntimeSession(async (session) => {
      const again = `
        int result = init_hot_fix_signal();
        printf("%d %s\\n", result, strerror(errno));
        struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &limit);
        printf("%d\\n", init_hot_fix_signal());`;
      const headers = '#include <errno.h>\n#include <sys/resource.h>';
      const executable = session.compile('program', program(again, '', headers), embedded);
      const started = await session.startCommand('prlimit', ['--fsize=0:unlimited', executable]);
      assert.equal(await started.line(), '-1 File too large');
      assert.equal(await started.line(), '0');
      const process = new RuntimeProcess(session, started, executable, started.pid);
      assert.equal(process.identity.pid, started.pid);
      assert.equal(await started.line(), 'ready');
      await addTo(process, 1);
      assert.equal(await process.ask(''), '2');
    }),
  );

  it(
    'keeps its signals when no thread can be started',
    inRuntimeSession(async (session) => {
      notUnderSanitizers('they need memory themselves at that moment');
      const again = `
        struct rlimit all, none;
        getrlimit(RLIMIT_AS, &all);
        none = all;
        none.rlim_cur = 1;
        setrlimit(RLIMIT_AS, &none);
        int result = init_hot_fix_signal();
        setrlimit(RLIMIT_AS, &all);
        printf("%d\\n", result);
        if (fgets(line, sizeof line, stdin)) printf("%d\\n", init_hot_fix_signal());`;
      const headers = '#include <sys/resource.h>';
      const executable = session.compile('program', program(again, '', headers), embedded);
      const killed = await session.startCommand(executable, []);
      assert.equal(await killed.line(), '-1');
      process.kill(killed.pid, 'SIGUSR1');
      assert.equal(await killed.exit(), 'SIGUSR1');
      const started = await session.startCommand(executable, []);
      assert.equal(await started.line(), '-1');
      started.send('a');
      assert.equal(await started.line(), '0');
      const patched = new RuntimeProcess(session, started, executable, started.pid);
      await addTo(patched, 1);
      assert.equal(await started.line(), 'ready');
      assert.equal(await patched.ask(''), '2');
    }),
  );

  it(
    'keeps others out of its directory, whatever the umask',
    inRuntimeSession(async (session) => {
      const process = await session.run(
        program(`umask(0777); ${init}`, '', '#include <sys/stat.h>'),
        embedded,
      );
      for (const path of [dirname(process.controlDirectory), process.controlDirectory]) {
        assert.equal(statSync(path).mode & 0o777, 0o700);
      }
      for (const name of ['requests', 'answers', 'patches']) {
        assert.equal(statSync(join(process.controlDirectory, name)).mode & 0o777, 0o700);
      }
      assert.equal(statSync(join(process.controlDirectory, 'process.json')).mode & 0o777, 0o600);
      await process.done('status');
    }),
  );
});

describe('a program that owns signals', () => {
  const handles = (signal: string) =>
    program(
      `struct sigaction a = {0}; a.sa_handler = handle; a.sa_flags = SA_RESTART; sigaction(${signal}, &a, 0); ${init}`,
      'if (!strncmp(line, "raise", 5)) { raise(SIGTRAP); continue; }',
      'static void handle(int s) { const char *t = s == SIGTRAP ? "trap\\n" : "user\\n"; write(1, t, 5); }',
    );

  it(
    'keeps its SIGUSR1, and is patched all the same',
    inRuntimeSession(async (session) => {
      const process = await session.run(handles('SIGUSR1'), embedded);
      process.signal('SIGUSR1');
      assert.equal(await process.program.line(), 'user');
      await addTo(process, 1);
      assert.equal(await process.ask(''), '2');
      process.signal('SIGUSR1');
      assert.equal(await process.program.line(), 'user');
    }),
  );

  it(
    'can take SIGUSR1 later',
    inRuntimeSession(async (session) => {
      const process = await session.run(handles('SIGUSR1').replace(init, ''), { runtime: 'preloaded' });
      await addTo(process, 1);
      assert.equal(await process.ask(''), '2');
      process.signal('SIGUSR1');
      assert.equal(await process.program.line(), 'user');
    }),
  );

  it(
    'keeps its SIGTRAP handler, installed before or between patches',
    inRuntimeSession(async (session) => {
      const process = await session.run(handles('SIGTRAP'), embedded);
      await addTo(process, 1);
      assert.equal(await process.ask('raise'), 'trap');
      const later = await session.run(
        program(
          '',
          `if (!strncmp(line, "handle", 6)) signal(SIGTRAP, handle);
           if (!strncmp(line, "raise", 5)) { raise(SIGTRAP); __asm__("int3"); continue; }`,
          'static void handle(int s) { (void)s; write(1, "trap\\n", 5); }',
        ),
      );
      await addTo(later, 1);
      await later.ask('handle');
      await addTo(later, 2);
      assert.equal(await later.ask('raise'), 'trap');
      assert.equal(await later.program.line(), 'trap');
      assert.equal(await later.ask(''), '3');
    }),
  );

  it(
    'loses none of the handlers that it installs while an entry is closed',
    inRuntimeSession(async (session) => {
      notUnderSanitizers('their sigaction stands before that of the runtime, which parks the threads then');
      const process = await session.run(
        program(
          'pthread_t t; pthread_create(&t, 0, install, 0);',
          `if (!strncmp(line, "lost", 4)) {
             long c = atomic_load(&rounds);
             while (atomic_load(&rounds) < c + 2) ;
             printf("%ld\\n", atomic_load(&lost));
             continue;
           }`,
          `#include <stdatomic.h>
           __attribute__((naked, noipa)) int entry(int n) {
             __asm__("push %rbp; mov $7,%eax; pop %rbp; ret");
           }
           static atomic_long rounds, lost;
           static void first(int s) { (void)s; }
           static void second(int s) { (void)s; }
           static void *install(void *unused) {
             struct sigaction full = {0}, was;
             sigfillset(&full.sa_mask);
             for (long i = 0;; i++) {
               full.sa_handler = i % 2 ? first : second;
               sigaction(SIGUSR2, &full, 0);
               for (int j = 0; j < 20; j++) {
                 sigaction(SIGUSR2, 0, &was);
                 if (was.sa_handler == full.sa_handler) continue;
                 usleep(1000); /* it is put back at once, or never */
                 sigaction(SIGUSR2, 0, &was);
                 if (was.sa_handler != full.sa_handler) atomic_fetch_add(&lost, 1);
                 break;
               }
               atomic_fetch_add(&rounds, 1);
             }
             return unused;
           }`,
        ),
        { flags: ['-no-pie'] },
      );
      const functions = [process.fix('entry', 'new_entry', { boundaries: 0b00011 })];
      const [patched] = (await process.patch('int new_entry(int n) { return n; }', {}, { functions }))
        .functions;
      assert.equal(patched!.trampoline.method, 'int3');
      for (let round = 0; round < 100; round++) await process.revert('entry', round % 2);
      assert.equal(await process.ask('lost'), '0');
    }),
  );

  it(
    'gets a SIGTRAP that is sent while it is where the trap of a closed entry would have been',
    inRuntimeSession(async (session) => {
      notUnderSanitizers('their library can block SIGTRAP, so that threads are parked instead');
      const process = await session.run(
        program(
          `struct sigaction action = {.sa_sigaction = leave, .sa_flags = SA_SIGINFO};
           sigaction(SIGTRAP, &action, 0);`,
          `if (!strncmp(line, "send", 4)) {
             pthread_t t;
             pthread_create(&t, 0, turn, 0);
             while (!turning) ;
             while (!left) { pthread_kill(t, SIGTRAP); usleep(1000); }
             pthread_join(t, 0);
             puts("left");
             continue;
           }`,
          `#include <ucontext.h>
           __attribute__((naked, noipa)) int entry(int n) {
             __asm__("push %rbp; jmp .; pop %rbp; mov %edi,%eax; ret");
           }
           static volatile int turning, left;
           static void *turn(void *unused) { turning = 1; entry(1); return unused; }
           static void leave(int s, siginfo_t *i, void *context) {
             greg_t *counter = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
             (void)s, (void)i;
             if (*counter != (greg_t)entry + 1) return;
             *counter += 2;
             left = 1;
           }`,
        ),
        { flags: ['-no-pie'] },
      );
      const functions = [process.fix('entry', 'new_entry', { boundaries: 0b11011 })];
      const [patched] = (await process.patch('int new_entry(int n) { return n; }', {}, { functions }))
        .functions;
      assert.equal(patched!.trampoline.method, 'int3');
      await process.revert('entry', 0);
      assert.equal(await process.ask('send'), 'left');
    }),
  );

  it(
    'still ends by a SIGTRAP that nobody handles',
    inRuntimeSession(async (session) => {
      const process = await session.run(program('', 'if (!strncmp(line, "trap", 4)) __asm__("int3");'));
      await addTo(process, 1);
      process.program.send('trap');
      assert.equal(await process.program.exit(), 'SIGTRAP');
    }),
  );

  it(
    'gets the doorbell that HOT_FIX_SIGNAL names',
    inRuntimeSession(async (session) => {
      const process = await session.run(program(''), { env: { HOT_FIX_SIGNAL: 'USR2' } });
      assert.equal(process.identity.signal, 12);
      await addTo(process, 1);
      assert.equal(await process.ask(''), '2');
    }),
  );
});

describe('a hardened system', () => {
  it(
    'that forbids writable code is patched through /proc/self/mem',
    inRuntimeSession(async (session: RuntimeSession) => {
      const process = await session.run(
        program('printf("%d\\n", prctl(65, 1, 0, 0, 0)); /* PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN */'),
      );
      await process.program.line('ready');
      const [patched] = (await addTo(process, 1)).functions;
      assert.equal(await process.ask(''), '2');
      assert.equal(patched!.pages[0]!.through, '/proc/self/mem');
      assert.deepEqual(patched!.pages[0]!.calls, [
        { protection: 'PROT_READ|PROT_WRITE|PROT_EXEC', result: -1, errno: 13 },
      ]);
      const [far] = (
        await process.patch(returning(7), { value: 'new_value' }, { address: 0x7000_0000_0000n })
      ).functions;
      assert.equal(far!.trampoline.kind, 'jmp-rel32+island');
      assert.equal(await process.ask(''), '8');
    }),
  );
});
