// Edits that a running process cannot take. Each is refused with its reason and place, and the process goes on with
// the code it had: the harness asks it again after each refusal.
import { strict as assert } from 'node:assert';
import { statusSequence } from '../support/memory';
import { inSession, Unit } from '../support/session';

const record = `struct Record { int first; int second; long third; };
Record records[4] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {10, 11, 12}};
long value(long n) { Record &r = records[n & 3]; return r.first * 100 + r.second * 10 + r.third; }
`;

/** Does nothing to small numbers; long enough for a jump. */
const plain = 'long value(long n) { n = n < -1000 ? -1000 : n; return n; }';

describe('a save is refused and the process unharmed', () => {
  it(
    'when a struct member moved, although the size stayed the same',
    inSession(async (session) => {
      const unit = await Unit.start(session, record);
      const before = await statusSequence(session.path('run'), unit.program.pid);
      const result = await unit.editAndBeRefused(
        'int first; int second;',
        'int second; int first;',
        'layout-changed',
      );
      const [refusal] = result.refusals;
      assert.match(refusal!.message, /Record/);
      assert.equal(refusal!.file, session.path('unit.cc'));
      assert.equal(refusal!.line, 1);
      assert.equal(await statusSequence(session.path('run'), unit.program.pid), before);
    }),
  );

  for (const compiler of ['g++', 'clang++'])
    for (const level of ['-O0', '-O2', '-Os'])
      it(
        `when it would look behind its own module for a symbol (${compiler} ${level})`,
        inSession(async (session) => {
          const unit = await Unit.start(
            session,
            `#include <dlfcn.h>
             #include <stdlib.h>
             extern "C" int abs(int n) noexcept { return n < 0 ? -2 * n : 2 * n; }
             long value(long n) {
               void *scope = RTLD_NEXT;
               auto next = reinterpret_cast<int (*)(int)>(dlsym(scope, "abs"));
               auto first = reinterpret_cast<int (*)(int)>(dlsym(RTLD_DEFAULT, "malloc"));
               return (next && first ? next(int(n)) : -1) + 0;
             }
             long other(void) { return dlsym(RTLD_DEFAULT, "malloc") != nullptr ? 1 : -1; }`,
            { compiler, flags: [level, '-g'] },
          );
          assert.equal(await unit.value(5), 5);
          const { refusals } = await unit.editAndBeRefused('-1) + 0', '-1) + 7', 'unsupported-construct');
          assert.match(refusals[0]!.message, /calls dlsym with RTLD_NEXT/);
          session.edit(unit.file, '-1) + 7', '-1) + 0');
          // Other lookups do not depend on the caller.
          await unit.editAndPatch('? 1 : -1', '? 2 : -1');
        }),
      );

  it(
    'when a struct gained a member',
    inSession(async (session) => {
      const unit = await Unit.start(session, record);
      await unit.editAndBeRefused('long third;', 'long third; long fourth = 0;', 'layout-changed');
    }),
  );

  it(
    'when a member changed its type to another of the same size',
    inSession(async (session) => {
      const unit = await Unit.start(session, record);
      await unit.editAndBeRefused('long third;', 'double third;', 'layout-changed');
    }),
  );

  it(
    'when an enumerator changed its value',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `enum Kind { small = 1, large = 2 };
         static Kind kind = large;
         void set(Kind k) { kind = k; }
         long value(long n) { return kind == large ? n : -n; }`,
        { flags: ['-O1', '-g'] },
      );
      await unit.editAndBeRefused('large = 2', 'medium = 2, large = 3', 'layout-changed');
    }),
  );

  it(
    'when a class gained a virtual function before the others',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `struct Shape { virtual ~Shape() {} virtual long area() { return 1; } };
         Shape *shape = new Shape;
         long value(long n) { return shape->area() + n; }`,
      );
      await unit.editAndBeRefused(
        'virtual long area()',
        'virtual long width() { return 2; } virtual long area()',
        'layout-changed',
      );
    }),
  );

  it(
    'when a header that defines a struct was edited, naming the header',
    inSession(async (session) => {
      session.write('record.h', 'struct Record { int a; int b; };\nextern Record shared;\n');
      session.write('second.cc', '#include "record.h"\nRecord shared = {3, 4};\n');
      const unit = await Unit.start(
        session,
        '#include "record.h"\nlong value(long n) { return shared.a * n + shared.b; }\n',
        { sources: ['second.cc'] },
      );
      assert.equal(await unit.value(10), 34);
      session.edit('record.h', 'int a; int b;', 'int b; int a;');
      const result = await session.refused('record.h', 'layout-changed');
      assert.ok(result.refusals.some(({ file }) => file === session.path('record.h')));
      assert.equal(await unit.value(10), 34);
    }),
  );

  it(
    'when an existing variable changed its type',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        'static int count = 1;\nvoid set(int c) { count = c; }\nlong value(long n) { return n + count; }\n',
      );
      const result = await unit.editAndBeRefused('static int count', 'static long count', 'variable-changed');
      const refusal = result.refusals.find(({ line }) => line === 1);
      assert.match(refusal!.message, /count/);
    }),
  );

  it(
    'when an existing array changed its size',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        'static long log_entries[4];\nlong value(long n) { log_entries[n & 3] = n; return n + log_entries[2]; }\n',
      );
      await unit.editAndBeRefused('log_entries[4]', 'log_entries[8]', 'variable-changed');
    }),
  );

  it(
    'when a new thread_local is added',
    inSession(async (session) => {
      const unit = await Unit.start(session, `${plain}\n`);
      await unit.editAndBeRefused(
        plain,
        'static thread_local long seen = 3;\nlong value(long n) { return n + seen++; }',
        'new-thread-local',
      );
    }),
  );

  it(
    'when the new code uses a function that exists nowhere in the process',
    inSession(async (session) => {
      const unit = await Unit.start(session, `${plain}\n`);
      const result = await unit.editAndBeRefused(
        plain,
        'long nowhere(long);\nlong value(long n) { return nowhere(n); }',
        'unresolved-symbol',
      );
      assert.match(result.refusals[0]!.message, /nowhere/);
    }),
  );

  it(
    'when a function is too short for a jump and the next one follows at once',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        'long first(long n) { return n; }\nlong value(long n) { return n; }\n',
        {
          flags: ['-Os', '-g'],
        },
      );
      const result = await unit.editAndBeRefused(
        'first(long n) { return n; }',
        'first(long n) { return n + 5; }',
        'entry-too-short',
      );
      assert.match(result.refusals[0]!.message, /first/);
    }),
  );

  it(
    'as a whole: the harmless edit beside the refused one is not patched either',
    inSession(async (session) => {
      const unit = await Unit.start(session, record);
      session.edit('unit.cc', 'r.first * 100', 'r.first * 1000');
      const result = await unit.editAndBeRefused(
        'int first; int second;',
        'int second; int first;',
        'layout-changed',
      );
      assert.deepEqual(
        result.processes.flatMap(({ functions }) => functions),
        [],
      );
    }),
  );
});

