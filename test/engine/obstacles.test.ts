// What keeps a runtime from its work although it is there: each is named, and is no obstacle for the next save once it
// is gone.
import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HotPatchError } from '../../extension/engine/model/errors';
import { createRuntimeClient } from '../../extension/engine/process/runtime_client';
import { ready, withEngine } from '../support/engines';
import { controlDirectory } from '../support/memory';
import { inSession, type Session, Unit } from '../support/session';
import { until } from '../support/until';

/** A thread loads a library whose constructor waits for a byte, and has the loader's lock meanwhile. */
const loading = `
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int pipes[2];
static void *load(void *unused) {
  void *library = dlopen("./slow.so", RTLD_NOW);
  return library;
}
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  if (pipe(pipes) || dup2(pipes[0], 100) < 0) return 1;
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    pthread_t thread;
    if (!strcmp(line, "load\\n")) pthread_create(&thread, 0, load, 0);
    else if (write(pipes[1], "x", 1) != 1) return 1;
  }
  return 0;
}`;
const slow = `
#include <unistd.h>
__attribute__((constructor)) static void wait_for_byte(void) {
  char byte;
  if (write(1, "held\\n", 5) == 5 && read(100, &byte, 1) == 1 && write(1, "done\\n", 5) == 5) return;
}`;

describe('a runtime that cannot work', () => {
  it(
    'because its signals may not be queued is told as such',
    inSession(async (session) => {
      const unit = await Unit.start(session, 'long value(long n) { return n * 2; }\n', { language: 'c' });
      const pid = String(unit.program.pid);
      await session.run('prlimit', ['--pid', pid, '--sigpending=0:1000']);
      session.edit(unit.file, 'n * 2', 'n * 3');
      const failed = await session.hotPatch('patch', unit.file);
      assert.match(failed.stderr, /no room \(RLIMIT_SIGPENDING\) \[signal-refused\]/);
      assert.equal(await unit.value(7), 14);
      await session.run('prlimit', ['--pid', pid, '--sigpending=1000:1000']);
      await session.patch(unit.file);
      assert.equal(await unit.value(7), 21);
    }),
  );

  it(
    'because another thread has the loader’s lock is told as such, and works when that has gone on',
    inSession(async (session) => {
      session.write('slow.c', slow);
      session.write('empty.c', '');
      for (const name of ['slow', 'empty'])
        await session.run('gcc', ['-shared', '-fPIC', `${name}.c`, '-o', `${name}.so`]);
      session.write('program.c', loading);
      await session.build({ sources: ['program.c'], flags: ['-g'], linkFlags: ['-pthread', '-ldl'] });
      const program = await session.start();
      await withEngine(session, async (engine) => {
        const target = await ready(engine, program.pid);
        assert.equal(await program.ask('load'), 'held');
        const names = {
          demangle: (all: readonly string[]) => Promise.resolve([...all]),
          log: () => undefined,
        };
        const client = createRuntimeClient(target, names);
        await assert.rejects(
          client.load(session.path('empty.so'), { timeout: 500 }),
          (error: unknown) =>
            error instanceof HotPatchError &&
            error.code === 'answer-lost' &&
            /waits for the loader's lock, which another thread holds/.test(error.message),
        );
        assert.equal(await program.ask('go on'), 'done');
        assert.equal((await client.load(session.path('empty.so'))).error?.code, 'seed-patch-failed');
      });
    }),
  );
});

/** Nobody has that number; taking it needs root. */
const OTHER = 61_111;
const asRoot = process.getuid!() === 0 ? it : (name: string) => it.skip(`${name} (needs root)`);

const changing = `
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) int value(int n) { return n * 2; }
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (line[0] == 'f') printf("%d\\n", setresuid(${OTHER}, ${OTHER}, ${OTHER}));
    else if (line[0] == 's') printf("%d\\n", seteuid(line[1] == '0' ? 0 : ${OTHER}));
    else printf("%d\\n", value(1));
  }
}`;

describe('a process that takes on other user ids while it runs', () => {
  const start = async (session: Session) => {
    session.write('program.c', changing);
    await session.build({ sources: ['program.c'], flags: ['-g'] });
    const program = await session.start();
    await session.patch('program.c', 'unchanged'); // its runtime is there
    return program;
  };

  asRoot(
    'for good is patched on, through a directory of its new user',
    inSession(async (session) => {
      const program = await start(session);
      session.edit('program.c', 'n * 2', 'n * 3');
      await session.patch('program.c');
      const before = controlDirectory(session.path('run'), program.pid)!;
      assert.equal(await program.ask('for good'), '0');
      const after = `/tmp/hot_fix-${OTHER}/${program.pid}`;
      await until(() => existsSync(join(after, 'process.json')), Boolean);
      session.edit('program.c', 'n * 3', 'n * 4');
      await session.patch('program.c');
      assert.equal(await program.ask('value'), '4');
      program.endInput();
      assert.equal(await program.exit(), 0);
      await session.hotPatch('ps');
      assert.deepEqual([before, after].map(existsSync), [false, false]);
    }),
  );

  asRoot(
    'for a while cannot be reached meanwhile, which is said at once and with the ids',
    inSession(async (session) => {
      const program = await start(session);
      session.edit('program.c', 'n * 2', 'n * 3');
      assert.equal(await program.ask('s1'), '0');
      const run = await session.hotPatch('patch', 'program.c');
      assert.match(
        run.stderr,
        /it runs with user ids that differ \(real 0, effective 61111\), .* \[runtime-unreachable\]/,
      );
      assert.equal(await program.ask('value'), '2');
      assert.equal(await program.ask('s0'), '0');
      await session.patch('program.c');
      assert.equal(await program.ask('value'), '3');
    }),
  );
});
