// The exact way over the preamble: only of units that were the same object over it, and never another result than without.
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import type { CompileEntry } from '../../extension/engine/context';
import { readUnit } from '../../extension/engine/save/compile';
import { isSameUnit } from '../../extension/engine/save/same_unit';
import type { FreshUnit } from '../../extension/engine/save/unit';
import { cli } from '../support/paths';
import { age } from '../support/preambles';
import { inSession, type Session } from '../support/session';
import { Watched } from '../support/watched_unit';

const HEADER = `#ifndef SCALE_H
#define SCALE_H
static inline long scaled(long n) { return n * 10; }
#endif
`;
const C = `#include <stdio.h>
#include "scale.h"
static long calls = 100;
long value(long n) { calls++; return scaled(n) + calls; }
`;
const CPLUSPLUS = `#include <iostream>
#include <map>
#include "scale.h"
static std::map<long, long> calls;
long value(long n) { if (n < 0) std::cerr << "negative"; return scaled(n) + ++calls[n] + 100; }
`;

const cases = ['gcc', 'g++', 'clang', 'clang++'].flatMap((compiler) =>
  ['-O0', '-O2'].map((level) => ({ compiler, level, isCplusplus: compiler.endsWith('++') })),
);

/** A unit whose preamble was tried once. */
async function tried(
  session: Session,
  { compiler, level, isCplusplus }: (typeof cases)[number],
  { header = HEADER, outcome = 'the same', warnings = [] as string[] } = {},
): Promise<Watched> {
  session.write('scale.h', header);
  age(session, 'scale.h');
  const watched = await Watched.start(session, isCplusplus ? CPLUSPLUS : C, {
    language: isCplusplus ? 'cc' : 'c',
    compiler,
    flags: [level, '-g', ...warnings],
    preambles: true,
  });
  await watched.watch.errorLine((line) => line.endsWith(`is ${outcome} object`));
  return watched;
}

/** How the last exact compile was made, from the commands that were logged. */
function lastCommand({ watch, unit }: Watched): string {
  const isExact = (line: string): boolean =>
    line.includes('$ ') &&
    line.includes(` ${unit.file}`) === !line.includes(' -include ') &&
    !/ -w |-header /.test(line);
  return watch.errorLines.filter((line) => isExact(line) && !line.includes('$ nice')).at(-1) ?? '';
}

const isOver = (watched: Watched): boolean => lastCommand(watched).includes(' -include ');

describe('the exact way', () => {
  for (const one of cases)
    it(
      `goes over the preamble of a unit that is the same object over it (${one.compiler} ${one.level})`,
      inSession(async (session) => {
        const watched = await tried(session, one);
        assert.equal(isOver(watched), false);
        const { changed } = await watched.save('return scaled(n) +', 'return 1000 + scaled(n) +');
        assert.deepEqual(
          changed.map(({ symbol }) => symbol.replace(/^_Z5valuel$/, 'value')),
          ['value'],
        );
        assert.equal(isOver(watched), true, watched.watch.errorLines.join('\n'));
        assert.equal(await watched.value(1), 1000 + 10 + 101);
        await watched.isExact();
        // And back: the state is what it was.
        assert.equal((await watched.save('1000 + ', '')).outcome, 'reverted');
        assert.equal(isOver(watched), true);
        assert.equal(await watched.value(1), 10 + 102);
        await watched.isExact();
      }),
    );

  it(
    'compiles as the build does when a header was edited, and the edit is live',
    inSession(async (session) => {
      const watched = await tried(session, cases[2]!);
      await watched.save('return scaled(n) +', 'return 1000 + scaled(n) +');
      assert.equal(isOver(watched), true);
      session.edit('scale.h', 'n * 10', 'n * 20');
      await watched.save('1000', '2000');
      assert.equal(isOver(watched), false);
      assert.equal(await watched.value(1), 2000 + 20 + 101);
      await watched.isExact();
    }),
  );

  it(
    'compiles as the build does for a process of which it is not known what it runs',
    inSession(async (session) => {
      const watched = await tried(session, cases[7]!);
      await watched.save('return scaled(n) +', 'return 1000 + scaled(n) +');
      assert.equal(isOver(watched), true);
      await session.run(process.execPath, [cli, 'revert', '--pid', String(watched.unit.program.pid)]);
      await watched.save('1000', '2000');
      assert.equal(isOver(watched), false);
      assert.equal(await watched.value(1), 2000 + 10 + 101);
      await watched.save('2000', '3000');
      assert.equal(isOver(watched), true);
      assert.equal(await watched.value(1), 3000 + 10 + 102);
    }),
  );

  it(
    'shows what the compiler says of a text that does not compile as the build has it said',
    inSession(async (session) => {
      const watched = await tried(session, cases[2]!);
      const { outcome, diagnostics, refusals } = await watched.save('scaled(n) +', 'scaled(n, 1) +');
      assert.equal(outcome, 'failed');
      assert.equal(isOver(watched), false);
      const [first] = diagnostics;
      assert.equal(first!.file, session.path(watched.unit.file));
      assert.equal(first!.line, 5);
      assert.match(refusals[0]!.message, /scaled/);
      const mended = await watched.save('scaled(n, 1) +', '1000 + scaled(n) +');
      assert.equal(mended.outcome, 'patched');
      assert.equal(await watched.value(1), 1000 + 10 + 101);
    }),
  );

  it(
    'compiles a text that is not UTF-8 as the build does, and its bytes stay what they are',
    inSession(async (session) => {
      const watched = await tried(session, cases[0]!);
      const text = C.replace('+ calls;', '+ calls + (unsigned char)"\u00e9"[0];');
      session.write(watched.unit.file, Buffer.from(text, 'latin1'));
      const { outcome, firstLight } = await watched.result();
      assert.deepEqual([outcome, firstLight], ['patched', undefined]);
      assert.equal(isOver(watched), false);
      assert.equal(await watched.value(1), 10 + 101 + 0xe9);
    }),
  );

  it(
    'keeps to the build’s compile where that warns of headers',
    inSession(async (session) => {
      const header = HEADER.replace('{ return', '{ long unused; return');
      const one = cases[0]!;
      const watched = await tried(session, one, { header, outcome: 'another', warnings: ['-Wall'] });
      const { diagnostics } = await watched.save('return scaled(n) +', 'return 1000 + scaled(n) +');
      assert.equal(isOver(watched), false);
      assert.ok(diagnostics.some(({ message }) => /unused/.test(message)));
      assert.equal(await watched.value(1), 1000 + 10 + 101);
    }),
  );
});

