// Functions of which several units have a copy: inline functions of headers, members defined in their class, instances
// of templates. Only one copy is live; an edit and its undo concern that one, whichever unit brought it.
import { strict as assert } from 'node:assert';
import { inSession, type Session } from '../support/session';

const compilers = ['gcc', 'clang'] as const;
const optimisations = ['-O0', '-O2'] as const;

/** Builds main.cc (the driver of one unit), one.cc and two.cc, each with flags of its own. */
async function start(session: Session, compiler: string, flags: Record<string, string[]>) {
  const commands = Object.entries(flags).map(([file, own]) => ({
    directory: session.directory,
    file,
    arguments: [compiler === 'gcc' ? 'g++' : 'clang++', '-g', ...own, '-c', file, '-o', `${file}.o`],
    output: `${file}.o`,
  }));
  for (const {
    arguments: [command, ...args],
  } of commands)
    await session.run(command!, args);
  await session.run('g++', [...commands.map(({ output }) => output), '-o', 'program']);
  session.writeDatabase(commands);
  return session.start();
}

const shared = `inline __attribute__((noinline)) long scale(long n) { return n * 3 + 1; }
struct Counter {
  long total = 0;
  __attribute__((noinline)) long add(long n) { total += n; return total + 100; }
};
template <typename T> __attribute__((noinline)) long measure(T n) { return n * 7 + 2; }
`;
const unit = (name: string) => `#include "shared.h"
long ${name}(long n) { Counter counter; return scale(n) * 1000000 + counter.add(n) * 1000 + measure(n) + measure((int)n); }
`;
const main = `#include <stdio.h>
#include <stdlib.h>
long one(long n);
long two(long n);
int main() {
  char line[64];
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    printf("%ld %ld\\n", one(atol(line)), two(atol(line)));
    fflush(stdout);
  }
}
`;

describe('an inline function that several units have', () => {
  for (const compiler of compilers)
    for (const optimisation of optimisations)
      it(
        `is edited and undone in all of them (${compiler} ${optimisation})`,
        inSession(async (session) => {
          session.write('shared.h', shared);
          session.write('one.cc', unit('one'));
          session.write('two.cc', unit('two'));
          session.write('main.cc', main);
          const flags = [optimisation];
          const program = await start(session, compiler, {
            'main.cc': flags,
            'one.cc': flags,
            'two.cc': flags,
          });
          assert.equal(await program.ask('1'), '4101018 4101018');
          for (const [from, to, value] of [
            ['n * 3 + 1', 'n * 3 + 2', '5101018'],
            ['total + 100', 'total + 200', '4201018'],
            ['n * 7 + 2', 'n * 7 + 4', '4101022'],
          ] as const) {
            session.edit('shared.h', from, to);
            await session.patch('shared.h');
            assert.equal(await program.ask('1'), `${value} ${value}`);
            session.edit('shared.h', to, from);
            const result = await session.patch('shared.h', 'reverted');
            assert.equal(await program.ask('1'), '4101018 4101018', JSON.stringify(result));
            await session.patch('shared.h', 'unchanged');
          }
        }),
      );

  for (const compiler of compilers)
    for (const [one, two] of [
      ['-O0', '-O2'],
      ['-O2', '-O0'],
    ] as const)
      it(
        `is edited and undone where their copies differ (${compiler} ${one}, ${two})`,
        inSession(async (session) => {
          session.write('shared.h', shared);
          session.write('one.cc', unit('one'));
          session.write('two.cc', unit('two'));
          session.write('main.cc', main);
          const program = await start(session, compiler, { 'main.cc': [], 'one.cc': [one], 'two.cc': [two] });
          assert.equal(await program.ask('1'), '4101018 4101018');
          await session.patch('shared.h', 'unchanged');
          await session.patch('one.cc', 'unchanged');
          await session.patch('two.cc', 'unchanged');
          session.edit('shared.h', 'n * 3 + 1', 'n * 3 + 2');
          await session.patch('shared.h');
          assert.equal(await program.ask('1'), '5101018 5101018');
          await session.patch('shared.h', 'unchanged');
          await session.patch('two.cc', 'unchanged');
          session.edit('shared.h', 'total + 100', 'total + 200');
          await session.patch('shared.h');
          assert.equal(await program.ask('1'), '5201018 5201018');
          session.edit('shared.h', 'n * 3 + 2', 'n * 3 + 1');
          session.edit('shared.h', 'total + 200', 'total + 100');
          await session.patch('shared.h', 'reverted');
          assert.equal(await program.ask('1'), '4101018 4101018');
          await session.patch('shared.h', 'unchanged');
        }),
      );

  for (const compiler of compilers)
    it(
      `is taken from another unit when the one that brought it has it no more (${compiler})`,
      inSession(async (session) => {
        session.write('shared.h', shared);
        session.write('one.cc', unit('one'));
        session.write('two.cc', unit('two'));
        session.write('main.cc', main);
        const flags = ['-O0'];
        const program = await start(session, compiler, {
          'main.cc': flags,
          'one.cc': flags,
          'two.cc': flags,
        });
        session.edit('one.cc', 'scale(n)', 'n');
        await session.patch('one.cc');
        assert.equal(await program.ask('1'), '1101018 4101018');
        session.edit('shared.h', 'n * 3 + 1', 'n * 3 + 2');
        await session.patch('shared.h');
        assert.equal(await program.ask('1'), '1101018 5101018');
        session.edit('shared.h', 'n * 3 + 2', 'n * 3 + 1');
        await session.patch('shared.h', 'reverted');
        assert.equal(await program.ask('1'), '1101018 4101018');
      }),
    );
});

