// The memory of a process that is patched all day (`npm run soak memory`): its mappings and its resident memory after
// many saves of one function are what they were after the first few. Prints both.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { mappings } from '../support/memory';
import { inRuntimeSession, type RuntimeProcess } from '../support/runtime_process';

const ROUNDS = 5000;

const source = `
#include <stdio.h>
__attribute__((noipa)) int value(int n) { return n; }
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d\\n", value(1));
  return 0;
}`;

/** Mappings, and resident memory in kB (VmRSS of proc(5)). */
function measure({ pid }: RuntimeProcess): { mappings: number; resident: number } {
  const resident = /^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
  return { mappings: mappings(pid).length, resident: Number(resident) };
}

describe('the memory of a process', () => {
  it(
    `is after ${ROUNDS} saves of one function what it was after ten, when its threads are blocked`,
    inRuntimeSession(async (session) => {
      const process = await session.run(source);
      const files = [1, 2].map((n) =>
        process.patchFile(`int new_value(int n) { return n + ${n}; }`, { value: 'new_value' }),
      );
      let early = measure(process);
      for (let round = 1; round <= ROUNDS; round++) {
        // The search for what can go comes after an answer, and the next request may come before it.
        for (let done = false; !done;) {
          const { ok, error } = await process.request('patch', `file ${files[round % 2]}`);
          assert.ok(ok || error?.code === 'address-taken', error?.message);
          done = ok;
        }
        if (round === 10) early = measure(process);
        if (round % 1000 === 0 || round === 10) {
          const now = measure(process);
          console.log(`      after ${round} saves: ${now.mappings} mappings, ${now.resident} kB resident`);
        }
      }
      const late = measure(process);
      assert.equal(await process.ask(''), String(1 + (ROUNDS % 2 === 0 ? 1 : 2)));
      // The kernel joins and parts the mappings of our own memory.
      assert.ok(Math.abs(late.mappings - early.mappings) <= 2);
      // The newest 64 patches are kept in mind; what is said of them takes some room.
      assert.ok(late.resident - early.resident < 512, `${late.resident - early.resident} kB more`);
    }),
  );
});
