// The published sample (native/demo), as published: a hand-written patch loaded by `kill -USR1`.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, symlinkSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/paths';
import {
  includeDirectory,
  inRuntimeSession,
  type RuntimeSession,
  staticLibrary,
} from '../support/runtime_process';

const before = Array.from({ length: 10 }, (_, n) => `before fix cur times ${n}`);
const after = [0, 1, 2].map((n) => `after fix cur times ${n}`);

/** Builds the sample in the session: its sources, beside a `hot_fix` folder as published. */
function build(session: RuntimeSession): void {
  cpSync(join(root, 'native', 'demo', 'test_prj'), session.path('test_prj'), { recursive: true });
  mkdirSync(session.path('hot_fix'));
  symlinkSync(staticLibrary, session.path('hot_fix', 'libhot_fix.a'));
  symlinkSync(join(includeDirectory, 'hot_fix.h'), session.path('hot_fix', 'hot_fix.h'));
  execFileSync('make', ['-s', '-C', session.path('test_prj'), `OUT=${session.path('out')}`]);
}

const start = (session: RuntimeSession) =>
  session.start(session.path('out', 'test_prj'), { runtime: 'embedded', cwd: session.path('out') });

describe('the published sample', () => {
  it(
    'prints what it printed, before and after kill -USR1, in the same process',
    inRuntimeSession(async (session) => {
      build(session);
      const process = await start(session);
      assert.equal(process.program.lines[0], `pid ${process.pid}`);
      for (const line of before) assert.equal(await process.program.line(), line);
      process.signal('SIGUSR1');
      const address = await process.program.line(/^after {2}fix_func addr 0x[0-9a-f]+$/);
      assert.ok(address);
      assert.equal(await process.program.line(), 'load new fix function');
      for (const line of [...after, ...after]) assert.equal(await process.program.line(), line);
      const lines = process.program.lines.slice(1);
      const first = lines.indexOf(address);
      assert.ok(first % before.length === 0);
      lines.slice(0, first).forEach((line, i) => assert.equal(line, before[i % before.length]));
      assert.deepEqual(
        lines.slice(first + 2).filter((line) => !after.includes(line)),
        [],
      );
      const answer = await process.answer('signal');
      assert.equal(answer.ok, true);
      assert.equal(answer.status.patches[0]!.kind, 'fix_table');

      const [reverted] = (await process.done('revert', 'all')).functions;
      assert.equal(reverted!.version, 0);
      for (const line of before) assert.equal(await process.program.line((text) => text === line), line);
    }),
  );

  it(
    'loads a patch that was built again under the same name',
    inRuntimeSession(async (session) => {
      build(session);
      const process = await start(session);
      process.signal('SIGUSR1');
      await process.program.line('after fix cur times 2');
      const source = session.path('test_prj', 'fix_patch.cc');
      const text = readFileSync(source, 'utf8');
      writeFileSync(source, text.replace('after fix cur times', 'after second fix cur times'));
      execFileSync('make', ['-s', '-C', session.path('test_prj'), `OUT=${session.path('out')}`, 'patch']);
      process.signal('SIGUSR1');
      await process.program.line('after second fix cur times 2');
    }),
  );

  it(
    'says why a hand-written patch cannot be loaded, and runs on',
    inRuntimeSession(async (session) => {
      build(session);
      const process = await start(session);
      const broken = session.path('out', 'patch.so');
      writeFileSync(broken, 'not a shared object');
      process.signal('SIGUSR1');
      const answer = await process.answer('signal');
      assert.equal(answer.error?.code, 'seed-patch-failed');
      const bare = session.path('bare.so');
      writeFileSync(session.path('bare.c'), 'int nothing;');
      execFileSync('gcc', ['-shared', '-fPIC', session.path('bare.c'), '-o', bare]);
      assert.match(await process.refused('seed-patch-failed', 'load', `file ${bare}`), /fix_table/);
      await process.program.line('before fix cur times 9');
    }),
  );

  it(
    'may name several functions in its table',
    inRuntimeSession(async (session) => {
      const source = `
        #include <stdio.h>
        #include "hot_fix.h"
        __attribute__((noipa)) int one(void) { return 1; }
        __attribute__((noipa)) int two(void) { return 2; }
        int main(void) {
          char line[8];
          setvbuf(stdout, 0, _IOLBF, 0);
          init_hot_fix_signal();
          puts("ready");
          while (fgets(line, sizeof line, stdin)) printf("%d %d\\n", one(), two());
          return 0;
        }`;
      const process = await session.run(source, { runtime: 'embedded', flags: ['-rdynamic'] });
      const patch = session.path('both.so');
      writeFileSync(
        session.path('both.c'),
        `#include "hot_fix.h"
         int one(void); int two(void);
         static int new_one(void) { return 11; }
         static int new_two(void) { return 22; }
         FIXTABLE fix_table[] = {{(void *)new_one, (void *)one}, {(void *)new_two, (void *)two}};`,
      );
      const include = `-I${includeDirectory}`;
      execFileSync('gcc', ['-O1', '-shared', '-fPIC', include, session.path('both.c'), '-o', patch]);
      const status = await process.done('load', `file ${patch}`);
      assert.equal(await process.ask(''), '11 22');
      assert.deepEqual(
        status.functions.map((f) => f.trampoline.kind),
        ['jmp-rel32+island', 'jmp-rel32+island'],
      );
      await process.revert('one', 0);
      assert.equal(await process.ask(''), '1 22');
    }),
  );

  it(
    'may fork while it is loaded, and its child lives',
    inRuntimeSession(async (session) => {
      const source = `
        #include <stdio.h>
        #include "hot_fix.h"
        int child_status = -1;
        __attribute__((noipa)) int one(void) { return 1; }
        int main(void) {
          char line[8];
          setvbuf(stdout, 0, _IOLBF, 0);
          init_hot_fix_signal();
          puts("ready");
          while (fgets(line, sizeof line, stdin)) printf("%d %d\\n", one(), child_status);
          return 0;
        }`;
      const process = await session.run(source, { runtime: 'embedded', flags: ['-rdynamic'] });
      writeFileSync(
        session.path('forks.c'),
        `#include <stdlib.h>
         #include <sys/wait.h>
         #include <unistd.h>
         #include "hot_fix.h"
         extern int child_status;
         int one(void);
         static int new_one(void) { return 11; }
         static void __attribute__((noinline)) use_stack(void) { volatile char c[60000]; for (int i = 0; i < 60000; i++) c[i] = i; }
         __attribute__((constructor)) static void load(void) {
           pid_t child = fork();
           if (child == 0) {
             usleep(50000);
             use_stack();
             _exit(7);
           }
           int status = 0;
           waitpid(child, &status, 0);
           child_status = status;
         }
         FIXTABLE fix_table = {(void *)new_one, (void *)one};`,
      );
      const patch = session.path('forks.so');
      execFileSync('gcc', [
        ...['-O1', '-shared', '-fPIC', `-I${includeDirectory}`],
        ...[session.path('forks.c'), '-o', patch],
      ]);
      await process.done('load', `file ${patch}`);
      assert.equal(await process.ask(''), `11 ${7 << 8}`);
    }),
  );
});
