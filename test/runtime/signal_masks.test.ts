// Patching while threads run with all signals blocked for a part of their time, in each way that a program can do so.
// A trap that such a thread met would end the process.
import { strict as assert } from 'node:assert';
import { type Answer, inRuntimeSession, type RuntimeProcess } from '../support/runtime_process';

/** A thread calls value() without pause; how its signals are blocked meanwhile is chosen by a macro. */
const source = `
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
__attribute__((naked, noipa)) int value(int n) {
  __asm__("push %rbp; mov %rsp,%rbp; mov %edi,%eax; pop %rbp; ret");
}
static atomic_long calls, wrong;
static void call(void) {
  for (int i = 0; i < 50; i++) {
    int got = value(i) - i;
    if (got != 0 && got != 1) atomic_fetch_add(&wrong, 1);
  }
  atomic_fetch_add(&calls, 1);
}
static sigset_t all, none;
#if defined OWN_CALL
static void raw(int how, const sigset_t *set) {
  long result;
  register long size __asm__("r10") = 8;
  __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_rt_sigprocmask), "D"(how), "S"(set), "d"(0), "r"(size)
                   : "rcx", "r11", "memory");
}
#else
static void raw(int how, const sigset_t *set) { syscall(SYS_rt_sigprocmask, how, set, 0, 8); }
#endif
static void handle(int unused) { call(); }
static void install(int signal, int full) {
  struct sigaction a = {.sa_handler = handle};
  if (full) a.sa_mask = all;
  sigaction(signal, &a, 0);
}
static pthread_t thread;
#if defined WAIT
/** Keeps the thread's system call being interrupted by the handler, which runs under the call's own mask. */
static void *kick(void *unused) {
  setpriority(PRIO_PROCESS, syscall(SYS_gettid), 10);
  for (;;) { long c = atomic_load(&calls); pthread_kill(thread, SIGUSR2); while (atomic_load(&calls) == c) ; }
  return unused;
}
#endif
#if defined CONTEXT
static ucontext_t here, there;
static char stack[65536];
static void run_there(void) { for (;;) { call(); swapcontext(&there, &here); } }
#endif
static void *run(void *unused) {
  setpriority(PRIO_PROCESS, syscall(SYS_gettid), 10);
#if defined CONTEXT
  getcontext(&there);
  there.uc_sigmask = all;
  there.uc_stack = (stack_t){.ss_sp = stack, .ss_size = sizeof stack};
  makecontext(&there, run_there, 0);
#elif defined WAIT
  sigset_t but_one = all;
  sigdelset(&but_one, SIGUSR2);
  int queue = epoll_create1(0);
  struct epoll_event event;
  (void)queue, (void)event;
  raw(SIG_BLOCK, &(sigset_t){{1 << (SIGUSR2 - 1)}});
#elif defined TRAP
#if defined FULL
  install(SIGTRAP, 1);
#else
  install(SIGTRAP, 0);
#endif
#endif
  for (;;) {
#if defined LIBC
    pthread_sigmask(SIG_SETMASK, &all, 0);
    call();
    sigprocmask(SIG_SETMASK, &none, 0);
    call();
#elif defined RAW
    raw(SIG_SETMASK, &all);
    call();
    raw(SIG_SETMASK, &none);
    call();
#elif defined CONTEXT
    swapcontext(&here, &there);
    call();
#elif defined ACTION
    install(SIGUSR2, 1);
    raise(SIGUSR2);
    install(SIGUSR2, 0);
    raise(SIGUSR2);
#elif defined TRAP
    __asm__ volatile("int3");
    call();
#elif defined WAIT
    WAIT;
#endif
  }
  return unused;
}
int main(void) {
  char line[64];
  sigfillset(&all);
  sigemptyset(&none);
#if defined WAIT
  install(SIGUSR2, 0);
#endif
  setvbuf(stdout, 0, _IOLBF, 0);
  pthread_create(&thread, 0, run, 0);
#if defined WAIT
  pthread_t kicking;
  pthread_create(&kicking, 0, kick, 0);
#endif
  while (atomic_load(&calls) < 10) ;
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    long c = atomic_load(&calls);
    while (atomic_load(&calls) < c + 4) ;
    printf("%ld\\n", atomic_load(&wrong));
  }
  return 0;
}`;

