// A variable that becomes thread_local, or is no more: the memory of the one kind is not where code of the other looks, so
// the save is refused, by the variable's name. Real compilers and processes.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { samples } from '../support/paths';
import { inSession, type Session, Unit } from '../support/session';

interface Case {
  name: string;
  language: 'c' | 'cc';
  /** Units and headers; `unit` is the one that is saved. `TL` is where the keyword stands. */
  unit: string;
  other?: string;
  header?: string;
  variable: RegExp;
}

const CASES: readonly Case[] = [
  {
    name: 'a variable of the unit',
    language: 'cc',
    unit: 'TL long seen = 3;\nlong value(long n) { return n + seen++; }',
    variable: /`seen`/,
  },
  {
    name: 'a static one',
    language: 'cc',
    unit: 'namespace game { static TL long seen = 3; }\nlong value(long n) { return n + game::seen++; }',
    variable: /`game::seen`/,
  },
  {
    name: 'a static one of a function',
    language: 'cc',
    unit: 'long value(long n) { static TL long seen = 3; return n + seen++; }',
    variable: /seen/,
  },
  {
    name: 'a static one of a function of C',
    language: 'c',
    unit: 'long value(long n) { static TL long seen; return n + 3 + seen++; }',
    variable: /seen/,
  },
  {
    name: 'one that the unit only declares',
    language: 'c',
    header: 'extern TL long seen;',
    unit: '#include "seen.h"\nlong value(long n) { return n + seen++; }',
    other: '#include "seen.h"\nTL long seen = 3;',
    variable: /`seen`/,
  },
  {
    name: 'a member of a class',
    language: 'cc',
    header: 'struct Game { static TL long seen; };',
    unit: '#include "seen.h"\nlong value(long n) { return n + Game::seen++; }',
    other: '#include "seen.h"\nTL long Game::seen = 3;',
    variable: /`Game::seen`/,
  },
];

const KEYWORDS = { c: '_Thread_local', cc: 'thread_local' };

async function start(session: Session, one: Case, flags: string[], compiler: string, isLibrary: boolean) {
  const main = `main.${one.language}`;
  const sources = [`unit.${one.language}`, ...(one.other === undefined ? [] : [`other.${one.language}`])];
  session.write(main, readFileSync(join(samples, 'driver', main), 'utf8'));
  if (isLibrary)
    await session.buildWithLibrary({ sources, flags, compiler }, { sources: [main], flags, compiler });
  else await session.build({ sources: [main, ...sources], flags, compiler });
  return session.start();
}

const write = (session: Session, { language, unit, other, header }: Case, keyword: string): void => {
  const text = (source: string): string => `${source.replaceAll(/TL ?/g, keyword)}\n`;
  session.write(`unit.${language}`, text(unit));
  if (other !== undefined) session.write(`other.${language}`, text(other));
  if (header !== undefined) session.write('seen.h', text(header));
};

describe('a variable is refused', () => {
  for (const one of CASES)
    for (const [compiler, level, isLibrary] of [
      ['gcc', '-O0', false],
      ['gcc', '-O2', true],
      ['clang', '-O0', true],
      ['clang', '-O2', false],
    ] as const)
      for (const becomes of [true, false])
        it(
          `that ${becomes ? 'becomes' : 'is no more'} thread_local: ${one.name}, ${compiler} ${level}${isLibrary ? ', in a library' : ''}`,
          inSession(async (session) => {
            const keyword = `${KEYWORDS[one.language]} `;
            const driver = one.language === 'c' ? compiler : { gcc: 'g++', clang: 'clang++' }[compiler];
            write(session, one, becomes ? '' : keyword);
            const program = await start(session, one, [level, '-g'], driver, isLibrary);
            assert.equal(await program.ask('1'), '4');
            write(session, one, becomes ? keyword : '');
            const { refusals } = await session.refused(`unit.${one.language}`, 'variable-changed');
            assert.equal(refusals.length, 1);
            assert.match(refusals[0]!.message, one.variable);
            assert.match(
              refusals[0]!.message,
              becomes ? /is thread_local now/ : /is not thread_local any more/,
            );
            assert.equal(await program.ask('1'), '5');
          }),
        );
});

describe('a new thread_local', () => {
  it(
    'is not taken for a static variable of the same name of another function',
    inSession(async (session) => {
      const source = `__attribute__((noinline)) long other(long n) { static long seen = 3; seen |= n & 1; return n + seen; }
long value(long n) { return other(n); }
`;
      const unit = await Unit.start(session, source, { flags: ['-O0', '-g'] });
      const edited = 'static thread_local long seen = 7; return other(n) + seen++;';
      const { refusals } = await unit.editAndBeRefused('return other(n);', edited, 'new-thread-local');
      assert.equal(refusals.length, 1);
    }),
  );
});
