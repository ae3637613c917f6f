// Code that must not be running when its callee is replaced: found wherever a thread or a coroutine is in it, and nowhere
// else. What calls left behind on a stack is no call.
import { strict as assert } from 'node:assert';
import { inRuntimeSession, type RuntimeProcess } from '../support/runtime_process';

/** Each line that it reads makes one shape; its answer comes from within it. The next line ends the shape. */
const program = `
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>
static char line[64];
static ucontext_t first, second;
static char alternate[65536];
__attribute__((noipa)) static void wait_for_line(void) {
  volatile char unused[8192];
  __asm__ volatile("" : : "r"(unused) : "memory");
  static const char *said = "ready";
  puts(said);
  said = "waiting";
  if (fgets(line, sizeof line, stdin) == NULL) exit(0);
  __asm__ volatile("" : : "r"(unused) : "memory");
}
static void wait_in_handler(int unused) { wait_for_line(); }
__attribute__((noipa)) int inner(int shape) {
  if (shape == 'c') wait_for_line();
  if (shape == 's') swapcontext(&second, &first);
  if (shape == 'h') raise(SIGUSR1);
  __asm__ volatile("");
  return shape;
}
__attribute__((noipa)) int outer(int shape) { int r = inner(shape); __asm__ volatile(""); return r + 1; }
__attribute__((noipa)) static void leave_behind(int depth) {
  volatile char room[16];
  __asm__ volatile("" : : "r"(room) : "memory");
  outer(0);
  if (depth > 0) leave_behind(depth - 1);
  __asm__ volatile("" : : "r"(room) : "memory");
}
static void coroutine(void) { outer('s'); }
static void *thread(void *shape) {
  leave_behind(100);
  if (shape == NULL) wait_for_line();
  else outer('c');
  return NULL;
}
int main(void) {
  struct sigaction action = {.sa_handler = wait_in_handler, .sa_flags = SA_ONSTACK};
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  setvbuf(stdout, 0, _IOLBF, 0);
  sigaltstack(&stack, 0);
  sigaction(SIGUSR1, &action, 0);
  leave_behind(100);
  for (wait_for_line();; wait_for_line()) {
    pthread_t other;
    if (line[0] == 'c' || line[0] == 'h') outer(line[0]);
    if (line[0] == 't') pthread_create(&other, 0, thread, line), pthread_join(other, 0);
    if (line[0] == 'i') pthread_create(&other, 0, thread, 0), pthread_join(other, 0);
    if (line[0] == 's') {
      getcontext(&second);
      second.uc_stack.ss_sp = malloc(65536);
      second.uc_stack.ss_size = 65536;
      makecontext(&second, coroutine, 0);
      swapcontext(&first, &second);
    }
  }
}`;

/** What becomes of a patch of inner() that guards outer(): its error's code; undefined when it was applied, and undone. */
async function guarded(process: RuntimeProcess): Promise<string | undefined> {
  const guards = [{ name: 'outer', start: process.address('outer'), length: process.size('outer') }];
  const file = process.patchFile('int new_inner(int n) { return n; }', { inner: 'new_inner' }, { guards });
  const answer = await process.request('patch', `file ${file}`);
  if (answer.ok) await process.revert('inner', 0);
  return answer.error?.code;
}

describe('guarded code', () => {
  it(
    'is active where a thread or a coroutine is in it, not where one has been',
    inRuntimeSession(async (session) => {
      const process = await session.run(program, { flags: ['-O2', '-rdynamic', '-w', '-pthread'] });
      const shapes = [
        ['', undefined, 'left by the first thread'],
        ['c', 'caller-active', 'called by the first thread'],
        ['', undefined, 'left again'],
        ['t', 'caller-active', 'called by another thread'],
        ['i', undefined, 'left by another thread'],
        ['h', 'caller-active', 'interrupted by a handler on an alternate stack'],
        ['', undefined, 'left after the handler'],
        ['s', 'caller-active', 'called by a coroutine that is suspended'],
      ] as const;
      for (const [shape, expected, title] of shapes) {
        if (shape !== '') assert.equal(await process.ask(shape), 'waiting');
        assert.equal(await guarded(process), expected, title);
        if (shape !== '' && shape !== 's') assert.equal(await process.ask(''), 'waiting');
      }
    }),
  );

  it(
    'is not active because an exception was caught there: its header keeps where it was caught',
    inRuntimeSession(async (session) => {
      const text = `
        #include <stdio.h>
        extern "C" {
        __attribute__((noipa)) int inner(int n) { if (n > 0) throw n; return n; }
        __attribute__((noipa)) int outer(int n) {
          // The call that throws does not return: the place to go on at follows it, as a return address would.
          try { inner(n); __builtin_unreachable(); } catch (int i) { return i + 1; }
        }
        }
        int main() {
          char line[64];
          for (puts("ready"); fflush(stdout), fgets(line, sizeof line, stdin);) printf("%d\\n", outer(line[0] == '1'));
        }`;
      const process = await session.run(text, { language: 'c++', flags: ['-O2', '-rdynamic'] });
      assert.equal(await guarded(process), undefined, 'before');
      assert.equal(await process.ask('1'), '2');
      assert.equal(await guarded(process), undefined, 'behind the exception');
    }),
  );
});
