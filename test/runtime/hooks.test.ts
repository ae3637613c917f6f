// Hooks of the program (hot_fix.h): what they are told, in which order and on which thread; and that none of them holds
// up a patch, whatever it does.
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { inRuntimeSession, type ProgramOptions, type RuntimeProcess } from '../support/runtime_process';
import { until } from '../support/until';

/** Commands come on standard input, and each has an answer; hooks write to standard error. */
const source = `
#include "hot_fix.h"
#include <dlfcn.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

extern "C" {
__attribute__((noipa)) int value(int n) { return n; }
__attribute__((noipa)) int other(int n) { return n * 2; }
}

static std::mutex lock;
static sem_t released;
static int own;

static void tell(const char *when, const hot_fix_patch *patch, void *context) {
  std::string line = std::string(when) + " " + (context ? (const char *)context : "-");
  for (size_t i = 0; i < patch->file_count; i++) line += std::string(" ") + patch->files[i];
  for (size_t i = 0; i < patch->function_count; i++) {
    const hot_fix_function *function = patch->functions[i];
    const bool known = function->entry == (void *)value || function->entry == (void *)other;
    line += std::string(" ") + function->symbol + (known ? "" : "?") + ":" + std::to_string(function->old_version) + ">" +
            std::to_string(function->new_version);
  }
  if (patch->error) line += std::string(" ") + patch->error;
  fprintf(stderr, "%s\\n", line.c_str());
}
static void before(const hot_fix_patch *patch, void *context) { tell("before", patch, context); }
static void after(const hot_fix_patch *patch, void *context) { tell("after", patch, context); }

static void hangs(const hot_fix_patch *, void *) { while (sem_wait(&released) != 0) {} }
static void throws(const hot_fix_patch *, void *) { std::string local = "cleaned up"; throw std::logic_error(local); }
static void crashes(const hot_fix_patch *, void *) { *(volatile int *)8 = 1; }
static void aborts(const hot_fix_patch *, void *) { abort(); }
static void calls(const hot_fix_patch *, void *) { fprintf(stderr, "value %d\\n", value(10)); }
static void locks(const hot_fix_patch *, void *) { lock.lock(); }
static void unlocks(const hot_fix_patch *, void *) { lock.unlock(); }
static void adds(const hot_fix_patch *, void *) {
  static char name[] = "added";
  const hot_fix_hooks hooks = {sizeof hooks, before, after, name, 0};
  fprintf(stderr, "added %d removed %d\\n", hot_fix_add_hooks(&hooks) > 0, hot_fix_remove_hooks(own));
}
static void forks(const hot_fix_patch *, void *) {
  const pid_t child = fork();
  if (child == 0) _exit(value(10));
  int status = 0;
  waitpid(child, &status, 0);
  fprintf(stderr, "child %d\\n", WEXITSTATUS(status));
}

static const struct { const char *name; decltype(&before) first, second; } kinds[] = {
  {"plain", before, after}, {"hangs", hangs, after}, {"hangs-after", before, hangs}, {"throws", throws, after},
  {"throws-after", before, throws}, {"crashes", crashes, nullptr}, {"aborts", nullptr, aborts}, {"calls", calls, calls},
  {"locks", locks, unlocks}, {"adds", adds, nullptr}, {"forks", forks, after}, {"late", nullptr, after}};

static int add(char *name, unsigned limit) {
  for (auto &kind : kinds) {
    if (strcmp(kind.name, name) != 0) continue;
    const hot_fix_hooks hooks = {sizeof hooks, kind.first, kind.second, strdup(name), limit};
    return own = hot_fix_add_hooks(&hooks);
  }
  return -1;
}

int main() {
  char line[256], name[200];
  unsigned number = 0;
  void *library = nullptr;
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "add %199s %u", name, &number) == 2) printf("%d\\n", add(name, number) > 0);
    else if (sscanf(line, "remove %u", &number) == 1) { const int result = hot_fix_remove_hooks(number ? number : own); printf("%d %d\\n", result, errno); }
    else if (sscanf(line, "open %199s", name) == 1) printf("%d\\n", (library = dlopen(name, RTLD_NOW)) != nullptr);
    else if (!strncmp(line, "close", 5)) printf("%d\\n", dlclose(library));
    else if (!strncmp(line, "release", 7)) { sem_post(&released); puts("released"); }
    else if (!strncmp(line, "locked", 6)) { const bool free = lock.try_lock(); if (free) lock.unlock(); printf("%d\\n", !free); }
    else if (!strncmp(line, "old", 3)) {
      struct { size_t size; decltype(&before) first; } old = {sizeof old, before}, empty = {sizeof empty, nullptr};
      printf("%d %d\\n", hot_fix_add_hooks((hot_fix_hooks *)&old) > 0, hot_fix_add_hooks((hot_fix_hooks *)&empty));
    }
    else printf("%d\\n", value(10));
  }
}`;

