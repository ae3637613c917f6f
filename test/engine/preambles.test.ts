// Preambles: the directives that a unit begins with, compiled ahead. What is compiled with one is what the plain compile
// gives, and none is taken where it might not be. With the real compilers.
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unitsOf } from '../../extension/engine/dwarf/units';
import { lastingPragma } from '../../extension/engine/compile/pragmas';
import { ElfFile } from '../../extension/engine/elf/file';
import { preambleEnd } from '../../extension/engine/fast/preamble';
import { compareLayouts } from '../../extension/engine/types/layout';
import { age, Ahead, facts, prepared } from '../support/preambles';
import { inSession, type Session } from '../support/session';

describe('the preamble of a text', () => {
  const cases: { what: string; text: string; preamble: string }[] = [
    {
      what: 'is its leading directives',
      text: '#include <a>\n#define B 1\nint c;\n',
      preamble: '#include <a>\n#define B 1\n',
    },
    {
      what: 'has comments and blank lines in it',
      text: '// a\n\n/* b */ #include <a>\n/* c */\nint d;',
      preamble: '// a\n\n/* b */ #include <a>\n',
    },
    {
      what: 'is joined lines',
      text: '#include <a>\n#define B \\\n 1\nint c;',
      preamble: '#include <a>\n#define B \\\n 1\n',
    },
    {
      what: 'ends before a conditional with code',
      text: '#include <a>\n#if B\n#include <c>\nint d;\n#endif\n',
      preamble: '#include <a>\n',
    },
    {
      what: 'has whole conditionals',
      text: '#include <a>\n#if B\n#include <c>\n#endif\nint d;\n',
      preamble: '#include <a>\n#if B\n#include <c>\n#endif\n',
    },
    {
      what: 'ends before a pragma',
      text: '#include <a>\n#pragma once\n#include <b>\n',
      preamble: '#include <a>\n',
    },
    {
      what: 'ends where directives ask for their place',
      text: '#include <a>\n#if __INCLUDE_LEVEL__\n#endif\n#include <b>\n',
      preamble: '#include <a>\n',
    },
    { what: 'is nothing when nothing is included', text: '#define A 1\nint b;\n', preamble: '' },
    { what: 'is nothing behind code', text: 'int a;\n#include <b>\n', preamble: '' },
    { what: 'is nothing on a line without an end', text: '#include <a>', preamble: '' },
  ];
  for (const { what, text, preamble } of cases)
    it(what, () => assert.equal(text.slice(0, preambleEnd(text)), preamble));
});

const units = {
  c: `#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <pthread.h>
#include "table.h"
#ifdef TABLE_H
#include <math.h>
#endif

long value(long n) { static struct pair last; last.a += n; printf("%s %d %f", __FILE__, __LINE__, sqrt(n)); return scaled(last.a) + strlen(where()); }
static int other(int n) { return n; }
int (*table)(int) = other;
`,
  cc: `#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <string>
#include <vector>
#include "table.h"

long value(long n) {
  static std::map<std::string, std::vector<long>> all;
  all["n"].push_back(n + scaled(n));
  std::ostringstream text; text << where() << __FILE__ << __LINE__;
  auto longest = std::max_element(all.begin(), all.end(), [](auto &a, auto &b) { return a.first < b.first; });
  if (std::regex_match(text.str(), std::regex("a+"))) throw std::runtime_error("b");
  std::function<long(long)> f = [n](long m) { return m * n; };
  std::cerr << longest->first << std::endl;
  return f(text.str().size()) + std::make_unique<pair>(pair{3})->a;
}
struct Shape { virtual ~Shape() {} virtual int area() const { return 1; } };
static Shape shape;
`,
};
const header = `#ifndef TABLE_H
#define TABLE_H
struct pair { long a; };
static inline long scaled(long n) { static long calls = 3; return n * ++calls; }
static inline const char *where(void) { return __FILE__; }
#endif
`;

const compilers = ['gcc', 'g++', 'clang', 'clang++', 'gcc-11', 'clang-19', 'clang++-19'];

