// Programs of clang's AddressSanitizer: the sanitizer describes every variable and string of a unit, and no edit that adds
// or removes one is refused for that. What exists keeps its state, its place and its red zones.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import type { PatchResult } from '../../extension/engine/model/result';
import { inSession, Unit, type UnitOptions } from '../support/session';

const watched = '-fsanitize=address';

/** The array of the descriptions is one of the unit in clang 14, and a section in newer ones. */
const builds = ['clang++ -O0', 'clang++ -O2', 'clang++-19 -O0', 'clang++-19 -O2'].flatMap((text) => {
  const [compiler = '', ...flags] = text.split(' ');
  const options: UnitOptions = { compiler, flags: ['-g', watched, ...flags], linkFlags: [watched] };
  return spawnSync('which', [compiler]).status === 0 ? [{ text, options }] : [];
});

const names = ({ changed }: PatchResult): string[] => changed.map(({ kind, name }) => `${kind} ${name}`);

for (const { text, options } of builds)
  describe(`In a program under AddressSanitizer (${text}), an edit`, () => {
    it(
      'adds variables and strings, and takes them away again',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `#include <cstring>
           long calls;
           static long length(const char *text) { return strlen(text) + strlen("ab"); }
           long value(long n) { static long sum = 100; sum += n; calls++; return sum + calls * 1000 + length("abc"); }`,
          options,
        );
        assert.equal(await unit.value(1), 1106);
        const edited =
          'long more[40] = {7, 8};\n long value(long n) { static long told = 50000; static long sum';
        session.edit(unit.file, 'long value(long n) { static long sum', edited);
        const added = await unit.editAndPatch('"abc")', '"abc") + length("abcdefgh") + more[1] + told++');
        assert.deepEqual([added.warnings, names(added)], [[], ['changed value(long)']]);
        assert.equal(await unit.value(1), 102 + 2000 + 5 + 10 + 8 + 50000);
        assert.equal(await unit.value(1), 103 + 3000 + 5 + 10 + 8 + 50001);
        const removed = await unit.editAndPatch(' + length("abcdefgh") + more[1] + told++', '', 'reverted');
        assert.deepEqual([removed.warnings, names(removed)], [[], ['reverted value(long)']]);
        assert.equal(await unit.value(1), 104 + 4000 + 5);
      }),
    );

    it(
      'adds an object beside one that was constructed at start',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `#include <string>
           static std::string first("first");
           long value(long n) { first += 'x'; return n * 1000 + first.size(); }`,
          options,
        );
        assert.equal(await unit.value(1), 1006);
        const edited =
          'static std::string second("second");\n long value(long n) { second += \'y\'; n += second.size();';
        // Where the functions of the objects are one, it would construct both.
        if (!text.endsWith('-O0')) {
          session.edit(unit.file, 'long value(long n) {', edited);
          await session.refused(unit.file, 'needs-constructor');
          assert.equal(await unit.value(1), 1007);
          return;
        }
        await unit.editAndPatch('long value(long n) {', edited);
        assert.equal(await unit.value(1), 8007);
        assert.equal(await unit.value(1), 9008);
      }),
    );

    it(
      'is watched on: what writes behind a variable that exists is reported',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `static long values[4] = {1, 2, 3, 4};
           long value(long n) { values[n & 3] += 10; return values[n & 3]; }`,
          options,
        );
        assert.equal(await unit.value(1), 12);
        const edited =
          'static long others[2]; others[n & 1]++; values[n] += 10; return values[n] + others[n & 1]';
        await unit.editAndPatch('values[n & 3] += 10; return values[n & 3]', edited);
        assert.equal(await unit.value(1), 23);
        unit.program.send('4');
        assert.match(await unit.program.errorLine(/AddressSanitizer/), /global-buffer-overflow/);
      }),
    );

    it(
      'that makes a variable larger is refused, though the larger one would fit into its red zone',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `static int sum = 3;
           long value(long n) { sum += n; return sum; }`,
          options,
        );
        assert.equal(await unit.value(1), 4);
        session.edit(unit.file, 'static int', 'static long');
        await session.refused(unit.file, 'variable-changed');
        assert.equal(await unit.value(1), 5);
      }),
    );
  });