const options: ProgramOptions = { language: 'c++', runtime: 'embedded' };
const text = source.replace('puts("ready");', 'init_hot_fix_signal(); puts("ready");');
const returning = (n: number) => `int new_value(int n) { return n + ${n}; }`;
const redirected = { value: 'new_value' };

/** Patches; the warnings of the answer. */
async function patch(process: RuntimeProcess, n: number): Promise<string[]> {
  const file = process.patchFile(returning(n), redirected);
  const answer = await process.request('patch', `file ${file}`, 'source /src/shop.cc');
  assert.ok(answer.ok, JSON.stringify(answer.error));
  assert.equal(await process.ask('value'), String(10 + n));
  for (const { code } of answer.warnings) assert.equal(code, 'hook-failed');
  return answer.warnings.map(({ message }) => message);
}

async function told(process: RuntimeProcess, ...lines: string[]): Promise<void> {
  for (const line of lines) assert.equal(await process.program.errorLine(), line);
}

/** Names of the threads; those that end meanwhile are left out. */
function threadNames(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    try {
      return readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim();
    } catch {
      return [];
    }
  });
}

async function add(process: RuntimeProcess, kind: string, limit = 0): Promise<void> {
  assert.equal(await process.ask(`add ${kind} ${limit}`), '1');
}

