// What an ordinary link would supply and the program did not need until the edit: helpers of the compiler's library, the
// static part of the C library, and the name of a library that is not loaded.
import { strict as assert } from 'node:assert';
import { utimesSync } from 'node:fs';
import { inSession, Unit } from '../support/session';

const builds = [
  ['gcc', '-O0'],
  ['gcc', '-O2'],
  ['clang', '-O0'],
  ['clang', '-O2'],
] as const;

describe('an edit that needs what the program was not linked with', () => {
  for (const [compiler, optimise] of builds) {
    it(
      `gets it from the compiler's library, and again after the next edit and an undo (${compiler} ${optimise})`,
      inSession(async (session) => {
        const plain = 'long value(long n) { wide += n; return n + 1; }';
        const divided = 'long value(long n) { wide += n; return (long)(wide * 1000 / (n + 1)) + 1; }';
        const unit = await Unit.start(session, `static volatile __int128 wide;\n${plain}\n`, {
          language: 'c',
          compiler,
          flags: [optimise, '-g'],
        });
        assert.equal(await unit.value(4), 5);
        await unit.editAndPatch(plain, divided);
        assert.equal(await unit.value(1), 2501);
        await unit.editAndPatch('* 1000', '* 100');
        assert.equal(await unit.value(5), 167);
        await unit.editAndPatch(divided.replace('* 1000', '* 100'), plain, 'reverted');
        assert.equal(await unit.value(9), 10);
        await unit.editAndPatch(plain, divided);
        assert.equal(await unit.value(0), 19001);
      }),
    );

    it(
      `gets a table that such a helper reads (${compiler} ${optimise})`,
      inSession(async (session) => {
        const unit = await Unit.start(session, 'long value(long n) { return n + 1; }\n', {
          language: 'c',
          compiler,
          flags: [optimise, '-g', '-fpatchable-function-entry=5'],
        });
        await unit.editAndPatch('n + 1', 'n + 1 + __builtin_parityl(n) + __builtin_popcountl(n)');
        assert.equal(await unit.value(7), 12);
      }),
    );
  }

  it(
    'gets it in two processes, each its own',
    inSession(async (session) => {
      const source = 'static volatile __int128 wide = 7;\nlong value(long n) { return n + 1; }\n';
      const unit = await Unit.start(session, source, { language: 'c' });
      const second = await session.start();
      session.edit('unit.c', 'n + 1', '(long)((wide << 64) / (n + 1) >> 60)');
      await session.patch(['unit.c', '--all']);
      assert.deepEqual([await unit.value(1), Number(await second.ask('6'))], [56, 16]);
      session.edit('unit.c', '(wide << 64) /', '(wide << 64) %');
      await session.patch(['unit.c', '--all']);
      assert.deepEqual([await unit.value(6), Number(await second.ask('4'))], [0, 0]);
    }),
  );

  it(
    'gets the static part of the C library',
    inSession(async (session) => {
      const source = `#include <stdlib.h>
#include <unistd.h>
static void goodbye(void) { if (write(1, "goodbye\\n", 8) < 0) abort(); }
void (*farewell)(void) = goodbye;
long value(long n) { return n + 1; }
`;
      const unit = await Unit.start(session, source, { language: 'c' });
      await unit.editAndPatch('return n + 1', 'return atexit(goodbye) + n + 2');
      assert.equal(await unit.value(3), 5);
      unit.program.endInput();
      assert.equal(await unit.program.line(/goodbye/), 'goodbye');
      assert.equal(await unit.program.exit(), 0);
    }),
  );

  for (const [compiler, optimise] of [builds[0], builds[3]])
    it(
      `gets it from a static library of the build, unless that is older than its source (${compiler} ${optimise})`,
      inSession(async (session) => {
        session.write('used.c', 'long used(long n) { return n + 1; }\n');
        session.write(
          'twice.c',
          'static long calls;\nlong twice(long n) { calls++; return n * 2 + calls; }\n',
        );
        session.write('newer.c', 'long newer(long n) { return n; }\n');
        for (const name of ['used', 'twice', 'newer'])
          await session.run(compiler, [optimise, '-g', '-c', `${name}.c`, '-o', `${name}.o`]);
        await session.run('ar', ['rcs', 'libparts.a', 'used.o', 'twice.o', 'newer.o']);
        const unit = await Unit.start(
          session,
          'long used(long n), twice(long n), newer(long n);\nlong value(long n) { return used(n); }\n',
          { language: 'c', compiler, flags: [optimise, '-g'], linkFlags: ['libparts.a'] },
        );
        assert.equal(await unit.value(4), 5);
        await unit.editAndPatch('return used(n)', 'return twice(n)');
        assert.equal(await unit.value(4), 9);
        await unit.editAndPatch('return twice(n)', 'return twice(n) + 10');
        assert.equal(await unit.value(4), 20);
        await unit.editAndPatch('return twice(n) + 10', 'return used(n)', 'reverted');
        utimesSync(session.path('newer.c'), 4e9, 4e9);
        await unit.editAndBeRefused('return used(n)', 'return newer(n)', 'unresolved-symbol');
      }),
    );

  it(
    'is told the library that has it, when the process has not loaded it',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        '#include <math.h>\nlong value(long n) { return n < -1000 ? -1000 : n; }\n',
        { language: 'c' },
      );
      const result = await unit.editAndBeRefused('return n <', 'return pow(n, 3.5) <', 'unresolved-symbol');
      assert.match(result.refusals[0]!.message, /pow is in libm\.so\.6, which the process has not loaded/);
    }),
  );
});
