// Code that reaches everything by addresses of eight bytes (`-mcmodel=large` without position independence).
import { strict as assert } from 'node:assert';
import { inSession, Unit } from '../support/session';

for (const compiler of ['gcc', 'clang'])
  for (const optimise of ['-O0', '-O2'])
    describe(`An edit of code for the large model (${compiler} ${optimise})`, () => {
      it(
        'calls functions of libraries, of which the program used some and others not, and keeps a pointer to one',
        inSession(async (session) => {
          const unit = await Unit.start(
            session,
            `#include <stdlib.h>
static long calls;
static int (*volatile order)(const char *, const char *);
int strverscmp(const char *, const char *);
__attribute__((noinline)) static long helper(long n) { return n * 3 + strtol("4", 0, 10); }
long value(long n) { calls++; return helper(n) + calls + (order ? order("7", "10") < 0 : 0); }
`,
            { language: 'c', compiler, flags: [optimise, '-g', '-mcmodel=large', '-fno-pie', '-no-pie'] },
          );
          assert.equal(await unit.value(3), 9 + 4 + 1);
          await session.patch(unit.file, 'unchanged');
          await unit.editAndPatch('strtol("4", 0, 10)', 'strtol("4", 0, 10) + (long)strtoul("5", 0, 10)');
          assert.equal(await unit.value(3), 9 + 9 + 2);
          await session.patch(unit.file, 'unchanged');
          await unit.editAndPatch('calls++;', 'calls++; order = strverscmp;');
          assert.equal(await unit.value(3), 9 + 9 + 3 + 1);
          session.edit(unit.file, ' order = strverscmp;', '');
          await unit.editAndPatch(' + (long)strtoul("5", 0, 10)', '', 'reverted');
          assert.equal(await unit.value(3), 9 + 4 + 4 + 1);
        }),
      );
    });

describe('The types that code catches', () => {
  const source = `#include <stdexcept>
__attribute__((noinline)) static long thrower(long n) {
  if (n == 1) throw std::runtime_error("r");
  if (n == 2) throw std::logic_error("l");
  return n;
}
long value(long n) {
  try { return thrower(n); } catch (const std::runtime_error &) { return 100; } catch (const std::exception &) { return 200; }
}
`;
  // A program that is not position-independent has their addresses in its tables, others distances. What the save is compiled
  // to, to reach a library, are distances of eight bytes (gcc).
  for (const compiler of ['g++', 'clang++'])
    for (const flags of [['-fno-pie', '-no-pie'], ['-fPIC']])
      for (const level of ['-O0', '-O2'])
        it(
          `may be one that the program has not used before (${compiler} ${[level, ...flags].join(' ')})`,
          inSession(async (session) => {
            const unit = await Unit.start(session, source, { compiler, flags: [level, '-g', ...flags] });
            assert.deepEqual([await unit.value(1), await unit.value(2)], [100, 200]);
            await session.patch(unit.file, 'unchanged');
            await unit.editAndPatch('const std::runtime_error &', 'const std::bad_exception &');
            assert.deepEqual([await unit.value(1), await unit.value(2)], [200, 200]);
            await session.patch(unit.file, 'unchanged');
            await unit.editAndPatch('const std::bad_exception &', 'const std::logic_error &');
            assert.deepEqual([await unit.value(1), await unit.value(2)], [200, 100]);
            await unit.editAndPatch('const std::logic_error &', 'const std::runtime_error &', 'reverted');
            assert.deepEqual([await unit.value(1), await unit.value(2)], [100, 200]);
          }),
        );
});
