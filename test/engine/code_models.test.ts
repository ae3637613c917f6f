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
