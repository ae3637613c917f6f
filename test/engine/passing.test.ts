// How values of a class go to functions is no part of its layout: a destructor that somebody adds makes it the address of a
// copy, where it was the bytes. Code that was compiled for the one way finds nothing in the other.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { samples } from '../support/paths';
import { inSession, type Session, Unit } from '../support/session';

const SOURCE = `#include <unistd.h>
#include <pthread.h>
struct P {
  long a, b;
};
struct Holder {
  P p;
};
struct Kept {
  long a = 1;
};
static Kept kept;
static volatile long wrong;
__attribute__((noinline)) static long take(P p) { return p.a * 10 + p.b; }
__attribute__((noinline)) static Holder make(long n) { return Holder{{n, n + 1}}; }
__attribute__((noinline)) static long count(Kept &kept) { return ++kept.a; }
static void *loop(void *) {
  for (long i = 0;; i++) {
    P p{i % 7, 2};
    Holder holder = make(i % 7);
    if (take(p) != i % 7 * 10 + 2 || holder.p.b != i % 7 + 1) wrong = wrong + 1;
    usleep(1000);
  }
}
long value(long n) {
  static pthread_t thread;
  if (n == 0) return pthread_create(&thread, nullptr, loop, nullptr);
  return n == 1 ? wrong : count(kept) + take({n, 2}) + 0;
}
`;

/** With a thread that always calls the functions. */
async function start(session: Session, compiler: string, level: string): Promise<Unit> {
  const unit = await Unit.start(session, SOURCE, {
    compiler,
    flags: ['-g', ...level.split(' ')],
    linkFlags: ['-pthread'],
  });
  assert.equal(await unit.value(0), 0);
  return unit;
}

for (const compiler of ['g++', 'clang++'])
  for (const level of ['-O0', '-O2', '-O1 -gdwarf-4 -fdebug-types-section'])
    describe(`Values of a class (${compiler} ${level})`, () => {
      for (const [what, member, types] of [
        ['a destructor', '~P() { a = 0; }', /P.*passed by their address, were by their bytes.*Holder/],
        [
          'a constructor by copy',
          'P(long a, long b) : a(a), b(b) {} P(const P &p) : a(p.a), b(p.b) {}',
          /P.*passed by their address/,
        ],
      ] as const)
        it(
          `that are passed to functions are refused ${what}`,
          inSession(async (session) => {
            const unit = await start(session, compiler, level);
            session.edit(unit.file, 'long a, b;', `long a, b; ${member}`);
            const { refusals } = await session.refused(unit.file, 'layout-changed');
            assert.match(refusals.map(({ message }) => message).join('\n'), types);
            assert.equal(await unit.value(1), 0);
          }),
        );

      it(
        'go as before with members that copy no otherwise',
        inSession(async (session) => {
          const unit = await start(session, compiler, level);
          await unit.editAndPatch('long a, b;', 'long a, b; long sum() { return a + b; }', 'unchanged');
          session.edit(unit.file, 'return p.a * 10 + p.b;', 'return p.a * 10 + p.sum() - p.a;');
          session.edit(unit.file, '+ 0;', '+ 1;');
          await session.patch(unit.file);
          assert.equal(await unit.value(5), 2 + 52 + 1);
          assert.equal(await unit.value(1), 0);
        }),
      );

      it(
        'that are passed to no function may be destroyed by one of their own',
        inSession(async (session) => {
          const unit = await start(session, compiler, level);
          session.edit(unit.file, 'long a = 1;', 'long a = 1; ~Kept() { a = 0; }');
          session.edit(unit.file, '+ 0;', '+ 1;');
          const { outcome } = await session.patch(unit.file);
          assert.equal(outcome, 'patched');
          assert.equal(await unit.value(5), 2 + 52 + 1);
          assert.equal(await unit.value(1), 0);
        }),
      );

      it(
        'that only a unit which was not saved passes are refused a destructor',
        inSession(async (session) => {
          session.write('p.h', 'struct P { long a, b; };\nlong take(P p);\n');
          session.write('other.cc', '#include "p.h"\nlong take(P p) { return p.a * 10 + p.b; }\n');
          const unit = '#include "p.h"\nlong value(long n) { P p{n, 2}; return take(p) + 0; }\n';
          session.write('unit.cc', unit);
          session.write('main.cc', readFileSync(join(samples, 'driver', 'main.cc'), 'utf8'));
          const sources = ['main.cc', 'other.cc', 'unit.cc'];
          await session.build({ sources, flags: ['-g', ...level.split(' ')], compiler });
          const program = await session.start();
          assert.equal(await program.ask('3'), '32');
          session.edit('p.h', 'long a, b;', 'long a, b; ~P() { a = 0; }');
          session.edit('unit.cc', '+ 0', '+ 1');
          await session.refused('unit.cc', 'layout-changed');
          assert.equal(await program.ask('3'), '32');
        }),
      );
    });
