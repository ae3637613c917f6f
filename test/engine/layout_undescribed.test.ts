// Types of which the unit that is saved has no definition in its debug information: their constructors are compiled in
// another one, only expressions mention them, or the unit was built with less debug information. They are compared with
// the definition that another unit of the program has.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { samples } from '../support/paths';
import { inSession, type Session, Unit } from '../support/session';
import type { Program } from '../support/program';

const HEADER = `#pragma once
struct S {
  long a;
  /* here */ long b;
  S();
  virtual ~S();
};
struct Plain {
  long a;
  /* there */ long b;
};
S *one();
extern Plain plain;
Plain *plains();
Plain copied();
`;
const OWNER = `#include "s.h"
S::S() : a(1), b(2) {}
S::~S() {}
S *one() { static S s; return &s; }
Plain plain{3, 4};
Plain *plains() { return &plain; }
Plain copied() { return plain; }
`;

interface Way {
  what: string;
  body: string;
  value: number;
  type: 'S' | 'Plain';
}
const WAYS: Way[] = [
  {
    what: 'of which the constructor is compiled elsewhere',
    body: 'S *s = one(); return s->b + n;',
    value: 2,
    type: 'S',
  },
  { what: 'of a variable of another unit', body: 'return plain.b + n;', value: 4, type: 'Plain' },
  { what: 'that another unit returns', body: 'return copied().b + n;', value: 4, type: 'Plain' },
  {
    what: 'to which another unit returns a pointer',
    body: 'return plains()->b + n;',
    value: 4,
    type: 'Plain',
  },
  {
    what: 'that only a cast mentions',
    body: 'return ((Plain *)(void *)plains())->b + n;',
    value: 4,
    type: 'Plain',
  },
];

const sourceOf = (body: string): string => `#include "s.h"\nlong value(long n) { ${body} }\n`;

interface Build {
  compiler: string;
  flags: string[];
  /** Of the unit that is saved. */
  unitFlags?: string[];
}

async function start(
  session: Session,
  body: string,
  { compiler, flags, unitFlags }: Build,
): Promise<Program> {
  session.write('s.h', HEADER);
  session.write('owner.cc', OWNER);
  session.write('unit.cc', sourceOf(body));
  session.write('main.cc', readFileSync(join(samples, 'driver', 'main.cc'), 'utf8'));
  const commands = ['main.cc', 'owner.cc', 'unit.cc'].map((file) => ({
    directory: session.directory,
    file,
    arguments: [
      compiler,
      ...(file === 'unit.cc' ? (unitFlags ?? flags) : flags),
      '-c',
      file,
      '-o',
      `${file}.o`,
    ],
    output: `${file}.o`,
  }));
  for (const {
    arguments: [command, ...args],
  } of commands)
    await session.run(command!, args);
  await session.run(compiler, [...commands.map(({ output }) => output), '-o', 'program']);
  session.writeDatabase(commands);
  return session.start();
}

/** Puts a member before `b`, which changes where that is. */
function addMember(session: Session, type: Way['type']): void {
  session.edit('s.h', type === 'S' ? '/* here */' : '/* there */', 'long added;');
}

const COMPILERS = ['g++', 'clang++', 'clang++-19'].filter(
  (compiler) => spawnSync(compiler, ['--version']).status === 0,
);

for (const compiler of COMPILERS)
  for (const level of ['-O0', '-O2', '-O1 -gdwarf-4 -fdebug-types-section', '-O0 -fdebug-types-section'])
    describe(`A type of a header that got a member (${compiler} ${level})`, () => {
      const build = { compiler, flags: ['-g', ...level.split(' ')] };
      for (const { what, body, value, type } of WAYS)
        it(
          `is refused in a unit that uses one ${what}`,
          inSession(async (session) => {
            const program = await start(session, body, build);
            assert.equal(await program.ask('1'), String(value + 1));
            addMember(session, type);
            session.edit('unit.cc', '+ n', '- n');
            const { refusals } = await session.refused('unit.cc', 'layout-changed');
            assert.match(refusals[0]!.message, new RegExp(`struct ${type}\` differs.*added`));
            assert.equal(await program.ask('1'), String(value + 1));
          }),
        );

      it(
        'is no obstacle in a unit that does not use it',
        inSession(async (session) => {
          const program = await start(session, 'return 7 + n;', build);
          assert.equal(await program.ask('1'), '8');
          addMember(session, 'Plain');
          session.edit('unit.cc', '+ n', '- n');
          const { warnings } = await session.patch('unit.cc');
          for (const { code, message } of warnings) {
            assert.equal(code, 'layout-unchecked');
            assert.match(message, /struct Plain` differs.*No use was found in unit\.cc/);
          }
          assert.equal(await program.ask('1'), '6');
        }),
      );

      it(
        'is no obstacle while it is as it was',
        inSession(async (session) => {
          const program = await start(
            session,
            WAYS.map(({ body }) => `if (n > 5) { ${body} }`).join(' ') + 'return one()->b + n;',
            build,
          );
          session.edit('s.h', '/* here */', '/* still */');
          session.edit('unit.cc', 'return one()->b + n', 'return one()->b - n');
          const { warnings } = await session.patch('unit.cc');
          assert.deepEqual(warnings, []);
          assert.equal(await program.ask('1'), '1');
        }),
      );

      for (const less of ['-g1', '-g0'])
        it(
          `is refused in a unit that was built with ${less}`,
          inSession(async (session) => {
            const body = 'Plain *p = plains(); return p->b + n;';
            const program = await start(session, body, { ...build, unitFlags: [...level.split(' '), less] });
            addMember(session, 'Plain');
            session.edit('unit.cc', '+ n', '- n');
            await session.refused('unit.cc', 'layout-changed');
            assert.equal(await program.ask('1'), '5');
          }),
        );
    });

describe('a calling convention that an attribute gives', () => {
  const source = `int noise;
__attribute__((noinline)) long part(long a, long b) { noise++; return a - b; }
long value(long n) { return part(n, 1); }
`;
  const given: [string, string] = [
    'long part(long a, long b) { noise++;',
    '__attribute__((ms_abi)) long part(long a, long b) { noise += 2;',
  ];

  it(
    'is named where the debug information does not say it',
    inSession(async (session) => {
      const unit = await Unit.start(session, source, { language: 'c', flags: ['-O0', '-g'] });
      const { warnings } = await unit.editAndPatch(...given);
      assert.deepEqual(
        warnings.map(({ code }) => code),
        ['layout-unchecked'],
      );
      assert.match(warnings[0]!.message, /unit\.c gives functions a calling convention \(`ms_abi`\)/);
      assert.equal(await unit.value(5), 4);
    }),
  );

  it(
    'makes the function another one for the code that calls it',
    inSession(async (session) => {
      const unit = await Unit.start(session, source, {
        language: 'c',
        flags: ['-O0', '-g'],
        compiler: 'clang',
      });
      const { warnings } = await unit.editAndPatch(...given);
      assert.deepEqual(
        warnings.map(({ code }) => code),
        ['signature-changed'],
      );
      assert.equal(await unit.value(5), 4);
      await unit.editAndPatch('return a - b', 'return a * b');
      assert.equal(await unit.value(5), 5);
    }),
  );
});