describe('a save is patched with a warning', () => {
  it(
    'when only the initialiser of an existing variable changed: its value is kept',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        'static long count = 5;\nlong value(long n) { return n + count++; }\n',
      );
      assert.equal(await unit.value(0), 5);
      session.edit('unit.cc', 'count = 5', 'count = 50');
      const result = await unit.editAndPatch('n + count++', '1000 + n + count++');
      assert.equal(await unit.value(0), 1006);
      const warning = result.warnings.find(({ code }) => code === 'initializer-kept');
      assert.ok(warning, JSON.stringify(result.warnings));
      assert.match(warning.message, /count/);
      assert.equal(warning.line, 1);
    }),
  );

  it(
    'when a constant changed that other files read',
    inSession(async (session) => {
      session.write('reader.cc', 'extern const long limit;\nlong read_elsewhere() { return limit; }\n');
      const unit = await Unit.start(
        session,
        `extern const long limit;
         const long limit = 5;
         static const long scale = 2;
         long read_elsewhere();
         long value(long n) { return n == 0 ? read_elsewhere() : limit * scale; }`,
        { sources: ['reader.cc'] },
      );
      assert.deepEqual([await unit.value(0), await unit.value(1)], [5, 10]);
      const { warnings } = await unit.editAndPatch('limit = 5', 'limit = 6');
      assert.deepEqual([await unit.value(0), await unit.value(1)], [5, 12]);
      const [warning, ...others] = warnings;
      assert.deepEqual(others, []);
      assert.equal(warning?.code, 'constant-kept');
      assert.match(warning.message, /limit/);
      assert.equal(warning.line, 2);
      const back = await unit.editAndPatch('limit = 6', 'limit = 5', 'reverted');
      assert.deepEqual(back.warnings, []);
      // A constant of its own file has no other readers.
      assert.deepEqual((await unit.editAndPatch('scale = 2', 'scale = 3')).warnings, []);
    }),
  );

  it(
    'when the program was built with link-time optimisation',
    inSession(async (session) => {
      const unit = await Unit.start(session, 'long value(long n) { return n + 1; }\n', {
        flags: ['-O2', '-g', '-flto'],
        linkFlags: ['-flto', '-O2', '-g'],
      });
      const { refusals } = await unit.editAndBeRefused('n + 1', 'n + 2', 'flags-differ');
      assert.match(refusals[0]!.message, /link-time optimisation \(-flto\)/);
    }),
  );

  it(
    'when the program has no debug information to compare layouts with',
    inSession(async (session) => {
      const untouched = 'long other(long n) { return records[n & 1].third * 7 + n; }\n';
      const unit = await Unit.start(session, record + untouched, { flags: ['-O2'] });
      const result = await unit.editAndPatch('r.first * 100', 'r.first * 1000');
      assert.equal(await unit.value(0), 1023);
      assert.ok(
        result.warnings.some(({ code }) => code === 'layout-unchecked'),
        JSON.stringify(result.warnings),
      );
    }),
  );
});