const ways: Record<string, string[]> = {
  'by the functions of libc': ['-DLIBC'],
  'by the system call': ['-DRAW'],
  'by the system call in its own code': ['-DRAW', '-DOWN_CALL'],
  'in a handler under the mask of ppoll': ['-DWAIT=ppoll(0,0,0,&but_one)'],
  'in a handler under the mask of pselect': ['-DWAIT=pselect(0,0,0,0,0,&but_one)'],
  'in a handler under the mask of epoll_pwait': ['-DWAIT=epoll_pwait(queue,&event,1,-1,&but_one)'],
  'in a handler under the mask of sigsuspend': ['-DWAIT=sigsuspend(&but_one)'],
  'in a context that was made so': ['-DCONTEXT'],
  'by handlers that are installed now and then': ['-DACTION'],
  "in the program's own SIGTRAP handler": ['-DTRAP'],
  "in the program's own SIGTRAP handler that blocks all": ['-DTRAP', '-DFULL'],
};

/** Changes value() to and fro by requests that each make one transaction; the codes of those that were refused. */
async function changeOften(process: RuntimeProcess, rounds: number): Promise<Set<string>> {
  const functions = [process.fix('value', 'new_value', { boundaries: 0b10011 })];
  const file = process.patchFile('int new_value(int n) { return n + 1; }', {}, { functions });
  const refused = new Set<string>();
  const take = ({ error }: Answer) => (error === null ? undefined : refused.add(error.code));
  take(await process.request('patch', `file ${file}`));
  const entry = `function 0x${process.address('value').toString(16)}`;
  for (let round = 0; refused.size === 0 && round < rounds; round += 20) {
    const ids = Array.from({ length: 20 }, (_, i) => `round-${String(round + i).padStart(4, '0')}`);
    for (const [i, id] of ids.entries())
      process.place(id, `hot_fix 1\ncommand revert\n${entry} ${i % 2}\nend\n`);
    process.ring();
    for (const id of ids) take(await process.answer(id));
  }
  return refused;
}

describe('a process in which all signals are blocked a part of the time', () => {
  for (const [way, flags] of Object.entries(ways)) {
    it(
      `lives through 200 changes of an entry of short instructions: ${way}`,
      inRuntimeSession(async (session) => {
        const process = await session.run(source, { flags });
        assert.deepEqual([...(await changeOften(process, 200))], []);
        assert.equal(await process.ask(''), '0');
      }),
    );
    it(
      `lives where no store can change the entry, which is refused at most: ${way}`,
      inRuntimeSession(async (session) => {
        // In the lower half of the address space there is nothing where the bytes of this entry would lead to.
        const process = await session.run(source, { flags: [...flags, '-no-pie'] });
        for (const code of await changeOften(process, 100)) assert.equal(code, 'signals-blocked');
        assert.equal(await process.ask(''), '0');
      }),
    );
  }
});

describe('a process in which all signals are blocked a part of the time, and the runtime came late', () => {
  // Nothing stands before libc's own functions then. The other ways go past them anyhow.
  for (const way of ['by the functions of libc', 'by handlers that are installed now and then'])
    it(
      `lives through changes of an entry of short instructions, which are refused at most: ${way}`,
      inRuntimeSession(async (session) => {
        for (const more of [[], ['-no-pie']]) {
          const process = await session.run(source, { flags: [...ways[way]!, ...more], runtime: 'attached' });
          for (const code of await changeOften(process, 60)) assert.equal(code, 'signals-blocked');
          assert.equal(await process.ask(''), '0');
          await process.program.stop();
        }
      }),
    );
});

describe('a thread that blocks all signals', () => {
  const text = `
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
__attribute__((naked, noipa)) int value(int n) {
  __asm__("push %rbp; mov %rsp,%rbp; mov %edi,%eax; pop %rbp; ret");
}
static void expire(union sigval unused) { }
static void *sleep_for_ever(void *unused) {
  sigset_t all;
  sigfillset(&all);
  for (;;) sigsuspend(&all);
  return unused;
}
int main(void) {
  char line[64];
  timer_t timer;
  pthread_t thread;
  struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = expire};
  struct itimerspec once = {.it_value = {.tv_nsec = 1}};
  setvbuf(stdout, 0, _IOLBF, 0);
#ifdef TIMER
  timer_create(CLOCK_MONOTONIC, &event, &timer);
  timer_settime(timer, 0, &once, 0);
#else
  pthread_create(&thread, 0, sleep_for_ever, 0);
#endif
  usleep(10000);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d\\n", value(0));
  return (int)(intptr_t)timer + (int)thread + (int)once.it_value.tv_sec + (int)event.sigev_notify;
}`;
  for (const [which, flags] of Object.entries({
    'that libc has for the functions of timers': ['-DTIMER'],
    'that waits for a signal which cannot come': ['-DSUSPENDED'],
  })) {
    it(
      `is in nobody's way when it is one ${which}`,
      inRuntimeSession(async (session) => {
        const process = await session.run(text, { flags: [...flags, '-no-pie'] });
        assert.deepEqual([...(await changeOften(process, 20))], []);
        assert.equal(await process.ask(''), '1');
      }),
    );
  }
});
