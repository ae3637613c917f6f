// Functions that the compiler or the linker made one because they were equal: an edit of one of them must not change the
// others, and an edit that makes two of them equal must change both.
import { strict as assert } from 'node:assert';
import { inSession, Unit, type UnitOptions } from '../support/session';

const twoStatics = `static volatile long calls;
__attribute__((noinline)) static long first(long n) { calls++; return n * 3 + 7; }
__attribute__((noinline)) static long second(long n) { calls++; return n * 3 + 7; }
__attribute__((noinline)) static long third(long n) { return first(n) + 1; }
__attribute__((noinline)) static long fourth(long n) { return second(n) + 1; }
long value(long n) { return (third(n) * 1000 + fourth(n)) * 1000 + second(n + 1); }
`;

/** Takes the names of folded functions out of the symbol table: nothing is known to be folded. */
const GOLD = '-fuse-ld=gold';

const builds: Record<string, UnitOptions> = {
  'gcc -O2': { language: 'c', compiler: 'gcc', flags: ['-O2', '-g'] },
  'gcc -O1, lld': {
    language: 'c',
    compiler: 'gcc',
    flags: ['-O1', '-g', '-ffunction-sections'],
    linkFlags: ['-fuse-ld=lld', '-Wl,--icf=all'],
  },
  'clang -O2, lld': {
    language: 'c',
    compiler: 'clang',
    flags: ['-O2', '-g', '-ffunction-sections', '-faddrsig'],
    linkFlags: ['-fuse-ld=lld', '-Wl,--icf=all'],
  },
  'gcc -O0, gold': {
    language: 'c',
    compiler: 'gcc',
    flags: ['-O0', '-g', '-ffunction-sections'],
    linkFlags: [GOLD, '-Wl,--icf=all'],
  },
};

describe('functions that were folded', () => {
  for (const [build, options] of Object.entries(builds).filter(
    ([, { linkFlags }]) => !linkFlags?.includes(GOLD),
  )) {
    it(
      `are changed one by one when only calls lead to them (${build})`,
      inSession(async (session) => {
        const unit = await Unit.start(session, twoStatics, options);
        assert.equal(await unit.value(1), 11011013);
        await session.patch(unit.file, 'unchanged');
        const edit = (from: RegExp, to: string) => session.edit(unit.file, from, to);
        edit(/(long first.*) \+ 7/, 'long first(long n) { calls++; return n * 3 + 8');
        await session.patch(unit.file);
        assert.equal(await unit.value(1), 12011013);
        await session.patch(unit.file, 'unchanged');
        edit(/(long first.*) \+ 8/, 'long first(long n) { calls++; return n * 3 + 9');
        await session.patch(unit.file);
        assert.equal(await unit.value(1), 13011013);
        edit(/(long second.*) \+ 7/, 'long second(long n) { calls++; return n * 3 + 4');
        await session.patch(unit.file);
        assert.equal(await unit.value(1), 13008010);
        await session.patch(unit.file, 'unchanged');
        session.write(unit.file, twoStatics);
        await session.patch(unit.file, 'reverted');
        assert.equal(await unit.value(1), 11011013);
        await session.patch(unit.file, 'unchanged');
      }),
    );

    it(
      `are changed together when both are edited alike (${build})`,
      inSession(async (session) => {
        const unit = await Unit.start(session, twoStatics, options);
        session.edit(unit.file, /\+ 7/, '+ 5');
        session.edit(unit.file, /\+ 7/, '+ 5');
        await session.patch(unit.file);
        assert.equal(await unit.value(1), 9009011);
        session.write(unit.file, twoStatics);
        await session.patch(unit.file, 'reverted');
        assert.equal(await unit.value(1), 11011013);
      }),
    );
  }

  for (const [build, options] of Object.entries(builds).slice(1))
    it(
      `are refused when others may call them (${build})`,
      inSession(async (session) => {
        const text = twoStatics
          .replaceAll('static long', 'long')
          .replace('long value', 'long (*kept)(long) = first;\nlong value');
        const unit = await Unit.start(session, text, options);
        assert.equal(await unit.value(1), 11011013);
        const result = await unit.editAndBeRefused(/\+ 7/, '+ 8', 'folded-function');
        assert.match(result.refusals.find(({ code }) => code === 'folded-function')!.message, /second/);
      }),
    );

  const virtual = `struct Shape {
      virtual long first(long n);
      virtual long second(long n);
    };
    static volatile long calls;
    long Shape::first(long n) { calls++; return n * 3 + 7; }
    long Shape::second(long n) { calls++; return n * 3 + 7; }
    static Shape shape;
    static Shape *volatile kept = &shape;
    long value(long n) { return kept->first(n) * 1000 + kept->second(n); }
  `;
  it(
    'are refused when they are virtual, and patched when both are edited alike (gcc -O2)',
    inSession(async (session) => {
      const unit = await Unit.start(session, virtual);
      assert.equal(await unit.value(1), 10010);
      await unit.editAndBeRefused(/\+ 7/, '+ 8', 'folded-function');
      await unit.editAndPatch(/\+ 7/, '+ 8');
      assert.equal(await unit.value(1), 11011);
    }),
  );

  it(
    'only by the edit are both changed (gcc -O2)',
    inSession(async (session) => {
      const unit = await Unit.start(session, virtual.replace('+ 7', '+ 6'));
      assert.equal(await unit.value(1), 9010);
      await unit.editAndPatch('+ 6', '+ 7');
      assert.equal(await unit.value(1), 10010);
      await unit.editAndPatch(/\+ 7/, '+ 6', 'reverted');
      assert.equal(await unit.value(1), 9010);
    }),
  );
});
