// A class gets a destructor, and code that was built without debug information may take values of it: nothing but the names
// of its functions says so. And by which members a value goes to functions in another way, as the compilers decide it.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readUnits } from '../../extension/engine/dwarf/units';
import { ElfFile } from '../../extension/engine/elf/file';
import { valuesIn } from '../../extension/engine/save/undescribed_calls';
import { compareLayouts } from '../../extension/engine/types/layout';
import { samples } from '../support/paths';
import type { Program } from '../support/program';
import { inSession, type Session } from '../support/session';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

/** A program of which one unit has no debug information. */
async function start(session: Session, compiler: string, level: string, other: string): Promise<Program> {
  session.write('p.h', 'namespace n { struct P { long a, b; }; }\nlong take(n::P *p);\nlong take(n::P p);\n');
  session.write('other.cc', `#include "p.h"\n${other}\n`);
  session.write(
    'unit.cc',
    `#include "p.h"\nlong value(long n) { n::P p{n, 2}; return take(${other.includes('P *p') ? '&' : ''}p) + 0; }\n`,
  );
  session.write('main.cc', readFileSync(join(samples, 'driver', 'main.cc'), 'utf8'));
  const sources = ['main.cc', 'other.cc', 'unit.cc'];
  await session.build({ sources, flags: ['-g', level], compiler });
  await session.run(compiler, [level, '-c', 'other.cc', '-o', 'other.cc.o']);
  await session.run(compiler, [...sources.map((source) => `${source}.o`), '-o', 'program']);
  return session.start();
}

function destroy(session: Session): void {
  session.edit('p.h', 'long a, b;', 'long a, b; ~P() { a = 0; }');
  session.edit('unit.cc', '+ 0', '+ 1');
}

for (const compiler of ['g++', 'clang++'])
  for (const level of ['-O0', '-O2'])
    describe(`Values of a class in a unit without debug information (${compiler} ${level})`, () => {
      it(
        'are refused a destructor where a function takes one',
        inSession(async (session) => {
          const other = 'long take(n::P p) { return p.a * 10 + p.b; }';
          const program = await start(session, compiler, level, other);
          assert.equal(await program.ask('3'), '32');
          destroy(session);
          const { refusals } = await session.refused('unit.cc', 'layout-changed');
          assert.match(refusals[0]!.message, /n::P`.*take\(n::P\), of which there is no debug information/);
          assert.equal(await program.ask('3'), '32');
        }),
      );

      it(
        'may be destroyed where functions take their address, which is said',
        inSession(async (session) => {
          const other = 'long take(n::P *p) { return p->a * 10 + p->b; }';
          const program = await start(session, compiler, level, other);
          destroy(session);
          const { warnings } = await session.patch('unit.cc');
          assert.match(warnings.map(({ message }) => message).join(), /n::P`.*Of other\.cc, built without/);
          assert.equal(await program.ask('3'), '33');
        }),
      );
    });

for (const level of ['-O0', '-O2'])
  describe(`A class that only a unit which is not saved takes or makes (g++ ${level})`, () => {
    /** The unit that is saved has the class, and no function with a value of it. */
    const start = async (session: Session, header: string, other: string, body: string): Promise<Program> => {
      session.write('p.h', header);
      session.write('other.cc', `#include "p.h"\n${other}\n`);
      session.write('unit.cc', `#include "p.h"\nlong value(long n) { ${body} }\n`);
      session.write('main.cc', readFileSync(join(samples, 'driver', 'main.cc'), 'utf8'));
      await session.build({ sources: ['main.cc', 'other.cc', 'unit.cc'], flags: ['-g', level] });
      return session.start();
    };
    const told = async (session: Session): Promise<string> => {
      session.edit('unit.cc', '+ 0', '+ 1');
      const { warnings } = await session.patch('unit.cc');
      return warnings.map(({ code, message }) => `${code} ${message}`).join('\n');
    };
    const COPIED =
      'struct P { long a; P(long a) : a(a) {} P(const P &p, int k) : a(p.a + k) {} };\nlong take(P p);\n';
    const startCopied = (session: Session): Promise<Program> =>
      start(
        session,
        COPIED,
        'long take(P p) { return p.a; }',
        'P p(n); P *volatile at = &p; return at->a + 0;',
      );

    it(
      'is said to be unchecked where default arguments of a constructor may have come',
      inSession(async (session) => {
        await startCopied(session);
        session.edit('p.h', 'int k)', 'int k = 0)');
        assert.match(await told(session), /layout-unchecked `struct P`.*default arguments/);
      }),
    );

    it(
      'is not mentioned while its header is as it was',
      inSession(async (session) => {
        await startCopied(session);
        assert.equal(await told(session), '');
      }),
    );

    // Optimised, the place of a value may change while the function runs, which says nothing.
    if (level === '-O0')
      it(
        'is refused such arguments where the unit that takes values is saved with it',
        inSession(async (session) => {
          const program = await startCopied(session);
          session.edit('p.h', 'int k)', 'int k = 0)');
          session.edit('unit.cc', '+ 0', '+ 1');
          await session.refused('p.h', 'layout-changed');
          assert.equal(await program.ask('3'), '3');
        }),
      );

    it(
      'is said to begin arrays otherwise with a destructor',
      inSession(async (session) => {
        const header = 'struct P { long a; };\nP *make();\n';
        await start(
          session,
          header,
          'P *make() { return new P[2](); }',
          'P *volatile p = make(); return p[1].a + 0;',
        );
        session.edit('p.h', 'long a;', 'long a; ~P() { a = 0; }');
        assert.match(
          await told(session),
          /layout-unchecked `struct P` has a destructor, and had none: arrays/,
        );
      }),
    );
  });