describe('two objects', () => {
  const text = `#include <map>
static long calls = 3;
extern long other(long);
const char *name(void) { return "first"; }
long value(long n) { static int times; times++; return other(n) + calls; }
std::map<int, int> all;
`;
  const compiled = async (
    session: Session,
    name: string,
    source: string,
    flags: string[] = [],
  ): Promise<FreshUnit> => {
    session.write('unit.cc', source);
    const object = session.path(`${name}.o`);
    const argv = ['g++', '-g', '-O1', ...flags, '-c', 'unit.cc', '-o', object];
    await session.run(argv[0]!, argv.slice(1));
    const entry: CompileEntry = {
      source: session.path('unit.cc'),
      spelledSource: 'unit.cc',
      directory: session.directory,
      arguments: argv,
      database: join(session.directory, 'compile_commands.json'),
    };
    return readUnit({ ...entry, entry, object, argv, diagnostics: [], milliseconds: 1 });
  };

  it(
    'of one text are the same',
    inSession(async (session) => {
      const [one, other] = [await compiled(session, 'one', text), await compiled(session, 'other', text)];
      assert.equal(isSameUnit(one, other), true);
    }),
  );

  const edits: { what: string; from: string; to: string }[] = [
    { what: 'an instruction', from: 'return other(n) +', to: 'return other(n) -' },
    { what: 'a string', from: '"first"', to: '"FIRST"' },
    { what: 'the value of a variable', from: 'calls = 3', to: 'calls = 4' },
    { what: 'what is called', from: 'other(', to: 'another(' },
    {
      what: 'the binding of a function',
      from: 'const char *name',
      to: '__attribute__((weak)) const char *name',
    },
    { what: 'the name of a static variable', from: 'times', to: 'often' },
    { what: 'a line', from: 'long value', to: '\nlong value' },
    { what: 'what is constructed', from: 'std::map<int, int> all;', to: 'std::map<int, int> all{{1, 1}};' },
  ];
  for (const { what, from, to } of edits)
    it(
      `are others when ${what} differs`,
      inSession(async (session) => {
        const changed = text.replaceAll(from, to);
        assert.notEqual(changed, text);
        const [one, other] = [
          await compiled(session, 'one', text),
          await compiled(session, 'other', changed),
        ];
        assert.equal(isSameUnit(one, other), false);
      }),
    );

  it(
    'are others when the compiler was another',
    inSession(async (session) => {
      const flags = ['-fno-tree-ter'];
      const [one, other] = [
        await compiled(session, 'one', text),
        await compiled(session, 'other', text, flags),
      ];
      assert.equal(isSameUnit(one, other), false);
    }),
  );
});
