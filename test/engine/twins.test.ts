// One source that was compiled several times into one program, with other macros: a save concerns all of its units, each
// with its own command, or is refused.
import { strict as assert } from 'node:assert';
import { inSession, type CompileCommand, type Session } from '../support/session';

const compilers = ['gcc', 'clang'] as const;
const optimisations = ['-O0', '-O2'] as const;

/** Its functions are global by a name of the command, or static and of one name in all units. */
const twin = `static long calls;
static __attribute__((noinline)) long factor(long n) { calls++; return n * SCALE + 1; }
long NAME(long n) { long result = factor(n); return result * 100 + calls; }
`;
const main = `#include <stdio.h>
#include <stdlib.h>
long one(long n);
long two(long n);
int main(void) {
  char line[80];
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    printf("%ld %ld\\n", one(atol(line)), two(atol(line)));
    fflush(stdout);
  }
  return 0;
}
`;

async function start(session: Session, compiler: string, optimisation: string) {
  session.write('twin.c', twin);
  session.write('main.c', main);
  const command = (file: string, output: string, ...flags: string[]): CompileCommand => ({
    directory: session.directory,
    file,
    arguments: [compiler, '-g', optimisation, ...flags, '-c', file, '-o', output],
    output,
  });
  const commands = [
    command('main.c', 'main.o'),
    command('twin.c', 'one.o', '-DNAME=one', '-DSCALE=2'),
    command('twin.c', 'two.o', '-DNAME=two', '-DSCALE=3'),
  ];
  for (const { arguments: args } of commands) await session.run(args![0]!, args!.slice(1));
  await session.run(compiler, ['main.o', 'one.o', 'two.o', '-o', 'program']);
  session.writeDatabase(commands);
  return { program: await session.start(), commands };
}

describe('a source that was compiled twice into one program', () => {
  for (const compiler of compilers)
    for (const optimisation of optimisations)
      it(
        `is patched in both of its units, and undone (${compiler} ${optimisation})`,
        inSession(async (session) => {
          const { program } = await start(session, compiler, optimisation);
          assert.equal(await program.ask('1'), '301 401');
          await session.patch('twin.c', 'unchanged');
          session.edit('twin.c', 'SCALE + 1', 'SCALE + 2');
          await session.patch('twin.c');
          assert.equal(await program.ask('1'), '402 502');
          await session.patch('twin.c', 'unchanged');
          // New state is each unit's own, and kept.
          session.edit('twin.c', 'calls++;', 'static long more = SCALE; calls++; more += 10; n += more;');
          await session.patch('twin.c');
          assert.equal(await program.ask('0'), `${(0 + 12) * 2 + 2}03 ${(0 + 13) * 3 + 2}03`);
          session.edit('twin.c', 'SCALE + 2', 'SCALE + 3');
          await session.patch('twin.c');
          assert.equal(await program.ask('0'), `${(0 + 22) * 2 + 3}04 ${(0 + 23) * 3 + 3}04`);
          session.write('twin.c', twin);
          await session.patch('twin.c', 'reverted');
          assert.equal(await program.ask('1'), '305 405');
        }),
      );

  it(
    'is refused when one of its commands is not known',
    inSession(async (session) => {
      const { program, commands } = await start(session, 'gcc', '-O2');
      session.writeDatabase(commands.slice(0, 2));
      session.edit('twin.c', 'SCALE + 1', 'SCALE + 2');
      await session.refused('twin.c', 'flags-differ');
      assert.equal(await program.ask('1'), '301 401');
    }),
  );
});

describe('a source that was compiled into a program and into a library of it', () => {
  for (const order of ['the program first', 'the library first'])
    it(
      `is patched in each with its own command (${order})`,
      inSession(async (session) => {
        session.write(
          'twin.c',
          `static __attribute__((noinline)) long factor(long n) { return n * SCALE + 1; }
           static __attribute__((noinline)) long half(long n) { return n / 2; }
           static __attribute__((noinline)) long twice(long n) { return n * 2; }
           long NAME(long n) { return twice(half(factor(n) * 2)); }`,
        );
        session.write('main.c', main);
        const command = (file: string, output: string, ...flags: string[]): CompileCommand => ({
          directory: session.directory,
          file,
          arguments: ['gcc', '-g', '-O1', ...flags, '-c', file, '-o', output],
          output,
        });
        const commands = [
          command('main.c', 'main.o'),
          command('twin.c', 'one.o', '-DNAME=one', '-DSCALE=2'),
          command('twin.c', 'two.o', '-DNAME=two', '-DSCALE=3', '-fPIC'),
        ];
        for (const { arguments: args } of commands) await session.run(args![0]!, args!.slice(1));
        await session.run('gcc', ['-shared', 'two.o', '-o', 'libtwo.so']);
        await session.run('gcc', ['main.o', 'one.o', '-o', 'program', './libtwo.so', '-Wl,-rpath,$ORIGIN']);
        // What the build wrote is not always kept.
        await session.run('rm', ['one.o', 'two.o']);
        session.writeDatabase(order === 'the program first' ? commands : commands.reverse());
        const program = await session.start();
        assert.equal(await program.ask('1'), '6 8');
        session.edit('twin.c', 'n / 2', '(n + 10) / 2');
        await session.patch('twin.c');
        assert.equal(await program.ask('1'), '16 18');
        session.edit('twin.c', 'n * 2', 'n * 4');
        await session.patch('twin.c');
        assert.equal(await program.ask('1'), '32 36');
        session.edit('twin.c', 'n * 4', 'n * 2');
        session.edit('twin.c', '(n + 10) / 2', 'n / 2');
        await session.patch('twin.c', 'reverted');
        assert.equal(await program.ask('1'), '6 8');
      }),
    );
});
