// Sync points (hot_fix.h): in a program that uses them nothing changes but at one of them.
import { strict as assert } from 'node:assert';
import { inRuntimeSession, type ProgramOptions } from '../support/runtime_process';

/** Frames in which both functions must be of one version: a thread makes them, as fast as it can, until it is told to hold
 * on; three others call the functions all the time. A line of input is answered by the main thread. */
const source = `
#include "hot_fix.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) int first(void) { int version = 0; __asm__ volatile("" : "+r"(version)); return version; }
__attribute__((noinline)) int second(void) { int version = 0; __asm__ volatile("" : "+r"(version)); return version; }
static atomic_int held, holds, torn, frames, live, stands, in_frame, in_hook, others = 3;
static void before(const struct hot_fix_patch *patch, void *context) { (void)patch, (void)context; in_hook += 1 + 100 * in_frame; }
static void *run_frames(void *unused) {
  for (;; frames++) {
    for (; held; usleep(1000)) holds = 1;
    in_frame = 1;
    const int version = first();
    usleep(100);
    torn += version != second();
    in_frame = 0;
    if (hot_fix_can_patch_now()) live++;
    stands++;
  }
  return unused;
}
static void *call(void *unused) {
  while (others) first(), second();
  return unused;
}
int main(void) {
  char line[64];
  pthread_t thread;
  const struct hot_fix_hooks hooks = {sizeof hooks, before, 0, 0, 0};
  setvbuf(stdout, 0, _IOLBF, 0);
  init_hot_fix_signal();
  hot_fix_add_hooks(&hooks);
  hot_fix_use_sync_points(5000);
  pthread_create(&thread, 0, run_frames, 0);
  for (int i = 0; i < 3; i++) pthread_create(&thread, 0, call, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "hold", 4)) {
      held = 1;
      while (!holds) usleep(1000);
      hot_fix_use_sync_points(50);
      puts("held");
    } else if (!strncmp(line, "any", 3)) {
      hot_fix_use_sync_points(0);
      puts("any");
    } else {
      while (live < line[0] - '0') usleep(1000); // the thread is told when the answer is
      printf("%d %d %d %d %d %d\\n", first(), second(), torn, live, in_hook, frames > 0 && stands > 0);
    }
  }
  return 0;
}`;

const builds: [name: string, options: ProgramOptions][] = [
  ['gcc, built in', { runtime: 'embedded' }],
  ['clang at -O2, built in and preloaded', { runtime: 'both', compiler: 'clang', flags: ['-O2'] }],
];
for (const [name, options] of builds)
  describe(`sync points (${name})`, () => {
    it(
      'let entries change between frames only, and refuse a patch when none comes',
      inRuntimeSession(async (session) => {
        const process = await session.run(source, options);
        const versions = (n: number) =>
          process.patchFile(`int new_first(void) { return ${n}; } int new_second(void) { return ${n}; }`, {
            first: 'new_first',
            second: 'new_second',
          });
        for (const n of [1, 2, 3]) await process.done('patch', `file ${versions(n)}`);
        assert.equal(await process.ask('3'), '3 3 0 3 3 1');
        await process.done('revert', 'all');
        assert.equal(await process.ask('4'), '0 0 0 4 4 1');
        await process.done('revert', 'all'); // changes nothing: no frame is waited for

        assert.equal(await process.ask('hold'), 'held');
        const message = await process.refused('no-sync-point', 'patch', `file ${versions(4)}`);
        assert.match(message, /came to hot_fix_can_patch_now\(\) in 50 ms$/);
        assert.equal(await process.ask('4'), '0 0 0 4 4 1');
        assert.deepEqual(
          (await process.done('status')).functions.map(({ version }) => version),
          [0, 0],
        );
        assert.equal(await process.ask('any'), 'any');
        await process.done('patch', `file ${versions(5)}`);
        assert.match(await process.ask('4'), /^5 5 0 4 \d+ 1$/);
      }),
    );
  });
