// Threads that wait in system calls, one in each kind: none of the calls ends because the process is patched.
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { inRuntimeSession } from '../support/runtime_process';
import { notUnderSanitizers } from '../support/sanitizers';

/** How each thread waits: an expression that ends only when something has interrupted it. */
const CALLS: Readonly<Record<string, string>> = {
  nanosleep: 'nanosleep(&long_time, 0)',
  clock_nanosleep: 'clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, 0)',
  poll: 'poll(&quiet, 1, -1)',
  ppoll: 'ppoll(&quiet, 1, &long_time, 0)',
  select: 'select(quiet.fd + 1, &reading, 0, 0, 0)',
  pselect: 'pselect(quiet.fd + 1, &reading, 0, 0, &long_time, 0)',
  epoll_wait: 'epoll_wait(epoll_create1(0), &event, 1, -1)',
  epoll_pwait: 'epoll_pwait(epoll_create1(0), &event, 1, 1000000, 0)',
  read: 'read(quiet.fd, &byte, 1)',
  write: 'write(full, room, sizeof room)',
  recv: 'recv(sockets[0], &byte, 1, 0)',
  accept: 'accept(listening, 0, 0)',
  futex: 'syscall(SYS_futex, &word, FUTEX_WAIT, 0, 0, 0, 0)',
  sem_wait: 'sem_wait(&semaphore)',
  sigwaitinfo: 'sigwaitinfo(&rare, 0)',
  flock: 'flock(open(name, O_RDONLY), LOCK_EX)',
  waitpid: 'waitpid(child, 0, 0)',
  pause: 'pause()',
};

/** Those that come with a mask of their own: a program that imports them is not changed by int3. */
const MASKING = ['ppoll', 'pselect', 'epoll_pwait'];

const waiting = (calls: readonly string[]) => `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
__attribute__((naked, noipa)) int value(int n) {
  __asm__("push %rbp; mov %rsp,%rbp; mov %edi,%eax; pop %rbp; ret");
}
static struct timespec long_time = {100000, 0};
static int pipes[2], full, sockets[2], listening, word;
static const char *name;
static char room[1 << 20];
static sem_t semaphore;
static sigset_t rare;
static pid_t child;
static long wait_in(const char *call) {
  struct pollfd quiet = {pipes[0], POLLIN, 0};
  struct epoll_event event;
  fd_set reading;
  char byte;
  FD_ZERO(&reading);
  FD_SET(quiet.fd, &reading);
${calls.map((name) => `  if (!strcmp(call, "${name}")) return ${CALLS[name]};`).join('\n')}
  return 0;
}
static void *run(void *call) {
  prctl(PR_SET_NAME, call, 0, 0, 0);
  long result = wait_in(call);
  printf("%s ended: %ld, %s\\n", (const char *)call, result, strerror(errno));
  return 0;
}
int main(int count, char **arguments) {
  static char line[64];
  int other[2];
  struct sockaddr_un address = {AF_UNIX, "\\0"};
  setvbuf(stdout, 0, _IOLBF, 0);
  name = arguments[0];
  child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    for (;;) pause();
  }
  sigemptyset(&rare);
  sigaddset(&rare, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &rare, 0);
  listening = socket(AF_UNIX, SOCK_STREAM, 0);
  if (pipe(pipes) || pipe(other) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) || sem_init(&semaphore, 0, 0) ||
      bind(listening, (struct sockaddr *)&address, sizeof(sa_family_t)) || listen(listening, 1) ||
      flock(open(name, O_RDONLY), LOCK_EX)) return 1;
  full = other[1];
  for (int i = 1; i < count; i++) {
    pthread_t thread;
    pthread_create(&thread, 0, run, arguments[i]);
  }
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d\\n", value(1));
  return 0;
}`;

/** The names of the threads that sleep now. */
function sleeping(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`)
    .map((tid) => readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8'))
    .flatMap((stat) => /\((.*)\) S /.exec(stat)?.[1] ?? []);
}

describe('blocked system calls', () => {
  const all = Object.keys(CALLS);
  for (const [method, flags, args] of [
    ['store', [], all],
    ['int3', ['-no-pie'], all.filter((name) => !MASKING.includes(name))],
  ] as const)
    it(
      `of ${args.length} kinds see no EINTR from 100 saves (${method})`,
      inRuntimeSession(async (session) => {
        notUnderSanitizers('patches stay, and threads are parked instead of trapped');
        const process = await session.run(waiting(args), { flags: [...flags], args: [...args] });
        const areWaiting = () => args.every((name) => sleeping(process.pid).includes(name));
        while (!areWaiting());
        const functions = [process.fix('value', 'new_value', { boundaries: 0b10011 })];
        const files = [1, 2].map((n) =>
          process.patchFile(`int new_value(int n) { return n + ${n}; }`, {}, { functions }),
        );
        for (let save = 1; save <= 100; save++) {
          // The patch before the last is unmapped after the answer.
          for (let done = false; !done;) {
            const { ok, error, status } = await process.request('patch', `file ${files[save % 2]}`);
            assert.ok(ok || error?.code === 'address-taken', error?.message);
            done = ok;
            if (save === 1) assert.equal(status.functions[0]!.trampoline.method, method);
          }
        }
        assert.equal(await process.ask(''), '2');
        await process.done('revert', 'all');
        assert.equal(await process.ask(''), '1');
        assert.deepEqual(
          process.program.lines.filter((line) => line.includes('ended')),
          [],
        );
        assert.ok(areWaiting());
      }),
    );
});
