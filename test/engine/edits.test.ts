// Edits of every kind a developer makes, each seen to take effect in the running process. What the compiler made of
// the function (inlined, cloned, merged, a table entry) must not matter.
import { strict as assert } from 'node:assert';
import { inSession, Unit } from '../support/session';

/** Does nothing to small numbers; long enough for a jump. */
const plain = 'long value(long n) { n = n < -1000 ? -1000 : n; return n; }';

describe('an edit takes effect', () => {
  it(
    'of a function that the compiler inlined everywhere, through its callers',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `static int factor() { return 2; }
         long value(long n) { return n * factor(); }`,
      );
      assert.equal(await unit.value(21), 42);
      const result = await unit.editAndPatch('return 2', 'return 3');
      assert.equal(await unit.value(21), 63);
      assert.deepEqual(
        result.processes[0]!.functions.map(({ symbol }) => symbol),
        ['_Z5valuel'],
      );
    }),
  );

  it(
    'of a function that is inlined everywhere and has code all the same',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `static long inner(long n) { return n * 2; }
         __attribute__((flatten)) long value(long n) { return inner(n) + inner(n + 1); }`,
        { compiler: 'clang++', flags: ['-g', '-O0'] },
      );
      assert.equal(await unit.value(1), 6);
      await unit.editAndPatch('n * 2', 'n * 3');
      assert.equal(await unit.value(1), 9);
    }),
  );

  it(
    'of a const initialiser, in the functions that read it',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `static const long limits[] = {10, 20, 30, 40};
         static const double scale = 1.5;
         long value(long n) { return limits[n & 3] * scale; }`,
      );
      assert.equal(await unit.value(1), 30);
      await unit.editAndPatch('{10, 20, 30, 40}', '{10, 200, 30, 40}');
      assert.equal(await unit.value(1), 300);
      await unit.editAndPatch('scale = 1.5', 'scale = 2.5');
      assert.equal(await unit.value(1), 500);
    }),
  );

  it(
    'that adds a function and a static variable, whose value the next patch keeps',
    inSession(async (session) => {
      const unit = await Unit.start(session, plain);
      await unit.editAndPatch(
        plain,
        `static long calls = 100;
         static long count() { return ++calls; }
         long value(long n) { return n + count(); }`,
      );
      assert.equal(await unit.value(0), 101);
      assert.equal(await unit.value(0), 102);
      await unit.editAndPatch('n + count()', '10000 + n + count()');
      assert.equal(await unit.value(0), 10103);
      await unit.editAndPatch('++calls', 'calls += 10');
      assert.equal(await unit.value(0), 10113);
    }),
  );

  it(
    'that adds a function-local static, whose value the next patch keeps',
    inSession(async (session) => {
      const unit = await Unit.start(session, plain);
      await unit.editAndPatch('return n;', 'static long calls = 5; return n + ++calls;');
      assert.equal(await unit.value(0), 6);
      assert.equal(await unit.value(0), 7);
      await unit.editAndPatch('n + ++calls', '1000 + n + ++calls');
      assert.equal(await unit.value(0), 1008);
    }),
  );

  it(
    'of functions that are only known by pointers kept in heap data',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `#include <map>
         #include <memory>
         typedef long (*operation)(long);
         static long twice(long n) { return 2 * n; }
         static long square(long n) { return n * n; }
         static std::unique_ptr<std::map<long, operation>> table;
         long value(long n) {
           if (!table) table.reset(new std::map<long, operation>{{0, twice}, {1, square}});
           return table->at(n & 1)(n);
         }`,
      );
      assert.equal(await unit.value(7), 49);
      await unit.editAndPatch('return n * n', 'return n * n * n');
      assert.equal(await unit.value(7), 343);
      assert.equal(await unit.value(8), 16);
    }),
  );

  it(
    'that moves a call from one library function to another',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `#include <string.h>
         #include <strings.h>
         static const char *volatile words[] = {"alpha", "ALPHA", "beta"};
         long value(long n) { return strcmp(words[0], words[n]) == 0 ? 1 : 0; }
         long other(long n) { return strcasecmp(words[0], words[n]); }`,
        { language: 'c' },
      );
      assert.deepEqual([await unit.value(0), await unit.value(1)], [1, 0]);
      await unit.editAndPatch('strcmp(words[0]', 'strcasecmp(words[0]');
      assert.deepEqual([await unit.value(0), await unit.value(1), await unit.value(2)], [1, 1, 0]);
    }),
  );

  it(
    'that calls a library function the program did not use before',
    inSession(async (session) => {
      const unit = await Unit.start(session, 'long value(long n) { n = n < -1000 ? -1000 : n; return n; }', {
        language: 'c',
      });
      session.edit('unit.c', /^/, '#include <stdlib.h>\n#include <string.h>\n#include <stdio.h>\n');
      await unit.editAndPatch(
        'return n;',
        'char text[32]; sprintf(text, "%ld", n); char *copy = strdup(text); long l = strlen(copy); free(copy); return l;',
      );
      assert.equal(await unit.value(12345), 5);
    }),
  );

  it(
    'that uses stderr in a C program that did not',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        '#include <stdio.h>\nlong value(long n) { n = n < -1000 ? -1000 : n; return n; }',
        {
          language: 'c',
        },
      );
      await unit.editAndPatch('return n;', 'fprintf(stderr, "value %ld\\n", n); return n;');
      assert.equal(await unit.value(3), 3);
      assert.equal(await unit.program.errorLine(), 'value 3');
    }),
  );

  it(
    'that uses std::cerr in a C++ program that did not',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        '#include <iostream>\nlong value(long n) { n = n < -1000 ? -1000 : n; return n; }',
      );
      await unit.editAndPatch('return n;', 'std::cerr << "value " << n << std::endl; return n;');
      assert.equal(await unit.value(3), 3);
      assert.equal(await unit.program.errorLine(), 'value 3');
    }),
  );

  it(
    'of a lambda in an inline function of a unit that has no other functions',
    inSession(async (session) => {
      session.write(
        'scale.h',
        `#include <functional>
         struct Scale {
           std::function<long(long)> of;
           __attribute__((noinline)) explicit Scale(long by) : of([by](long n) { return n * by; }) {}
         };`,
      );
      session.write('other.cc', '#include "scale.h"\nScale other(7);\n');
      const unit = await Unit.start(
        session,
        '#include "scale.h"\nextern Scale other;\nlong value(long n) { return other.of(n); }',
        { sources: ['other.cc'] },
      );
      assert.equal(await unit.value(3), 21);
      session.edit('scale.h', 'return n * by;', 'return n * by + 1;');
      await session.patch('scale.h');
      assert.equal(await unit.value(3), 22);
    }),
  );

  it(
    'in a header, over all units that include it',
    inSession(async (session) => {
      session.write('shared.h', 'inline long factor(long n) { return n + 1; }\n');
      session.write('second.cc', '#include "shared.h"\nlong second(long n) { return factor(n) * 10; }\n');
      const unit = await Unit.start(
        session,
        `#include "shared.h"
         long second(long n);
         long value(long n) { return factor(n) * 1000 + second(n); }`,
        { sources: ['second.cc'] },
      );
      assert.equal(await unit.value(1), 2020);
      session.edit('shared.h', 'n + 1', 'n + 2');
      await session.patch('shared.h');
      assert.equal(await unit.value(1), 3030);
    }),
  );

  it(
    'over two files that are saved together, where one uses what the other adds',
    inSession(async (session) => {
      session.write('second.cc', 'long second(long n) { return n; }\n');
      const unit = await Unit.start(
        session,
        'long second(long n);\nlong value(long n) { return second(n); }',
        {
          sources: ['second.cc'],
        },
      );
      session.edit(
        'second.cc',
        /$/,
        'long shared_count = 40;\nlong third(long n) { return n + ++shared_count; }\n',
      );
      session.edit('unit.cc', 'return second(n);', 'return third(n) + shared_count;');
      session.edit('unit.cc', /^/, 'long third(long n);\nextern long shared_count;\n');
      await session.patch(['unit.cc', 'second.cc']);
      assert.equal(await unit.value(1), 1 + 41 + 41);
    }),
  );

  it(
    'of a thread_local that other units use too',
    inSession(async (session) => {
      session.write('second.cc', 'thread_local long depth = 7;\nlong deeper() { return ++depth; }\n');
      const unit = await Unit.start(
        session,
        'extern thread_local long depth;\nlong deeper();\nlong value(long n) { deeper(); return depth + n; }',
        { sources: ['second.cc'] },
      );
      assert.equal(await unit.value(0), 8);
      await unit.editAndPatch('return depth + n', 'return depth * 100 + n');
      assert.equal(await unit.value(0), 900);
    }),
  );

  it(
    'in a function the linker folded out of use, once something calls it',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `long value(long n) { n = n < -1000 ? -1000 : n; return n; }
         long helper(long n) { return n * 3; }`,
        { flags: ['-O2', '-g', '-ffunction-sections'], linkFlags: ['-Wl,--gc-sections'] },
      );
      await unit.editAndPatch('return n; }', 'extern long helper(long); return helper(n); }');
      assert.equal(await unit.value(5), 15);
    }),
  );

  const logged = `#define LOG(what, n) ((what) * 1000 + (n))
${Array.from({ length: 9 }, (_, i) => `long f${i}(long n) { return LOG(${i}, n); }`).join('\n')}
long value(long n) { return f3(LOG(1, n)); }
`;
  for (const [compiler, optimise] of [
    ['gcc', '-O0'],
    ['clang', '-O2'],
  ] as const)
    it(
      `of a macro that every function of the unit uses (${compiler} ${optimise})`,
      inSession(async (session) => {
        const flags = [optimise, '-g', '-falign-functions=16'];
        const unit = await Unit.start(session, logged, { language: 'c', compiler, flags });
        assert.equal(await unit.value(5), 4005);
        await unit.editAndPatch('(n))', '(n) + 1)');
        assert.equal(await unit.value(5), 4007);
        await unit.editAndPatch('(n) + 1)', '(n) + 2)');
        assert.equal(await unit.value(5), 4009);
        await unit.editAndPatch('(n) + 2)', '(n))', 'reverted');
        assert.equal(await unit.value(5), 4005);
      }),
    );

  it(
    'of such a macro is refused where the database was configured anew after the build',
    inSession(async (session) => {
      const unit = await Unit.start(session, logged, {
        language: 'c',
        flags: ['-O0', '-g'],
      });
      session.write('CMakeCache.txt', '');
      session.write('compile_commands.json', session.read('compile_commands.json'));
      await unit.editAndBeRefused('(n))', '(n) + 1)', 'flags-differ');
    }),
  );

  it(
    'of one function only, when --function names it',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `__attribute__((noinline)) long first(long n) { return n + 1; }
         __attribute__((noinline)) long second(long n) { return n + 10; }
         long value(long n) { return first(n) + second(n); }`,
        { flags: ['-O0', '-g'] },
      );
      session.edit('unit.cc', 'n + 1;', 'n + 5;');
      session.edit('unit.cc', 'n + 10;', 'n + 50;');
      await session.patch(['unit.cc', '--function', 'first']);
      assert.equal(await unit.value(0), 15);
      await session.patch('unit.cc');
      assert.equal(await unit.value(0), 55);
    }),
  );
});
