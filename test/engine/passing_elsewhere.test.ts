// Which way values of a class go to functions is seen also where it is not the class alone that says so: of what consists
// of it, of members that are written in other words, and of code that lies elsewhere.
import { strict as assert } from 'node:assert';
import { inSession, type Session, Unit } from '../support/session';

/** With a loop that never returns and makes values in the way that it was compiled for. */
const program = (declarations: string, call: string): string => `#include <unistd.h>
#include <pthread.h>
${declarations}
static volatile long wrong, rounds;
static void *loop(void *) {
  for (long i = 0;; i++) {
    long n = i % 7;
    if (${call} != n * 10 + 2) wrong = wrong + 1;
    rounds = rounds + 1;
    usleep(1000);
  }
}
long value(long n) {
  static pthread_t thread;
  if (n == 0) return pthread_create(&thread, nullptr, loop, nullptr);
  return n == 1 ? wrong : ${call} + 0;
}
`;

const P = 'struct P { long a, b; P(long a, long b) : a(a), b(b) {} /* members */ };';
const TAKE = '__attribute__((noinline)) static long take(P p) { return p.a * 10 + p.b; }';
const RUN = 'template <class F> __attribute__((noinline)) static long run(F f) { return f() + 0; }';

async function start(session: Session, source: string, compiler: string, level: string): Promise<Unit> {
  const flags = ['-g', level];
  const unit = await Unit.start(session, source, { compiler, flags, linkFlags: ['-pthread'] });
  assert.equal(await unit.value(0), 0);
  return unit;
}

async function goesOn(unit: Unit): Promise<void> {
  for (const n of [2, 3, 4]) assert.equal(await unit.value(n), n * 10 + 2);
  assert.equal(await unit.value(1), 0);
}

for (const compiler of ['g++', 'clang++'])
  for (const level of ['-O0', '-O2'])
    describe(`Values of a class whose passing is decided elsewhere (${compiler} ${level})`, () => {
      for (const [what, declarations, from, to] of [
        [
          'by a name of its own',
          `${P.replace('{', '{ typedef P Self;')}\n${TAKE}`,
          '/* members */',
          'P(const Self &p) : a(p.a), b(p.b) {}',
        ],
        [
          'in a template',
          `template <class T> struct Outer { ${P.replaceAll('long', 'T')} };\ntypedef Outer<long>::P P;\n${TAKE}`,
          '/* members */',
          'P(const P &p) : a(p.a), b(p.b) {}',
        ],
        [
          'outside of where it belongs',
          `struct Outer { struct P; P *kept; };\n${P.replace('struct P', 'struct Outer::P')}\ntypedef Outer::P P;\n${TAKE}`,
          '/* members */',
          'P(const P &p) : a(p.a), b(p.b) {}',
        ],
        [
          'with a member in its padding',
          `struct P { long a; int b; };\n${TAKE}`,
          'int b;',
          'int b; int owned; ~P() { owned = 0; }',
        ],
      ] as const)
        it(
          `are refused where it is declared ${what}`,
          inSession(async (session) => {
            const call = declarations.includes('P(') ? 'take(P(n, 2))' : 'take(P{n, 2})';
            const unit = await start(session, program(declarations, call), compiler, level);
            session.edit(unit.file, from, to);
            session.edit(unit.file, ' + 0;', ' + 1 - 1;');
            const { refusals } = await session.refused(unit.file, 'layout-changed');
            assert.match(refusals.map(({ message }) => message).join('\n'), /passed by their address/);
            await goesOn(unit);
          }),
        );

      for (const [what, declarations, call, from, to] of [
        [
          'a closure that captured one',
          'struct P { long a, b; /* members */ };\n' + RUN,
          '[p = P{n, 2}] { return run([p] { return p.a * 10 + p.b; }); }()',
          '/* members */',
          '~P() { a = 0; }',
        ],
        [
          'a class of a function',
          RUN,
          '[n] { struct L { long a, b; long operator()() { return a * 10 + b; } /* members */ }; return run(L{n, 2}); }()',
          '/* members */',
          '~L() { a = 0; }',
        ],
      ] as const)
        it(
          `go to the function that they were made for, as ${what}`,
          inSession(async (session) => {
            const unit = await start(session, program(declarations, call), compiler, level);
            session.write(
              unit.file,
              session.read(unit.file).replaceAll(from, to).replace(' + 0;', ' + 1 - 1;'),
            );
            await session.patch(unit.file);
            await goesOn(unit);
          }),
        );

      it(
        'are refused a destructor where a library takes them',
        inSession(async (session) => {
          session.write('p.h', 'struct P { long a, b; };\nlong take(P p);\n');
          session.write('lib.cc', '#include "p.h"\nlong take(P p) { return p.a * 10 + p.b; }\n');
          const library = session.path('libp.so');
          await session.run(compiler, ['-g', level, '-fPIC', '-shared', '-o', library, 'lib.cc']);
          const source = '#include "p.h"\nlong value(long n) { P p{n, 2}; return take(p) + 0; }\n';
          const flags = ['-g', level];
          const unit = await Unit.start(session, source, { compiler, flags, linkFlags: [library] });
          assert.equal(await unit.value(3), 32);
          session.edit('p.h', 'long a, b;', 'long a, b; ~P() { a = 0; }');
          session.edit(unit.file, '+ 0', '+ 1 - 1');
          await session.refused(unit.file, 'layout-changed');
          assert.equal(await unit.value(3), 32);
        }),
      );
    });
