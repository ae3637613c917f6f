// A unit is saved alone after an edit of a header that declares what other units define: functions of C, of which the name says
// no types, what functions of C++ return, and variables. What runs there was compiled with the old declaration. A rebuild
// would compile both, and so does a save of both.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { samples } from '../support/paths';
import type { Program } from '../support/program';
import { inSession, type Session } from '../support/session';

interface Case {
  what: string;
  language: 'c' | 'cc';
  header: string;
  other: string;
  body: string;
  /** From what to what, in all three files. */
  edits: [from: string, to: string][];
  code: 'declared-otherwise' | 'variable-changed' | 'layout-changed';
  says: RegExp;
  /** value(3) when both are saved; undefined: that is refused as well. */
  after?: number;
  /** clang says of variables of other units, and without optimisation of functions, nothing. */
  of?: 'gcc' | 'optimised';
}

const TAKE = 'long take(long a);';
const CASES: Case[] = [
  {
    what: 'a function of C that got a parameter',
    language: 'c',
    header: TAKE,
    other: 'long take(long a) { return a * 2; }',
    body: 'return take(n);',
    edits: [
      ['take(long a)', 'take(long a, long b)'],
      ['a * 2', 'a * 2 + b'],
      ['take(n)', 'take(n, 7)'],
    ],
    code: 'declared-otherwise',
    says: /take is declared as `long.* \(long.*, long.*\)`, .* it is `long.* \(long[^,]*\)`: save other\.c as well/,
    after: 13,
    of: 'optimised',
  },
  ...(['c', 'cc'] as const).map((language): Case => ({
    what: `a function of ${language === 'c' ? 'C' : 'C++'} that returns another type`,
    language,
    header: TAKE,
    other: 'long take(long a) { return a * 2; }',
    body: 'return 10 * take(n);',
    edits: [
      ['long take(', 'double take('],
      ['a * 2', 'a * 2.5'],
    ],
    code: 'declared-otherwise',
    says: /take is declared as `double/,
    after: 75,
    of: 'optimised',
  })),
  {
    what: 'a member function that returns another type',
    language: 'cc',
    header: 'struct S { long a; int get(); };\nS *one();',
    other: 'int S::get() { return a; }\nS *one() { static S s{4}; return &s; }',
    body: 'return 10 * one()->get();',
    edits: [
      ['int get', 'double get'],
      ['int S::get', 'double S::get'],
      ['return a', 'return a + 0.5'],
    ],
    code: 'declared-otherwise',
    says: /get is declared as `double/,
    after: 45,
  },
  {
    what: 'a member function that is static now',
    language: 'cc',
    header: 'struct S { long a; long get(S *other); };\nS *one();',
    other: 'long S::get(S *other) { return other->a; }\nS *one() { static S s{4}; return &s; }',
    body: 'return one()->get(one());',
    edits: [['long get', 'static long get']],
    code: 'declared-otherwise',
    says: /get is declared as/,
    after: 4,
  },
  {
    what: 'a virtual function that returns another type',
    language: 'cc',
    header: 'struct S { long a; virtual int get(); };\nS *one();',
    other: 'int S::get() { return a; }\nS *one() { static S s; s.a = 4; return &s; }',
    body: 'return 10 * one()->get();',
    edits: [
      ['int get', 'double get'],
      ['int S::get', 'double S::get'],
    ],
    code: 'layout-changed',
    says: /struct S.*virtual function `get` returns `double`, returned `int`/,
  },
  {
    what: 'a variable that the unit did not use before',
    language: 'c',
    header: 'extern int counter; long next(void);',
    other: 'int counter = 5, behind = 9; long next(void) { return 1; }',
    body: 'return next() /* counter */;',
    edits: [
      ['int counter;', 'long counter;'],
      ['int counter = 5,', 'long counter = 5; int'],
      ['/* counter */', '+ counter'],
    ],
    code: 'variable-changed',
    says: /Variable `counter` is `long.*` \(8 bytes\), in the running process it is `int` \(4 bytes\)/,
    of: 'gcc',
  },
];

async function start(session: Session, one: Case, compiler: string, level: string): Promise<Program> {
  const { language, header, other, body } = one;
  const unit = `long value(long n) { ${body} }`;
  session.write('h.h', `${header}\n`);
  session.write(`other.${language}`, `#include "h.h"\n${other}\n`);
  session.write(`unit.${language}`, `#include "h.h"\n${unit}\n`);
  session.write(`main.${language}`, readFileSync(join(samples, 'driver', `main.${language}`), 'utf8'));
  const sources = ['main', 'other', 'unit'].map((name) => `${name}.${language}`);
  await session.build({ sources, flags: ['-g', level], compiler });
  return session.start();
}

function edit(session: Session, { language, edits }: Case): void {
  for (const file of ['h.h', `other.${language}`, `unit.${language}`]) {
    const text = session.read(file);
    // So that the code of the unit changes, whatever the edit does to it.
    const edited = edits.reduce((now, [from, to]) => now.replaceAll(from, to), text);
    session.write(file, file.startsWith('unit') ? edited.replace('return ', 'return 0 * n + ') : edited);
  }
}

for (const [family, cxx] of [
  ['gcc', 'g++'],
  ['clang', 'clang++'],
] as const)
  for (const level of ['-O0', '-O2'])
    describe(`What a saved unit declares and another defines (${family} ${level})`, () => {
      for (const one of CASES) {
        const isDescribed =
          family === 'gcc' || one.of === undefined || (one.of === 'optimised' && level !== '-O0');
        if (!isDescribed) continue;
        const compiler = one.language === 'c' ? family : cxx;
        it(
          `is refused as ${one.what}`,
          inSession(async (session) => {
            const program = await start(session, one, compiler, level);
            const before = await program.ask('3');
            edit(session, one);
            const { refusals } = await session.refused(`unit.${one.language}`, one.code);
            assert.match(refusals.map(({ message }) => message).join('\n'), one.says);
            assert.equal(await program.ask('3'), before);
          }),
        );
        if (one.after !== undefined)
          it(
            `is patched with what defines it, as ${one.what}`,
            inSession(async (session) => {
              const program = await start(session, one, compiler, level);
              edit(session, one);
              const both = [`unit.${one.language}`, `other.${one.language}`];
              await session.patch(both);
              assert.equal(await program.ask('3'), String(one.after));
              // Whose old code the process still has: alone, the unit would be linked with that.
              session.edit(`unit.${one.language}`, '0 * n + ', '1 + ');
              await session.refused(`unit.${one.language}`, 'declared-otherwise');
              await session.patch(both);
              assert.equal(await program.ask('3'), String(one.after! + 1));
            }),
          );
      }

      it(
        'is no obstacle while the declarations are as they were',
        inSession(async (session) => {
          const one = CASES[0]!;
          const program = await start(session, one, family, level);
          session.edit('h.h', 'long a', 'long first');
          session.edit('unit.c', 'take(n)', 'take(n + 1)');
          const { warnings } = await session.patch('unit.c');
          assert.deepEqual(warnings, []);
          assert.equal(await program.ask('3'), '8');
        }),
      );

      it(
        'is no obstacle where the definition promises more than the declaration, to itself alone',
        inSession(async (session) => {
          const one: Case = {
            ...CASES[0]!,
            header: `${TAKE}\nlong more(long a, const char *s);`,
            other: `${CASES[0]!.other}\nlong more(const long a, const char *const restrict s) { return a + *s; }`,
          };
          const program = await start(session, one, family, level);
          session.edit('h.h', 'long more(long a', 'long more(long first');
          session.edit('unit.c', 'take(n)', 'take(n) + more(n, "")');
          await session.patch('unit.c');
          assert.equal(await program.ask('3'), '9');
        }),
      );
    });
