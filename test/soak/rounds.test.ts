// Many days of editing in some minutes (`npm run soak`): one engine, as an editor keeps it, patches the same functions again and again while four
// threads call them without pause and check every result.
import { strict as assert } from 'node:assert';
import { ready, withEngine } from '../support/engines';
import { inSession } from '../support/session';

/** `scaled` returns n times the version that runs, added to a count that no save may lose or repeat. */
const source = `
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
static const long version = 1;
struct scale { long by, calls; };
static _Thread_local struct scale of_thread;
static atomic_long calls, wrong, newest;
__attribute__((noinline)) static struct scale scaled(long n) {
  static atomic_long count;
  atomic_fetch_add(&count, 1);
  of_thread.by = version;
  of_thread.calls++;
  long seen = atomic_load(&newest);
  while (seen < version && !atomic_compare_exchange_weak(&newest, &seen, version)) {}
  return (struct scale){n * version, of_thread.calls};
}
static void *run(void *unused) {
  setpriority(PRIO_PROCESS, syscall(SYS_gettid), 10); // this thread only: the test has other work to do
  for (long i = 1;; i++) {
    struct scale result = scaled(i);
    if (result.by % i != 0 || result.calls != i || result.by / i != of_thread.by) atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&calls, 1);
  }
  return unused;
}
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  for (int i = 0; i < 4; i++) { pthread_t t; pthread_create(&t, 0, run, 0); }
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "wrong", 5)) printf("%ld\\n", atomic_load(&wrong));
    else { long a = atomic_load(&calls); while (atomic_load(&calls) < a + 100) ; printf("%ld\\n", atomic_load(&newest)); }
  }
  exit(0);
}`;

describe('an engine that is used all day', () => {
  it(
    'patches 1,000 times and takes it back each time, under four threads, which get a right result from every call',
    inSession(async (session) => {
      session.write('busy.c', source);
      await session.build({ sources: ['busy.c'], flags: ['-O2', '-g', '-pthread'] });
      const program = await session.start();
      await withEngine(session, async (engine) => {
        const save = async (version: number, outcome: string) => {
          const file = session.write('busy.c', source.replace('version = 1', `version = ${version}`));
          const result = await engine.patch({ files: [file], target: { kind: 'match' } });
          assert.equal(result.outcome, outcome, JSON.stringify(result.refusals));
          for (const fn of result.processes[0]!.functions) assert.ok(fn.verified, fn.name);
        };
        await ready(engine, program.pid);
        for (let round = 0; round < 1000; round++) {
          await save(round + 2, 'patched');
          assert.equal(await program.ask('newest'), String(round + 2));
          await save(1, 'reverted');
        }
        assert.equal(await program.ask('wrong'), '0');
      });
    }),
  );
});
