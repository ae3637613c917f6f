// Threads in a sandbox (seccomp) that ends them for calls which the runtime's handlers make.
import { strict as assert } from 'node:assert';
import { inRuntimeSession, type RuntimeSession } from '../support/runtime_process';

/** A thread calls value() without pause, and may do nothing else. */
const source = `
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((naked, noipa)) int value(int n) {
  __asm__("push %rbp; mov %rsp,%rbp; mov %edi,%eax; pop %rbp; ret");
}
static atomic_long calls;
static atomic_int last;
static void sandbox(void) {
#ifdef STRICT
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) abort();
#else
#define KILL(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    KILL(SYS_gettid), KILL(SYS_futex), KILL(SYS_membarrier), KILL(SYS_tgkill),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) abort();
#endif
}
static void *run(void *unused) {
  sandbox();
  for (;;) {
    atomic_store(&last, value(0));
    atomic_fetch_add(&calls, 1);
  }
  return unused;
}
int main(void) {
  char line[64];
  pthread_t thread;
  setvbuf(stdout, 0, _IOLBF, 0);
  pthread_create(&thread, 0, run, 0);
  while (atomic_load(&calls) < 10) ;
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    long c = atomic_load(&calls);
    while (atomic_load(&calls) < c + 4) ;
    printf("%d\\n", atomic_load(&last));
  }
  return 0;
}`;

const sandboxes = { 'that allows read and write': ['-DSTRICT'], 'that kills for gettid and futex': [] };
const plusOne = 'int new_value(int n) { return n + 1; }';

async function start(session: RuntimeSession, flags: string[]) {
  const process = await session.run(source, { flags });
  return { process, functions: [process.fix('value', 'new_value', { boundaries: 0b10011 })] };
}

describe('a thread with a sandbox', () => {
  for (const [which, flags] of Object.entries(sandboxes)) {
    it(
      `${which} runs new code and lives`,
      inRuntimeSession(async (session) => {
        const { process, functions } = await start(session, flags);
        for (let round = 0; round < 5; round++) {
          await process.patch(plusOne, {}, { functions });
          assert.equal(await process.ask(''), '1');
          await process.revert('value', 0);
          assert.equal(await process.ask(''), '0');
        }
      }),
    );
    it(
      `${which} is named where the change needs signals, and lives`,
      inRuntimeSession(async (session) => {
        const { process, functions } = await start(session, [...flags, '-no-pie']);
        const file = process.patchFile(plusOne, {}, { functions });
        assert.match(
          await process.refused('sandboxed', 'patch', `file ${file}`),
          /\(program\) has a sandbox/,
        );
        assert.equal(await process.ask(''), '0');
      }),
    );
  }
});