describe('the values that a function takes, by its name', () => {
  for (const [name, values] of [
    ['take(n::P)', ['n::P']],
    ['take(n::P const&, int)', ['n::Pconst&', 'int']],
    ['n::P::sum() const', ['', 'n::P::sum()']],
    ['call(void (*)(n::P), long)', ['void(*)(n::P)', '*', 'n::P', 'long']],
    ['operator<(Box<n::P, 1>, n::Q)', ['Box<n::P,1>', 'n::Q']],
    ['n::P make<int>(int)', ['n::P', 'int']],
  ] as const)
    it(`are read from ${name}`, () => assert.deepEqual([...valuesIn(name)].sort(), [...values].sort()));
});

describe('how values of a class go to functions', () => {
  let directory: string;
  before(() => (directory = temporaryDirectory()));
  after(() => removeTemporaryDirectory(directory));

  /** What is declared in the class, and what stands behind it. */
  const members: [inside: string, behind?: string][] = [
    [''],
    ['~P();', 'inline P::~P() {}'],
    ['~P() = default;'],
    ['~P();', 'inline P::~P() = default;'],
    ['P(long); P(const P &) = default;'],
    ['P(const P &);', 'inline P::P(const P &) = default;'],
    ['P(P &&);', 'inline P::P(P &&) = default;'],
    ['P(P &&) = default;'],
    ['P(const P &) = delete; P(P &&) = default;'],
    ['P(const volatile P &); P(const P &) = default;'],
    ['P(const P &, int = 0);'],
    ['P(const P &, int);'],
    ['template <class T> P(const T &);'],
    ['P &operator=(const P &);'],
    ['union { long c; Own own; }; P(const P &); ~P();'],
    ['Own own;'],
    ['Trivial trivial;'],
  ];
  const others =
    'struct Own { Own(const Own &); ~Own(); };\nstruct Trivial { Trivial(const Trivial &) = default; };\n';
  const text = ([inside, behind = '']: (typeof members)[number], keyword: string): string =>
    `${others}${keyword} P { long a; ${inside} };\n${behind}\nlong take(P p) { return p.a; }\n`;

  const builds = ['g++ -gdwarf-5', 'g++ -gdwarf-4', 'clang++ -gdwarf-5', 'clang++ -gdwarf-4'];
  for (const build of builds)
    for (const keyword of ['struct', 'union', 'struct [[clang::trivial_abi]]']) {
      if (keyword.includes('trivial_abi') && build.startsWith('g++')) continue;
      it(`is known as ${build} compiles it, for a ${keyword}`, () => {
        const [compiler, debug] = build.split(' ') as [string, string];
        const source = join(directory, 'unit.cc');
        const object = join(directory, 'unit.o');
        const compiled = members.flatMap((one) => {
          // A word that is no object of a class would be padding elsewhere, or has no place in a union.
          if (one[0].includes('own') && keyword !== 'struct') return [];
          if (one[0] === 'Own own;' || one[0] === 'Trivial trivial;') return [];
          writeFileSync(source, text(one, keyword));
          const all = compiler === 'g++' ? [] : ['-fno-eliminate-unused-debug-types'];
          execFileSync(compiler, [...all, '-w', '-O2', debug, '-std=c++17', '-c', source, '-o', object]);
          const elf = ElfFile.open(object);
          for (const section of elf.sections) elf.data(section);
          elf.close();
          // mov %rdi,%rax for the bytes; mov (%rdi),%rax for the address.
          const code = execFileSync('objdump', ['-d', '--disassemble=_Z4take1P', object], {
            encoding: 'utf8',
          });
          return [{ one, elf, byAddress: code.includes('(%rdi)') }];
        });
        for (const before of compiled)
          for (const after of compiled) {
            const [from, to] = [before.one.join(' '), after.one.join(' ')];
            const live = { elf: before.elf, units: readUnits(before.elf) };
            const { problems, warnings } = compareLayouts(live, { elf: after.elf });
            // Debug information of gcc may not say which of the two it is: then that is said.
            const mayBeUntold = compiler === 'g++' && from.includes(', int') && to.includes(', int');
            const found = (mayBeUntold ? [...problems, ...warnings] : problems).some(({ message }) =>
              /are passed by|default arguments/.test(message),
            );
            if (from.includes('own') !== to.includes('own')) continue;
            const differs = before.byAddress !== after.byAddress;
            if (differs) assert.ok(found, `not seen: "${from}" to "${to}"`);
            else if (!`${from}${to}`.includes(', int'))
              assert.ok(!found, `seen in vain: "${from}" to "${to}"`);
          }
      });
    }
});
