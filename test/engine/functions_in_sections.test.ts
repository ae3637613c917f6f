// Pointers to functions that do not begin where their section does: nops lie before their entry, or other functions that
// share the section. The assembler writes a pointer to a local one as section + offset, as it does labels inside of code.
import { strict as assert } from 'node:assert';
import { inSession, Unit } from '../support/session';

const source = (attribute: string): string => `${attribute} static long a(long n) { return n + 1; }
${attribute} static long b(long n) { return n + 2; }
static long (*volatile kept)(long);
static long (*const table[])(long) = {a, b};
long value(long n) {
  if (!kept) kept = a;
  long (*const local[])(long) = {b, a};
  return table[n & 1](n) + 1000 * (table[0] == kept) + 10000 * (local[n & 1] == table[1]);
}
`;

const kinds: [how: string, attribute: string, flags: string[]][] = [
  ['nops before the entry', '', ['-fpatchable-function-entry=5,2']],
  ['a section of several', '__attribute__((section("several")))', []],
];

describe('A new table of functions that do not begin where their section does', () => {
  for (const [compiler, level] of [
    ['gcc', '-O0'],
    ['clang', '-O2'],
  ] as const)
    for (const [how, attribute, flags] of kinds)
      it(
        `names those that everybody knows: ${how} (${compiler} ${level})`,
        inSession(async (session) => {
          const unit = await Unit.start(session, source(attribute), {
            language: 'c',
            compiler,
            flags: [level, '-g', ...flags],
          });
          const values = async (): Promise<number[]> => [await unit.value(0), await unit.value(1)];
          assert.deepEqual(await values(), [11001, 1003]);
          await unit.editAndPatch('table[])(long) = {a, b}', 'table[])(long) = {b, a}');
          assert.deepEqual(await values(), [2, 10002]);
          // What the old and the new table name is the new version.
          await unit.editAndPatch('return n + 1;', 'return n + 100;');
          assert.deepEqual(await values(), [2, 10101]);
          await unit.session.patch('unit.c', 'unchanged');
          unit.session.write('unit.c', source(attribute));
          await unit.session.patch('unit.c', 'reverted');
          assert.deepEqual(await values(), [11001, 1003]);
        }),
      );
});
