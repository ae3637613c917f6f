// Hooks that the program defines by their names, as a save meets them: told of the source and the function, reported when
// they fail, and corrected by a save themselves.
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { includeDirectory } from '../support/runtime_process';
import { inSession, Unit } from '../support/session';

const source = `#include "${join(includeDirectory, 'hot_fix.h')}"
#include <cstdio>
#include <cstring>
#include <stdexcept>
void hot_fix_before_patch(const struct hot_fix_patch *patch) { if (patch->file_count > 0) throw std::runtime_error("no"); }
void hot_fix_after_patch(const struct hot_fix_patch *patch) {
  const struct hot_fix_function *first = patch->functions[0];
  fprintf(stderr, "%s %s %u>%u\\n", strrchr(patch->files[0], '/'), first->symbol, first->old_version, first->new_version);
}
long value(long n) { return n < -1000 ? -1000 : n + 1; }
`;

for (const [compiler, flag] of [
  ['g++', '-O0'],
  ['clang++', '-O2'],
] as const)
  describe(`Hooks of the program (${compiler} ${flag})`, () => {
    it(
      'do not hold up a save when they throw, and are corrected by another',
      inSession(async (session) => {
        const unit = await Unit.start(session, source, { compiler, flags: ['-g', flag] });
        session.edit('unit.cc', 'n + 1', 'n + 2');
        const { warnings } = await session.patch('unit.cc');
        assert.deepEqual(
          warnings.map(({ code, message }) => [code, message]),
          [['hook-failed', 'the hook hot_fix_before_patch threw std::runtime_error']],
        );
        assert.equal(await unit.program.errorLine(), '/unit.cc _Z5valuel 0>1');
        assert.equal(await unit.value(1), 3);
        session.edit('unit.cc', 'file_count > 0', 'file_count > 1');
        assert.equal((await session.patch('unit.cc')).warnings.length, 1); // the old one was called before it
        assert.match(await unit.program.errorLine(), /hot_fix_before_patch 0>1$/);
        session.edit('unit.cc', 'n + 2', 'n + 3');
        assert.deepEqual((await session.patch('unit.cc')).warnings, []);
        assert.equal(await unit.program.errorLine(), '/unit.cc _Z5valuel 1>2');
        assert.equal(await unit.value(1), 4);
      }),
    );
  });
