// The memory of a process that is patched all day (`npm run soak memory`): its mappings and its resident memory after
// many saves of one function are what they were after the first few, whether its threads sleep or never do. Prints both.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { mappings } from '../support/memory';
import { inRuntimeSession, type RuntimeProcess } from '../support/runtime_process';

const ROUNDS = Number(process.env['HOT_PATCH_ROUNDS'] ?? 5000);

/** Saves over which the highest figures are taken: some patches pile up before they go. Also the number of patch files. */
const PERIOD = 24;

const source = `
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((noipa)) int value(int n) { return n; }
static atomic_long wrong;
static void *run(void *unused) {
  setpriority(PRIO_PROCESS, syscall(SYS_gettid), 10); // this thread only: the test has other work to do
  for (int i = 0;; i = (i + 1) & 0xffff) {
    int added = value(i) - i;
    if (added < 0 || added > ${PERIOD}) atomic_fetch_add(&wrong, 1);
  }
  return unused;
}
int main(int count, char **arguments) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  for (int i = 0; i < atoi(arguments[1]); i++) {
    pthread_t thread;
    pthread_create(&thread, 0, run, 0);
  }
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d %ld\\n", value(0), atomic_load(&wrong));
  return 0;
}`;

interface Figures {
  mappings: number;
  /** VmRSS of proc(5), in kB. */
  resident: number;
}

function measure({ pid }: RuntimeProcess): Figures {
  const resident = /^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
  return { mappings: mappings(pid).length, resident: Number(resident) };
}

/** Saves so often, each time the next file; the highest figures. */
async function save(process: RuntimeProcess, files: string[], times: number): Promise<Figures> {
  const highest: Figures = { mappings: 0, resident: 0 };
  for (let round = 0; round < times; round++) {
    // The search for what can go comes after an answer, and the next request may come before it.
    for (let done = false; !done;) {
      const { ok, error } = await process.request('patch', `file ${files[round % files.length]}`);
      assert.ok(ok || error?.code === 'address-taken', error?.message);
      done = ok;
    }
    const now = measure(process);
    highest.mappings = Math.max(highest.mappings, now.mappings);
    highest.resident = Math.max(highest.resident, now.resident);
  }
  return highest;
}

describe('the memory of a process', () => {
  for (const [threads, what] of [
    [0, 'its threads sleep'],
    [8, 'eight of its threads never sleep'],
  ] as const)
    it(
      `is after ${ROUNDS} saves of one function what it was after the first, when ${what}`,
      inRuntimeSession(async (session) => {
        const process = await session.run(source, { args: [String(threads)] });
        const files = Array.from({ length: PERIOD }, (_, n) =>
          process.patchFile(`int new_value(int n) { return n + ${n + 1}; }`, { value: 'new_value' }),
        );
        const early = await save(process, files, PERIOD);
        console.log(`      at first: ${early.mappings} mappings, ${early.resident} kB resident`);
        let late = early;
        for (let round = 0; round < ROUNDS; round += 20 * PERIOD) {
          await save(process, files, 19 * PERIOD);
          late = await save(process, files, PERIOD);
          console.log(
            `      after ${round + 20 * PERIOD} saves more: ${late.mappings} mappings, ${late.resident} kB resident`,
          );
        }
        assert.equal(await process.ask(''), `${PERIOD} 0`);
        // The kernel joins and parts the mappings of our own memory.
        assert.ok(late.mappings - early.mappings <= 8);
        // The newest 64 patches are kept in mind; what is said of them takes some room.
        assert.ok(late.resident - early.resident < 512, `${late.resident - early.resident} kB more`);
      }),
    );
});
