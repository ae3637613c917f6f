// Programs that count what of them runs, for gcov or for a profile. The counters are no part of the text: a function that
// gets more of them is edited like any other, and at the end the program reports those that it began with.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import type { PatchResult } from '../../extension/engine/model/result';
import { inSession, type Session, Unit } from '../support/session';

const builds = [
  'g++ --coverage -O0',
  'g++ --coverage -O2',
  'clang++ --coverage -O0',
  'clang++ --coverage -O2',
  'clang++ -fprofile-instr-generate -O0',
  'clang++ -fprofile-instr-generate -fcoverage-mapping -O2',
  'clang++ -fprofile-generate -O2',
];

/** clang's library of counters is a package of its own. */
const LIBRARY = 'libclang_rt.profile-x86_64.a';
const hasLibrary = (compiler: string): boolean =>
  compiler === 'g++' ||
  existsSync(spawnSync(compiler, [`-print-file-name=${LIBRARY}`], { encoding: 'utf8' }).stdout.trim());

const SOURCE = `static long state = 100;
inline __attribute__((noinline)) long shared(long n) { return n + 1; }
template <class T> __attribute__((noinline)) T doubled(T n) { return n * 2; }
__attribute__((noinline)) static long first(long n) { return n + 2; }
__attribute__((noinline)) static long second(long n) { state += n; return state; }
long value(long n) { return first(n) * 1000000 + second(n) + shared(n) + doubled(n) * 1000; }
`;

const names = ({ processes }: PatchResult) => processes[0]!.functions.map(({ name }) => name).sort();

for (const build of builds) {
  const [compiler = '', ...flags] = build.split(' ');
  describe(`Functions with counters (${build})`, () => {
    if (!hasLibrary(compiler)) {
      it(`not run: ${LIBRARY} not installed`);
      return;
    }
    const start = (session: Session) =>
      Unit.start(session, SOURCE, {
        compiler,
        flags: ['-g', ...flags],
        linkFlags: flags.filter((flag) => flag !== '-fcoverage-mapping'),
      });

    it(
      'get more of them, and those of before by the undo',
      inSession(async (session) => {
        const unit = await start(session);
        assert.equal(await unit.value(3), 5_000_000 + 103 + 4 + 6_000);
        await session.patch(unit.file, 'unchanged');
        for (const [from, to, name, value] of [
          ['return n + 2;', 'if (n > 2) n += 3; return n > 7 ? 1 : n + 2;', 'first(long)', 8_006_110],
          ['return n + 1;', 'if (n > 2) n += 3; return n > 7 ? 1 : n + 1;', 'shared(long)', 5_006_119],
          [
            'return n * 2;',
            'if (n > 2) n += 3; return n > 70 ? 1 : n * 2;',
            'long doubled<long>(long)',
            5_012_122,
          ],
          ['return first(n) *', 'if (n > 100) n = 100; return first(n) *', 'value(long)', 5_006_128],
        ] as const) {
          const edited = await unit.editAndPatch(from, to);
          assert.deepEqual([names(edited).includes(name), edited.warnings], [true, []]);
          assert.equal(await unit.value(3), value);
          await session.patch(unit.file, 'unchanged');
          const undone = await unit.editAndPatch(to, from, 'reverted');
          assert.deepEqual(undone.warnings, []);
          await unit.value(3);
        }
      }),
    );

    it(
      'call through pointers, of which a profile has the targets',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `typedef long (*step)(long);
           __attribute__((noinline)) static long one(long n) { return n + 1; }
           __attribute__((noinline)) static long two(long n) { return n + 2; }
           static step steps[] = {one, two};
           step chosen = one;
           long value(long n) { chosen = steps[n & 1]; long sum = chosen(n); return sum * 10; }`,
          {
            compiler,
            flags: ['-g', ...flags],
            linkFlags: flags.filter((flag) => flag !== '-fcoverage-mapping'),
          },
        );
        assert.equal(await unit.value(3), 50);
        await session.patch(unit.file, 'unchanged');
        await unit.editAndPatch('return sum * 10;', 'return sum * 100;');
        assert.deepEqual([await unit.value(3), await unit.value(4)], [500, 500]);
        await session.patch(unit.file, 'unchanged');
        await unit.editAndPatch('return sum * 100;', 'return sum * 100 + steps[1 - (n & 1)](n);');
        assert.deepEqual([await unit.value(3), await unit.value(4)], [504, 506]);
        await session.patch(unit.file, 'unchanged');
        await unit.editAndPatch('return n + 2;', 'if (n > 7) n++; return n + 3;');
        assert.deepEqual([await unit.value(3), await unit.value(4)], [604, 507]);
        await unit.editAndPatch('if (n > 7) n++; return n + 3;', 'return n + 2;', 'reverted');
        session.edit(unit.file, ' + steps[1 - (n & 1)](n)', '');
        await unit.editAndPatch('sum * 100', 'sum * 10', 'reverted');
        assert.equal(await unit.value(3), 50);
        unit.program.endInput();
        assert.equal(await unit.program.exit(), 0);
      }),
    );

    it(
      'keep theirs while functions come and go, and report them at the end',
      inSession(async (session) => {
        const unit = await start(session);
        // Compilers number counters as the functions come: all others get another number.
        const added = await unit.editAndPatch(
          'static long state = 100;',
          'static long state = 100; __attribute__((noinline)) long before(long n) { return n + 5; }',
          'unchanged',
        );
        assert.deepEqual(added.warnings, []);
        const used = await unit.editAndPatch('state += n;', 'state += before(n);');
        assert.deepEqual([names(used).includes('second(long)'), used.warnings], [true, []]);
        assert.equal(await unit.value(3), 5_000_000 + 108 + 4 + 6_000);
        await session.patch(unit.file, 'unchanged');
        await unit.editAndPatch('state += before(n);', 'state += n;', 'reverted');
        assert.equal(await unit.value(3), 5_000_000 + 111 + 4 + 6_000);
        unit.program.endInput();
        assert.equal(await unit.program.exit(), 0);
        const reported = readdirSync(session.directory).filter((name) => /\.(gcda|profraw)$/.test(name));
        assert.notDeepEqual(reported, []);
      }),
    );
  });
}