describe('a function with several definitions', () => {
  const defining = (name: string, attribute: string, body: string): string =>
    `__attribute__((noinline${attribute})) long scale(long n) { ${body} }
     long ${name}(long n) { return scale(n); }`;
  for (const compiler of compilers)
    for (const optimisation of optimisations)
      it(
        `is changed by an edit of the one that was linked (${compiler} ${optimisation})`,
        inSession(async (session) => {
          session.write('weak.cc', defining('one', ', weak', 'return n * 3 + 1;'));
          session.write('strong.cc', defining('two', '', 'return n * 5 + 2;'));
          session.write('third.cc', defining('three', ', weak', 'return n * 7 + 3;'));
          session.write(
            'main.cc',
            main
              .replace('long two', 'long two(long n); long three')
              .replace("' ' << two(", "' ' << three(0) * 0 + two("),
          );
          const flags = [optimisation];
          const program = await start(session, compiler, {
            'main.cc': flags,
            'weak.cc': flags,
            'strong.cc': flags,
            'third.cc': flags,
          });
          assert.equal(await program.ask('1'), '7 7');
          session.edit('weak.cc', 'n * 3 + 1', 'n * 4 + 1');
          await session.patch('weak.cc', 'unchanged');
          session.edit('third.cc', 'n * 7 + 3', 'n * 8 + 3');
          await session.patch(['weak.cc', 'third.cc'], 'unchanged');
          assert.equal(await program.ask('1'), '7 7');
          session.edit('strong.cc', 'n * 5 + 2', 'n * 6 + 2');
          await session.patch(['weak.cc', 'strong.cc', 'third.cc']);
          assert.equal(await program.ask('1'), '8 8');
          await session.patch('weak.cc', 'unchanged');
          session.edit('strong.cc', 'n * 6 + 2', 'n * 5 + 2');
          await session.patch(['third.cc', 'strong.cc'], 'reverted');
          assert.equal(await program.ask('1'), '7 7');
          // Only its own code goes with the edit of a caller.
          session.edit('weak.cc', 'return scale(n);', 'return scale(n) + 1000;');
          await session.patch('weak.cc');
          assert.equal(await program.ask('1'), '1007 7');
        }),
      );

  for (const compiler of compilers)
    it(
      `of two units that each have a class of one name is the one that was linked first (${compiler})`,
      inSession(async (session) => {
        const own = (name: string, body: string): string =>
          `struct Impl { long value = 0; __attribute__((noinline)) long run(long n) { ${body} } };
           long ${name}(long n) { Impl impl; return impl.run(n); }`;
        session.write('one.cc', own('one', 'return n * 3 + 1;'));
        session.write('two.cc', own('two', 'return n * 5 + 2 + value;'));
        session.write('main.cc', main);
        const flags = ['-O0'];
        const program = await start(session, compiler, {
          'main.cc': flags,
          'one.cc': flags,
          'two.cc': flags,
        });
        assert.equal(await program.ask('1'), '4 4');
        await session.patch(['one.cc', 'two.cc'], 'unchanged');
        session.edit('two.cc', 'n * 5', 'n * 6');
        await session.patch('two.cc', 'unchanged');
        assert.equal(await program.ask('1'), '4 4');
        session.edit('one.cc', 'n * 3', 'n * 4');
        await session.patch('one.cc');
        assert.equal(await program.ask('1'), '5 5');
      }),
    );

  for (const compiler of compilers)
    for (const optimisation of optimisations)
      for (const [described, one, two] of [
        ['with debug information', [], []],
        ['without debug information', ['-g0'], ['-g0']],
        ['with debug information in one of them', ['-g0'], []],
      ] as const)
        it(
          `is edited where it is part of what a library makes of its class, ${described} (${compiler} ${optimisation})`,
          inSession(async (session) => {
            session.write(
              'shared.h',
              `#include <map>
#include <string>
#include <vector>
struct Part { std::string name; long size; Part(int n) : name("a"), size(n + 1) {} };
struct Order { bool operator()(const std::string &a, const std::string &b) const { return a.size() < b.size(); } };
`,
            );
            const user = (name: string) => `#include "shared.h"
long ${name}(long n) {
  std::vector<Part> parts;
  for (int i = 0; i < 4; i++) parts.emplace_back(i * (int)n);
  long result = 0;
  for (auto &part : parts) result += part.size * 10 + (long)part.name.size();
  std::map<std::string, long, Order> found;
  for (const char *key : {"apple", "fig", "pear", "kiwi"}) found[key] = n;
  for (auto &[key, value] : found) result = result * 10 + value;
  return result;
}
`;
            session.write('one.cc', user('one'));
            session.write('two.cc', user('two'));
            session.write('main.cc', main);
            const flags = ['-std=c++17', optimisation];
            const program = await start(session, compiler, {
              'main.cc': flags,
              'one.cc': [...flags, ...one],
              'two.cc': [...flags, ...two],
            });
            assert.equal(await program.ask('1'), '104111 104111');
            await session.patch('shared.h', 'unchanged');
            await session.patch(['one.cc', 'two.cc'], 'unchanged');
            session.edit('shared.h', 'n + 1', 'n + 2');
            session.edit('shared.h', 'name("a")', 'name("bc")');
            session.edit('shared.h', 'a.size() < b.size()', 'a < b');
            await session.patch('shared.h');
            assert.equal(await program.ask('1'), '1481111 1481111');
            session.edit('shared.h', 'n + 2', 'n + 1');
            session.edit('shared.h', 'name("bc")', 'name("a")');
            session.edit('shared.h', 'a < b', 'a.size() < b.size()');
            await session.patch('shared.h', 'reverted');
            assert.equal(await program.ask('1'), '104111 104111');
          }),
        );
});
