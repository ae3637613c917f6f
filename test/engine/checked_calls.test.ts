// Calls through pointers that clang checks (-fsanitize=function, a part of -fsanitize=undefined in C++): the caller reads
// what kind of function it calls at the entry of that function (up to clang 16), or in front of it. After an edit a right
// call passes, and a wrong one is reported.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { inSession, type Session, Unit } from '../support/session';

const SANITIZED = ['-fsanitize=undefined'];

const start = (session: Session, text: string, compiler: string, level: string): Promise<Unit> =>
  Unit.start(session, text, {
    compiler,
    flags: [level, '-g', ...SANITIZED],
    linkFlags: SANITIZED,
  });

const TEXT = `typedef long (*Step)(long);
typedef int (*Other)(int);
long twice(long n) { return n * 2; }
static long thrice(long n) { return n * 3; }
Step volatile table[] = {twice, thrice};
long value(long n) {
  if (n < 0) return ((Other)(void *)table[-n - 1])(1);
  long sum = 0;
  for (Step step : table) sum += step(n);
  return sum;
}
`;

const reports = ({ program }: Unit): string[] =>
  program.errorLines.filter((line) => line.includes('runtime error'));

/** Calls the function at that place of the table as one of another type. */
async function callWrongly(unit: Unit, place: number): Promise<void> {
  await unit.value(-place - 1);
  await unit.program.errorLine(/runtime error: call to function .*incorrect function type/);
}

for (const [compiler, readsEntries] of [
  ['clang++-14', true],
  ['clang++-19', false],
] as const)
  describe(`A call through a pointer that ${compiler} checks`, () => {
    if (spawnSync('which', [compiler]).status !== 0) {
      it(`not run: ${compiler} not installed`);
      return;
    }
    for (const level of ['-O0', '-O2']) {
      it(
        `reaches the new version, and is reported when it is wrong: ${level}`,
        inSession(async (session) => {
          const unit = await start(session, TEXT, compiler, level);
          assert.equal(await unit.value(1), 5);
          await session.patch('unit.cc', 'unchanged');
          // The functions alone: who calls them stays.
          session.edit('unit.cc', 'n * 2', 'n * 4');
          session.edit('unit.cc', 'n * 3', 'n * 5');
          await session.patch('unit.cc');
          assert.equal(await unit.value(1), 9);
          assert.deepEqual(reports(unit), []);
          await callWrongly(unit, 0);
          // The caller too, whose reports begin anew.
          session.edit('unit.cc', 'n * 5', 'n * 6');
          session.edit('unit.cc', 'sum = 0', 'sum = 1000');
          await session.patch('unit.cc');
          assert.equal(await unit.value(1), 1010);
          assert.equal(reports(unit).length, 1);
          await callWrongly(unit, 1);
          await session.patch('unit.cc', 'unchanged');
          session.write('unit.cc', TEXT);
          await session.patch('unit.cc', 'reverted');
          assert.equal(await unit.value(1), 5);
          assert.equal(reports(unit).length, 2);
        }),
      );

      it(
        `reaches functions that are new, of types that are new: ${level}`,
        inSession(async (session) => {
          const unit = await start(session, TEXT, compiler, level);
          session.edit(
            'unit.cc',
            'long value(',
            'long added(long n) { return n + 100; }\nshort *kept(short *n, char) { return n; }\nlong value(',
          );
          session.edit(
            'unit.cc',
            'return sum;',
            `short place = 7;
  Step volatile step = added;
  short *(*volatile keep)(short *, char) = kept;
  return sum + step(n) + *keep(&place, 'x');`,
          );
          await session.patch('unit.cc');
          assert.equal(await unit.value(1), 5 + 101 + 7);
          session.edit('unit.cc', 'n + 100', 'n + 200');
          await session.patch('unit.cc');
          assert.equal(await unit.value(1), 5 + 201 + 7);
          assert.deepEqual(reports(unit), []);
        }),
      );
    }

    it(
      'is right where the compiler takes the pointer to hold one function, or refused: -O2',
      inSession(async (session) => {
        const unit = await start(
          session,
          `static long first(long n) { return n * 2; }
__attribute__((used)) static long second(long n) { return n * 3; }
static long (*held)(long);
long value(long n) {
  if (!held) held = first;
  return held(n);
}
`,
          compiler,
          '-O2',
        );
        assert.equal(await unit.value(3), 6);
        for (const factor of [4, 5, 6]) {
          session.edit('unit.cc', /n \* \d; }\n__/, `n * ${factor}; }\n__`);
          await session.patch('unit.cc');
          assert.equal(await unit.value(3), 3 * factor);
          await session.patch('unit.cc', 'unchanged');
        }
        // Held is still the first one, and the new code would take it for the second.
        session.edit('unit.cc', 'held = first', 'held = second');
        if (readsEntries) await session.refused('unit.cc', 'unsupported-construct');
        else await session.patch('unit.cc');
        // Without a check the build's assumption is kept to, as in code that is not checked at all.
        assert.equal(await unit.value(3), readsEntries ? 18 : 9);
      }),
    );
  });