describe('what is compiled with a preamble', () => {
  for (const compiler of compilers)
    for (const level of /\d/.test(compiler) ? ['-O2'] : ['-O0', '-O2'])
      it(
        `is what the plain compile gives (${compiler} ${level})`,
        inSession(async (session) => {
          const language = /\+\+/.test(compiler) ? 'cc' : 'c';
          session.write('source/table.h', header);
          age(session, 'source/table.h');
          const file = `source/unit.${language}`;
          session.write(file, units[language]);
          const ahead = new Ahead(session, file, [compiler, level, '-g', '-fPIC']);
          await ahead.prepare();
          const plain = await ahead.compilePlain();
          assert.ok(!plain.compiled.argv.includes('-include'));
          const fast = await ahead.compile();
          assert.ok(fast.compiled.argv.includes('-include'));
          assert.deepEqual(facts(fast), facts(plain));
          assert.ok(!readFileSync(fast.compiled.object).includes(session.path('cache')));
          // Types: those of the one, loaded, against those of the other.
          await session.run(compiler.replace(/^clang(\+\+)?.*/, 'clang$1'), [
            '-shared',
            '-o',
            'plain.so',
            plain.compiled.object,
          ]);
          const elf = ElfFile.open(session.path('plain.so'));
          const layouts = compareLayouts(
            { elf, units: unitsOf(elf, session.path(file)).map(({ unit }) => unit) },
            { elf: fast.object.elf },
          );
          assert.deepEqual([layouts.problems, layouts.warnings], [[], []]);
          assert.ok(layouts.conventions.size > 0);
          assert.ok([...layouts.signatures.values()].every((changed) => !changed));
          elf.close();
          // gcc would read the header in silence if it did not like what was compiled.
          if (/^g/.test(compiler)) {
            writeFileSync(ahead.keptFile('hot_patch_preamble.h'), '#error was read\n');
            assert.ok((await ahead.compile()).compiled.argv.includes('-include'));
          }
        }),
      );
});

describe('a pragma that is in force behind its header', () => {
  const cases: { text: string; found: string | undefined }[] = [
    {
      text: '#pragma once\n#pragma GCC system_header\n#pragma GCC diagnostic ignored "-Wall"\n',
      found: undefined,
    },
    {
      text: '#pragma GCC push_options\n#pragma GCC target("avx2")\n#pragma GCC pop_options\n',
      found: undefined,
    },
    { text: '#pragma GCC target("avx2")\n', found: 'GCC target("avx2")' },
    {
      text: '#pragma GCC push_options\n#pragma GCC pop_options\n # pragma  GCC optimize("O3")\n',
      found: 'GCC optimize("O3")',
    },
    { text: '#define FAST _Pragma("GCC target(\\"avx2\\")")\n', found: 'GCC target(\\"avx2\\")")' },
    { text: '#pragma redefine_extname foo bar\n', found: 'redefine_extname foo bar' },
    { text: 'int pragma; // #pragma GCC target("avx2")\n', found: undefined },
  ];
  for (const { text, found } of cases)
    it(`is ${found ?? 'none'} in ${JSON.stringify(text)}`, () => assert.equal(lastingPragma(text), found));

  const packed = '#pragma pack(push, 1)\n';
  const uses = [
    { what: 'pack', header: packed, reason: /the compiler ended with 1/ },
    {
      what: 'target',
      header: '#pragma GCC target("avx2")\n',
      reason: /has #pragma GCC target\("avx2"\) for what/,
    },
  ];
  for (const { what, header, reason } of uses)
    it(
      `keeps the preamble from being used, because gcc forgets it: ${what}`,
      inSession(async (session) => {
        session.write('state.h', header);
        session.write('unit.cc', '#include "state.h"\nlong value(long n) { return n; }\n');
        age(session, 'state.h');
        const ahead = new Ahead(session, 'unit.cc', ['g++', '-O0', '-g']);
        await ahead.prepare(reason);
        assert.equal(ahead.isReady(), false);
      }),
    );

  it(
    'does no harm when it is over at the end of the header, or a condition leaves it out',
    inSession(async (session) => {
      session.write('state.h', `#ifdef _MSC_VER\n${packed}#endif\n${packed}#pragma pack(pop)\n`);
      session.write('unit.cc', '#include "state.h"\nlong value(long n) { return n; }\n');
      age(session, 'state.h');
      const ahead = new Ahead(session, 'unit.cc', ['g++', '-O0', '-g']);
      await ahead.prepare();
      assert.ok(ahead.isReady());
    }),
  );
});

describe('a preamble of a header whose comments say what none may have', () => {
  const text = `/* What follows are
   #include's that protect themselves, __TIME__
   #include AGAIN
*/
// __DATE__ /* and
#include /* like this */ <stdio.h>
static const char *text = "/*";
#define Q '"' /* #include NO */
#if defined(USER_FILE) /* as Lua's lua.h */
#include USER_FILE
#endif
`;
  for (const [compiler, file] of [
    ['gcc', 'unit.c'],
    ['clang++', 'unit.cc'],
  ] as const)
    it(
      `is compiled ahead (${compiler}), as those of glibc's headers are`,
      inSession(async (session) => {
        session.write('talk.h', text);
        session.write(file, '#include "talk.h"\n#include <limits.h>\nlong value(long n) { return n; }\n');
        age(session, 'talk.h');
        const ahead = new Ahead(session, file, [compiler, '-O0', '-g']);
        await ahead.prepare();
        assert.ok(ahead.isReady());
        assert.deepEqual(facts(await ahead.compile()), facts(await ahead.compilePlain()));
      }),
    );
});

