// Functions of one to four bytes with no padding behind them have no room for a jump. Where only direct calls of their
// own file lead to them, these go to the new version instead; all others are refused. What is padding depends on the linker.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { inSession, Unit } from '../support/session';

const source = `static __attribute__((noinline)) long same(long n) { return n; }
static __attribute__((noinline)) long next(long n) { return same(n) + 1; }
static __attribute__((noinline)) long last(long n) { return (int)n; }
long (*kept)(long) = last;
long value(long n) { return same(n) * 100 + next(n) + kept(0); }
`;

describe('a function that is too short for a jump', () => {
  for (const flags of [
    ['-Os', '-g'],
    ['-O1', '-g'],
  ])
    it(
      `is replaced in its callers when nothing else leads to it: gcc ${flags[0]!}`,
      inSession(async (session) => {
        const unit = await Unit.start(session, source, { flags });
        assert.equal(await unit.value(1), 102);
        const { changed } = await unit.editAndPatch(
          'same(long n) { return n; }',
          'same(long n) { return n + 4; }',
        );
        assert.ok(changed.length > 0);
        assert.equal(await unit.value(1), 506);
        await unit.editAndPatch('same(long n) { return n + 4; }', 'same(long n) { return n * 9; }');
        assert.equal(await unit.value(1), 910);
        await unit.editAndPatch('same(long n) { return n * 9; }', 'same(long n) { return n; }', 'reverted');
        assert.equal(await unit.value(1), 102);
        await session.patch('unit.cc', 'unchanged');
        const refused = await unit.editAndBeRefused(
          'last(long n) { return (int)n; }',
          'last(long n) { return (int)n + 7; }',
          'entry-too-short',
        );
        assert.match(refused.refusals[0]!.message, /last.* bytes long/);
      }),
    );
});

const hasMold = spawnSync('mold', ['--version']).status === 0;

describe('a short function behind which mold left zeros', () => {
  if (!hasMold) {
    it('not run: mold not installed');
    return;
  }
  it(
    'has room for a jump, and its bytes back when the edit is undone',
    inSession(async (session) => {
      session.write('behind.cc', 'void behind() {}\n');
      const unit = await Unit.start(session, 'long value(long n) { return (int)n; }\n', {
        sources: ['behind.cc'],
        linkFlags: ['-fuse-ld=mold'],
      });
      await unit.editAndPatch('(int)n', '(int)n + 7');
      assert.equal(await unit.value(1), 8);
      await unit.editAndPatch('(int)n + 7', '(int)n', 'reverted');
      assert.equal(await unit.value(1), 1);
      await session.patch('unit.cc', 'unchanged');
    }),
  );
});