describe('hooks of the program', () => {
  it(
    'are told of each change in order, also of those that take it back and of those that fail',
    inRuntimeSession(async (session) => {
      const process = await session.run(text, options);
      await add(process, 'plain');
      await add(process, 'late');
      const file = process.patchFile(`${returning(1)} int new_other(int n) { return n; }`, {
        ...redirected,
        other: 'new_other',
      });
      await process.done('patch', 'source /src/shop.cc', `file ${file}`);
      const functions = 'value:0>1 other:0>1';
      await told(
        process,
        `before plain /src/shop.cc ${functions}`,
        `after late /src/shop.cc ${functions}`,
        `after plain /src/shop.cc ${functions}`,
      );
      await process.revert('value', 0);
      await told(process, 'before plain value:1>0', 'after late value:1>0', 'after plain value:1>0');
      await process.revert('value', 0); // changes nothing
      // Where it fails, only those are told that were told before.
      const guards = [{ symbol: 'main', name: 'main' }].map(({ symbol, name }) => ({
        start: process.address(symbol),
        length: process.size(symbol),
        name,
      }));
      const guarded = process.patchFile(returning(2), redirected, { guards });
      await process.refused('caller-active', 'patch', `file ${guarded}`);
      await told(process, 'before plain value:0>2', 'after plain value:0>2 caller-active');
      await process.done('revert', 'all');
      await told(process, 'before plain other:1>0', 'after late other:1>0', 'after plain other:1>0');
    }),
  );

  it(
    'do not hold up a patch when they hang, and go on when they return',
    inRuntimeSession(async (session) => {
      const process = await session.run(text, { ...options, flags: ['-rdynamic'] });
      await add(process, 'hangs', 500);
      await add(process, 'plain');
      const [warning, ...others] = await patch(process, 1);
      assert.match(warning!, /^the hook .* did not return in \d+ ms, and is left alone$/);
      assert.deepEqual(others, []);
      await told(process, 'before plain /src/shop.cc value:0>1', 'after plain /src/shop.cc value:0>1');
      const [leftOut] = await patch(process, 2);
      assert.match(leftOut!, /was left out: it has not returned from an earlier patch yet/);
      await told(process, 'before plain /src/shop.cc value:1>2', 'after plain /src/shop.cc value:1>2');
      // When it returns it is told what came of the change that it was called for.
      await process.ask('release');
      await told(process, 'after hangs /src/shop.cc value:0>1');
      await until(
        () => threadNames(process.pid),
        (names) => !names.includes('hot_fix_hook'),
      );
      await process.ask('release'); // for the next
      assert.deepEqual(await patch(process, 3), []);
      await told(
        process,
        'before plain /src/shop.cc value:2>3',
        'after plain /src/shop.cc value:2>3',
        'after hangs /src/shop.cc value:2>3',
      );
    }),
  );

  it(
    'do not keep threads from being parked when they hang, where no other way is left to change an entry',
    inRuntimeSession(async (session) => {
      // In the lower half of the address space there is nothing where the bytes of this entry would lead to; and the
      // library of C++ waits with signals blocked, so that a trap is not used.
      const shortInstructions = text.replace(
        /__attribute__.*int value.*\n/,
        '__attribute__((naked, noipa)) int value(int n) { asm("push %rbp; mov %rsp,%rbp; mov %edi,%eax; pop %rbp; ret"); }\n',
      );
      const process = await session.run(shortInstructions, { ...options, flags: ['-no-pie'] });
      await add(process, 'hangs', 300);
      const functions = [process.fix('value', 'new_value', { boundaries: 0b10011 })];
      const answer = await process.request(
        'patch',
        `file ${process.patchFile(returning(1), {}, { functions })}`,
      );
      assert.ok(answer.ok, JSON.stringify(answer.error));
      assert.equal(answer.status.functions[0]!.trampoline.method, 'parked');
      assert.equal(answer.warnings.length, 1);
      assert.equal(await process.ask('value'), '11');
      const reverted = await process.request('revert', 'all');
      assert.ok(reverted.ok, JSON.stringify(reverted.error));
      assert.equal(reverted.warnings.length, 1);
      await process.ask('release');
    }),
  );

  it(
    'are reported when they throw or crash, and the process goes on',
    inRuntimeSession(async (session) => {
      const process = await session.run(text, options);
      for (const kind of ['throws', 'throws-after', 'crashes', 'aborts']) await add(process, kind);
      for (const n of [1, 2]) {
        const warnings = await patch(process, n);
        const how = warnings.map((message) => /(threw|ended with) .*$/.exec(message)![0]);
        assert.deepEqual(how, [
          'threw std::logic_error',
          'ended with SIGSEGV',
          'ended with SIGABRT',
          'threw std::logic_error',
        ]);
        const change = `/src/shop.cc value:${n - 1}>${n}`;
        await told(process, `before throws-after ${change}`, `after throws ${change}`);
      }
    }),
  );

  it(
    'call what is being patched, hold a lock over the change, fork, and add and remove hooks',
    inRuntimeSession(async (session) => {
      const process = await session.run(text, options);
      for (const kind of ['calls', 'locks', 'forks', 'adds']) await add(process, kind);
      assert.deepEqual(await patch(process, 1), []);
      await told(process, 'value 10', 'child 10', 'added 1 removed 0');
      await told(process, 'after forks /src/shop.cc value:0>1', 'value 11');
      assert.equal(await process.ask('locked'), '0');
      assert.deepEqual(await patch(process, 2), []);
      const change = '/src/shop.cc value:1>2';
      await told(process, 'value 11', 'child 11', `before added ${change}`);
      await told(process, `after added ${change}`, `after forks ${change}`, 'value 12');
    }),
  );

  it(
    'are taken from programs of older headers, and removed also while they run',
    inRuntimeSession(async (session) => {
      const process = await session.run(text, options);
      assert.equal(await process.ask('old'), '1 -1');
      await add(process, 'hangs', 500);
      assert.equal((await patch(process, 1)).length, 1);
      await told(process, 'before - /src/shop.cc value:0>1');
      assert.equal(await process.ask('remove 0'), '-1 16'); // EBUSY: it has not returned
      assert.equal(await process.ask('remove 7'), '-1 22'); // EINVAL
      await process.ask('release');
      assert.deepEqual(await patch(process, 2), []);
      await told(process, 'before - /src/shop.cc value:1>2');
      await add(process, 'plain');
      assert.match(await process.ask('remove 0'), /^0 /);
      assert.deepEqual(await patch(process, 3), []);
      await told(process, 'before - /src/shop.cc value:2>3');
    }),
  );

  it(
    'of a library that was unloaded are not called',
    inRuntimeSession(async (session) => {
      const process = await session.run(text, { ...options, flags: ['-rdynamic'] });
      const library = session.compile(
        'plugin.so',
        `#include "hot_fix.h"
         #include <stdio.h>
         static void before(const struct hot_fix_patch *patch, void *context) { fprintf(stderr, "plugin\\n"); }
         __attribute__((constructor)) static void start(void) {
           const struct hot_fix_hooks hooks = {sizeof hooks, before, 0, 0, 0};
           hot_fix_add_hooks(&hooks);
         }`,
        { flags: ['-shared', '-fPIC'] },
      );
      assert.equal(await process.ask(`open ${library}`), '1');
      assert.deepEqual(await patch(process, 1), []);
      await told(process, 'plugin');
      assert.equal(await process.ask('close'), '0');
      assert.deepEqual(await patch(process, 2), []);
      await add(process, 'plain');
      assert.deepEqual(await patch(process, 3), []);
      await told(process, 'before plain /src/shop.cc value:2>3', 'after plain /src/shop.cc value:2>3');
    }),
  );

  const byName = (linkage: string) => `
    #include "hot_fix.h"
    #include <stdio.h>
    ${linkage} __attribute__((noinline)) int value(int n) { __asm__ volatile("" : "+r"(n)); return n; }
    void hot_fix_before_patch(const struct hot_fix_patch *patch) {
      fprintf(stderr, "before %s %u\\n", patch->functions[0]->symbol, patch->functions[0]->new_version);
    }
    void hot_fix_after_patch(const struct hot_fix_patch *patch) {
      fprintf(stderr, "after %s %d\\n", patch->files[0], patch->error == 0);
    }
    int main(void) {
      char line[64];
      setvbuf(stdout, 0, _IOLBF, 0);
      puts("ready");
      while (fgets(line, sizeof line, stdin)) printf("%d\\n", value(10));
      return 0;
    }`;
  const named: [how: string, linkage: string, options: ProgramOptions][] = [
    [
      'preloaded, in C by gcc',
      '',
      { flags: ['-Wall', '-Werror', '-ffunction-sections', '-Wl,--gc-sections'] },
    ],
    [
      'attached to, in C++ by clang',
      'extern "C"',
      { language: 'c++', compiler: 'clang', runtime: 'attached' },
    ],
    [
      'attached to, in C by clang, not position-independent',
      '',
      { compiler: 'clang', runtime: 'attached', flags: ['-no-pie', '-Wall', '-Werror'] },
    ],
  ];
  for (const [how, linkage, more] of named)
    it(
      `are found by their names in a program that is ${how}`,
      inRuntimeSession(async (session) => {
        const process = await session.run(byName(linkage), more);
        for (const n of [1, 2]) {
          assert.deepEqual(await patch(process, n), []);
          await told(process, `before value ${n}`, 'after /src/shop.cc 1');
        }
      }),
    );
});