describe('a preamble is not taken', () => {
  const reasons: { what: string; change: (session: Session) => unknown }[] = [
    {
      what: 'when a header was edited',
      change: (session) => session.write('b/first.h', '#define FIRST 3\n'),
    },
    {
      what: 'when a header was written again',
      change: (session) => session.write('c/second.h', '#define SECOND 2\n'),
    },
    { what: 'when a header is gone', change: (session) => rmSync(session.path('b/inner.h')) },
    {
      what: 'when a header was made that is found before',
      change: (session) => session.write('a/second.h', ''),
    },
    {
      what: 'when a header was made beside the source',
      change: (session) => session.write('first.h', '#define FIRST 4\n'),
    },
    {
      what: 'when a header was made in a directory that was not there',
      change: (session) => session.write('none/x.h', ''),
    },
    {
      what: 'when a header was made that was asked for',
      change: (session) => session.write('c/third.h', ''),
    },
    {
      what: 'when another file is included',
      change: (session) => session.edit('unit.cc', '<second.h>', '"c/second.h"'),
    },
    {
      what: 'when a macro was defined before',
      change: (session) => session.write('unit.cc', `#define NDEBUG\n${session.read('unit.cc')}`),
    },
  ];
  for (const { what, change } of reasons)
    it(
      what,
      inSession(async (session) => {
        const ahead = await prepared(session);
        change(session);
        assert.equal(ahead.isReady(), false);
      }),
    );

  it(
    'when the command is another one, or the compiler looks elsewhere',
    inSession(async (session) => {
      await prepared(session);
      const command = ['g++', '-O0', '-g', '-Ia', '-Ib', '-Ic', '-Inone'];
      assert.ok(new Ahead(session, 'unit.cc', command).isReady());
      assert.ok(!new Ahead(session, 'unit.cc', [...command, '-DNDEBUG']).isReady());
      assert.ok(!new Ahead(session, 'unit.cc', ['clang++', ...command.slice(1)]).isReady());
      const path = process.env['CPATH'];
      process.env['CPATH'] = session.path('a');
      try {
        assert.ok(!new Ahead(session, 'unit.cc', command).isReady());
      } finally {
        if (path === undefined) delete process.env['CPATH'];
        else process.env['CPATH'] = path;
      }
    }),
  );

  const unfit: { what: string; header: string; options?: string[]; says: RegExp }[] = [
    {
      what: 'asks how deep it is included',
      header: 'static int level = __INCLUDE_LEVEL__;\n',
      says: /has __INCLUDE_LEVEL__/,
    },
    {
      what: 'asks for the main file',
      header: 'static const char *file = __BASE_FILE__;\n',
      says: /has __BASE_FILE__/,
    },
    { what: 'asks for the time', header: 'static const char *time = __TIME__;\n', says: /has __TIME__/ },
    {
      what: 'includes what a macro says',
      header: '#define NAME <stdio.h>\n#include NAME\n',
      says: /with a macro/,
    },
    {
      what: 'includes what a macro says that is defined in pieces',
      header: '# /* */ define \\\n NAME <stdio.h>\n#ifdef NAME\n#include NAME\n#endif\n',
      says: /with a macro/,
    },
    {
      what: 'may include what a macro of the command says',
      header: '#ifdef NAME\n#include NAME\n#endif\n',
      options: ['-DNAME=<stdio.h>'],
      says: /with a macro/,
    },
    { what: 'does not compile', header: '#error no\n', says: /ended with 1/ },
  ];
  for (const { what, header: text, options = [], says } of unfit)
    it(
      `of a header that ${what}`,
      inSession(async (session) => {
        session.write('odd.h', text);
        session.write('unit.cc', '#include "odd.h"\nlong value(long n) { return n; }\n');
        age(session, 'odd.h');
        const ahead = new Ahead(session, 'unit.cc', ['g++', '-g', ...options]);
        await ahead.prepare(says);
        assert.ok(!ahead.isReady());
        assert.deepEqual(
          ahead.kept.flatMap((name) => readdirSync(join(ahead.directory, name))),
          ['hot_patch_preamble.h'],
        );
      }),
    );

  it(
    'with a command that includes something before it',
    inSession((session) => {
      session.write('unit.cc', '#include <stdio.h>\nlong value(long n) { return n; }\n');
      for (const options of [
        ['-include', 'stdio.h'],
        ['-includestdio.h'],
        ['-imacros', 'stdio.h'],
        ['-Wp,-include,stdio.h'],
      ]) {
        const ahead = new Ahead(session, 'unit.cc', ['g++', '-g', ...options]);
        const { text, flags } = ahead.text;
        ahead.compiler.prepare(ahead.entry, text, flags);
        assert.deepEqual(ahead.kept, []);
      }
      return Promise.resolve();
    }),
  );

  it(
    'and a counter that was used in it has the whole text compiled',
    inSession(async (session) => {
      session.write('odd.h', 'static int number = __COUNTER__;\n');
      session.write('unit.cc', '#include "odd.h"\nlong value(long n) { return n + __COUNTER__; }\n');
      age(session, 'odd.h');
      const ahead = new Ahead(session, 'unit.cc', ['g++', '-g']);
      await ahead.prepare();
      await assert.rejects(ahead.compile());
    }),
  );
});
