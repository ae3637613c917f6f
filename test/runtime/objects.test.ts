// New objects of a generated patch: constructed once and in order, destroyed at the end of the process, and refused
// without harm when their code throws or crashes.
import { strict as assert } from 'node:assert';
import { inRuntimeSession, type RuntimeSession } from '../support/runtime_process';

const source = `
#include <stdio.h>
#include <string.h>
#include <stdexcept>
extern "C" {
int thrown(int n) { try { if (n > 0) throw std::runtime_error("program"); } catch (std::exception &) { return 1; } return 0; }
__attribute__((noipa)) int value(int n) { return n; }
}
int main() {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d\\n", value(10) + 1000 * thrown(0));
  return thrown(1) - 1;
}`;

/** Objects write to standard error what happens to them. */
const object = `
#include <stdio.h>
#include <stdlib.h>
#include <stdexcept>
extern "C" {
long first = 1, second = 2;
void construct(void *at) { fprintf(stderr, "construct %ld\\n", *(long *)at); *(long *)at += 100; }
void destroy(void *at) { fprintf(stderr, "destroy %ld\\n", *(long *)at); }
void throws(void *) { std::string local = "cleaned up"; throw std::logic_error(local); }
void throws_number(void *) { throw 5; }
void crashes(void *at) { *(volatile int *)8 = *(int *)at; }
void overflows(void *at) { volatile char room[4096]; room[0] = 1; overflows((void *)room); room[1] = 2; }
void aborts(void *) { abort(); }
int new_value(int n) { return n + first + second; }
}`;

const start = (session: RuntimeSession) => session.run(source, { language: 'c++', flags: ['-rdynamic'] });
const redirected = { value: 'new_value' };
const more = { language: 'c++', permanent: true } as const;
const good = [
  { name: 'first', construct: 'construct', argument: 'first', destroy: 'destroy' },
  { name: 'second', construct: 'construct', argument: 'second', destroy: 'destroy' },
];

describe('a new object of a patch', () => {
  it(
    'is constructed once, in order, before its users run, and destroyed in reverse order at exit',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      await process.patch(object, redirected, { ...more, objects: good });
      assert.equal(await process.program.errorLine(), 'construct 1');
      assert.equal(await process.program.errorLine(), 'construct 2');
      assert.equal(await process.ask('value'), '213');
      await process.revert('value', 0);
      await process.revert('value', 1);
      assert.equal(await process.ask('value'), '213');
      process.program.endInput();
      assert.equal(await process.program.errorLine(), 'destroy 102');
      assert.equal(await process.program.errorLine(), 'destroy 101');
      assert.equal(await process.program.exit(), 0);
    }),
  );

  const failures: [how: string, construct: string, says: RegExp][] = [
    ['throws', 'throws', /third could not be constructed: its code threw std::logic_error$/],
    ['throws a number', 'throws_number', /its code threw int$/],
    ['reads where nothing is', 'crashes', /its code ended with SIGSEGV$/],
    ['runs out of stack', 'overflows', /its code ended with SIGSEGV$/],
    ['calls abort', 'aborts', /its code ended with SIGABRT$/],
  ];
  for (const [how, construct, says] of failures)
    it(
      `refuses the patch when its constructor ${how}, and the process goes on`,
      inRuntimeSession(async (session) => {
        const process = await start(session);
        const objects = [...good, { name: 'third', construct, argument: 'first' }];
        const file = process.patchFile(object, redirected, { ...more, objects });
        assert.match(await process.refused('constructor-failed', 'patch', `file ${file}`), says);
        assert.deepEqual((await process.done('status')).functions, []);
        assert.equal(await process.ask('value'), '10');
        // The same process takes the next patch, and its own exceptions and exit handlers work as before.
        await process.patch(object, redirected, { ...more, objects: good });
        assert.equal(await process.ask('value'), '213');
        process.program.endInput();
        for (const at of [102, 101, 102, 101])
          assert.equal(await process.program.errorLine(/destroy/), `destroy ${at}`);
        assert.equal(await process.program.exit(), 0);
      }),
    );
});
