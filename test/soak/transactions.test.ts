// Transactions under full load (`npm run soak`): eight threads on however few processors call without pause, check
// every result, and measure the longest time between two calls, beside a run in which nothing is changed.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { mappings } from '../support/memory';
import { inRuntimeSession, type RuntimeProcess } from '../support/runtime_process';

const rounds = Number(process.env['SOAK_ROUNDS'] ?? 10_000);

const source = `
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
__attribute__((noipa)) long add(long a, long b) { return a + b; }
__attribute__((noipa)) long first(long a) { return add(a, 1) + add(a, 2); }
__attribute__((noipa)) long second(long a) { return add(a, 10) + add(a, 20); }
static atomic_long calls, wrong, longest;
static void *run(void *unused) {
  setpriority(PRIO_PROCESS, syscall(SYS_gettid), 10); // this thread only: the test has other work to do
  struct timespec last, now;
  clock_gettime(CLOCK_MONOTONIC, &last);
  for (long i = 0;; i++) {
    long f = first(i) - 2 * i, s = second(i) - 2 * i;
    if ((f != 3 && f != 103) || (s != 30 && s != 130)) atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&calls, 1);
    clock_gettime(CLOCK_MONOTONIC, &now);
    long gap = (now.tv_sec - last.tv_sec) * 1000000 + (now.tv_nsec - last.tv_nsec) / 1000;
    for (long seen = atomic_load(&longest); gap > seen && !atomic_compare_exchange_weak(&longest, &seen, gap);) ;
    last = now;
  }
  return unused;
}
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  for (int i = 0; i < 8; i++) { pthread_t t; pthread_create(&t, 0, run, 0); }
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    printf("%ld %ld %ld\\n", atomic_load(&wrong), atomic_exchange(&longest, 0), atomic_load(&calls));
  }
  exit(0);
}`;

const replacement = `
extern long add(long, long);
long new_first(long a) { return add(a, 1) + add(a, 102); }
long new_second(long a) { return add(a, 10) + add(a, 120); }`;

interface Figures {
  wrong: number;
  /** Between two calls of one thread, in microseconds. */
  longestGap: number;
  calls: number;
}

async function figures(process: RuntimeProcess): Promise<Figures> {
  const [wrong, longestGap, calls] = (await process.ask('figures')).split(' ').map(Number);
  return { wrong: wrong!, longestGap: longestGap!, calls: calls! };
}

const memoryOf = ({ pid }: RuntimeProcess) => ({
  mappings: mappings(pid).length,
  rss: Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]),
});

/** Both functions to and fro, in one transaction a round; the failures. */
async function change(process: RuntimeProcess, count: number): Promise<string[]> {
  const entries = ['first', 'second'].map((name) => `function 0x${process.address(name).toString(16)}`);
  const failures: string[] = [];
  for (let round = 0; round < count; round += 20) {
    const ids = Array.from({ length: 20 }, (_, i) => `round-${String(round + i).padStart(6, '0')}`);
    for (const [i, id] of ids.entries()) {
      const lines = entries.map((entry) => `${entry} ${i % 2}\n`);
      process.place(id, `hot_fix 1\ncommand revert\n${lines.join('')}end\n`);
    }
    process.ring();
    for (const id of ids) {
      const answer = await process.answer(id);
      if (!answer.ok) failures.push(JSON.stringify(answer.error));
      else for (const f of answer.status.functions) assert.ok(f.verified, f.symbol);
    }
  }
  return failures;
}

describe('a process under full load', () => {
  for (const flags of [['-O0'], ['-O2'], ['-O0', '-no-pie']])
    it(
      `is changed ${rounds} times without a failure or a wrong result (${flags.join(' ')})`,
      inRuntimeSession(async (session) => {
        const process = await session.run(source, { flags: ['-rdynamic', ...flags] });
        await process.patch(replacement, { first: 'new_first', second: 'new_second' });
        await change(process, 20);
        const before = memoryOf(process);
        const begin = Date.now();
        await figures(process);
        const failures = await change(process, rounds);
        const duration = Date.now() - begin;
        const changed = await figures(process);
        const after = memoryOf(process);
        // The same time, with nothing but status requests.
        for (const end = Date.now() + duration; Date.now() < end;) await process.done('status');
        const control = await figures(process);
        console.log(
          `      ${rounds} rounds in ${(duration / 1000).toFixed(0)} s, ${failures.length} failures, ${changed.wrong} wrong of ${changed.calls} calls; ` +
            `longest gap ${changed.longestGap} µs, without changes ${control.longestGap} µs; ` +
            `mappings ${before.mappings} → ${after.mappings}, RSS ${before.rss} → ${after.rss} kB`,
        );
        assert.deepEqual(failures, []);
        assert.equal(changed.wrong, 0);
        assert.ok(after.rss - before.rss < 256, 'memory that is never given back');
      }),
    );
});
