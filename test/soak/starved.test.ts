// More running threads than processors (`npm run soak starved`): each gets the processor only now and then, and every
// transaction must come through all the same, in each way of changing entries. HOT_PATCH_ROUNDS says how many.
import { strict as assert } from 'node:assert';
import { inRuntimeSession } from '../support/runtime_process';

const rounds = Number(process.env['HOT_PATCH_ROUNDS'] ?? 1000);

const source = `
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#ifdef LONG
__attribute__((naked, noipa)) int value(int n) { __asm__("mov %rdi,%rax; mov %edi,%eax; ret"); }
#else
__attribute__((naked, noipa)) int value(int n) {
  __asm__("push %rbp; mov %rsp,%rbp; mov %edi,%eax; pop %rbp; ret");
}
#endif
static atomic_long wrong;
static void *run(void *unused) {
  for (int i = 0;; i = (i + 1) & 0xffff) {
    int got = value(i) - i;
    if (got != 0 && got != 1) atomic_fetch_add(&wrong, 1);
  }
  return unused;
}
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  for (int i = 0; i < 8; i++) {
    pthread_t thread;
    pthread_create(&thread, 0, run, 0);
  }
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%ld\\n", atomic_load(&wrong));
  return 0;
}`;

/** How the entry is changed, with the compiler flags and the boundaries of its instructions that make it so. */
const ways: Record<string, [string[], number]> = {
  store: [[], 0b10011],
  int3: [['-no-pie'], 0b10011],
  spin: [['-no-pie', '-DLONG'], 0b01001],
};

describe('eight threads that never stop', () => {
  for (const [way, [flags, boundaries]] of Object.entries(ways)) {
    it(
      `let ${rounds} changes through: ${way}`,
      inRuntimeSession(async (session) => {
        const process = await session.run(source, { flags });
        const functions = [process.fix('value', 'new_value', { boundaries })];
        const [patched] = (await process.patch('int new_value(int n) { return n + 1; }', {}, { functions }))
          .functions;
        assert.equal(patched!.trampoline.method, way);
        const entry = `0x${process.address('value').toString(16)}`;
        const failures = new Map<string, number>();
        for (let round = 0; round < rounds; round++) {
          const { error } = await process.request('revert', `function ${entry} ${round % 2}`);
          if (error) failures.set(error.message, (failures.get(error.message) ?? 0) + 1);
        }
        assert.deepEqual([...failures], []);
        assert.equal(await process.ask(''), '0');
      }),
    );
  }
});
