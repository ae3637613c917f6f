// Static variables of functions that have one name: in several functions, or in several scopes of one function. An edit
// that adds, removes or moves some must leave each its own value, or is refused.
import { strict as assert } from 'node:assert';
import { inSession, Unit } from '../support/session';

const builds = [
  { compiler: 'gcc', optimisation: '-O0' },
  { compiler: 'gcc', optimisation: '-O2' },
  { compiler: 'clang', optimisation: '-O0' },
  { compiler: 'clang', optimisation: '-O2' },
] as const;
const languages = ['c', 'cc'] as const;

const inFunctions = `__attribute__((noinline)) static long first(long n) { static long count; count += n; return count; }
__attribute__((noinline)) static long second(long n) { static long count; count += 10 * n; return count; }
long value(long n) { return first(n) * 10000 + second(n); }
`;
const inScopes = `long value(long n) {
  long result = 0;
  if (n >= 0) { static long c = 1; c += n; result += c; }
  if (n >= 0) { static long c = 1000; c += n * 100; result += c; }
  return result;
}
`;

for (const { compiler, optimisation } of builds)
  for (const language of languages) {
    const options = {
      language,
      compiler: language === 'c' ? compiler : compiler === 'gcc' ? 'g++' : 'clang++',
      flags: [optimisation, '-g'],
    };
    describe(`statics of one name (${options.compiler} ${optimisation}, ${language})`, () => {
      it(
        'of a function that was inlined keeps its value when the function has code of its own',
        inSession(async (session) => {
          const inlined = `static long counted(long n) { static long count = 3; count += n; return count; }
long value(long n) { return counted(n) * 10; }
`;
          const unit = await Unit.start(session, inlined, options);
          assert.equal(await unit.value(1), 40);
          session.write(
            unit.file,
            inlined
              .replace('static long counted', '__attribute__((noinline)) static long counted')
              .replace('return count;', 'return count + 1000;'),
          );
          await session.patch(unit.file);
          assert.equal(await unit.value(1), 10050);
          session.write(unit.file, inlined.replace('return count;', 'return count + 2000;'));
          await session.patch(unit.file);
          assert.equal(await unit.value(1), 20060);
        }),
      );
      it(
        'in several functions keep their values when a third comes before, is moved, and goes',
        inSession(async (session) => {
          const unit = await Unit.start(session, inFunctions, options);
          assert.equal(await unit.value(1), 10010);
          const [one, two] = inFunctions.split('\n') as [string, string];
          const third =
            '__attribute__((noinline)) static long third(long n) { static long count = 500; count += n; return count; }';
          const calls =
            'long value(long n) { return third(n) * 100000000 + first(n) * 10000 + second(n); }\n';
          session.write(
            unit.file,
            [third, one.replace('+= n', '+= 2 * n'), two.replace('10 * n', '20 * n'), calls].join('\n'),
          );
          await session.patch(unit.file);
          assert.equal(await unit.value(1), 50100030030);
          // In another order, all of them edited.
          session.write(
            unit.file,
            [
              two.replace('10 * n', '30 * n'),
              third.replace('+= n', '+= 5 * n'),
              one.replace('+= n', '+= 3 * n'),
              calls,
            ].join('\n'),
          );
          await session.patch(unit.file);
          assert.equal(await unit.value(1), 50600060060);
          session.write(unit.file, inFunctions);
          await session.patch(unit.file, 'reverted');
          assert.equal(await unit.value(1), 70070);
        }),
      );

      it(
        'in several scopes keep their values when another comes before or behind, and is taken away',
        inSession(async (session) => {
          const unit = await Unit.start(session, inScopes, options);
          assert.equal(await unit.value(1), 1102);
          await unit.editAndPatch(
            'long result = 0;',
            'long result = 0; { static long c = 7; c += n; result += c * 10000; }',
          );
          assert.equal(await unit.value(1), 81203);
          await unit.editAndPatch(
            'return result;',
            '{ static long c = 3; c += n; result += c * 1000000; } return result;',
          );
          assert.equal(await unit.value(1), 4091304);
          session.write(unit.file, inScopes);
          await session.patch(unit.file, 'reverted');
          assert.equal(await unit.value(1), 1405);
          await session.patch(unit.file, 'unchanged');
        }),
      );

      it(
        'in several scopes are found when they are constants with pointers, and have none to keep',
        inSession(async (session) => {
          const unit = await Unit.start(
            session,
            `long value(long n) {
  long result = n;
  { static const char *const t[] = {"beta", "epsilon and more"}; result += t[result & 1][0]; }
  { static const char *const t[] = {"z", "alpha"}; result += t[result & 1][0]; }
  return result;
}
`,
            { ...options, flags: [...options.flags, '-fPIC'] },
          );
          assert.equal(await unit.value(1), 1 + 101 + 122);
          await session.patch(unit.file, 'unchanged');
          await unit.editAndPatch('{"z", "alpha"}', '{"zoo", "Alpha", "more"}');
          assert.equal(await unit.value(1), 1 + 101 + 122);
          assert.equal(await unit.value(2), 2 + 98 + 122);
          await unit.editAndPatch('long result = n;', 'long result = n + 1;');
          assert.equal(await unit.value(2), 3 + 101 + 122);
        }),
      );

      it(
        'in several scopes are refused when another is like one of them',
        inSession(async (session) => {
          const unit = await Unit.start(session, inScopes, options);
          assert.equal(await unit.value(1), 1102);
          session.edit(
            unit.file,
            'long result = 0;',
            'long result = 0; { static long c = 1; c += n; result += c * 10000; }',
          );
          await session.refused(unit.file, 'ambiguous-static');
          assert.equal(await unit.value(0), 1102);
        }),
      );
    });
  }

describe('a table of strings beside a table of numbers that has its name', () => {
  // Numbers that are offsets of zero bytes in the file: as pointers into the program they would be empty strings.
  const source = `static const char *word(long n) { static const char *const t[] = {"", "gamma ray", ""}; return t[n % 3]; }
static long number(long n) { static const long t[] = {10, 11, 12}; return t[n % 3]; }
long value(long n) { return word(n)[0] * 1000 + number(n); }
`;
  for (const compiler of ['gcc', 'clang'])
    for (const linkFlags of [[], ['-Wl,-z,pack-relative-relocs'], ['-no-pie']])
      it(
        `is not taken for it (${[compiler, ...linkFlags].join(' ')})`,
        inSession(async (session) => {
          const flags = ['-O0', '-g', ...(linkFlags[0] === '-no-pie' ? ['-fno-pie'] : [])];
          const unit = await Unit.start(session, source, { language: 'c', compiler, flags, linkFlags });
          assert.equal(await unit.value(1), 103011);
          await unit.editAndPatch('"gamma ray"', '""');
          assert.equal(await unit.value(1), 11);
          await unit.editAndPatch('{"", "", ""}', '{"", "gamma ray", ""}', 'reverted');
          assert.equal(await unit.value(1), 103011);
        }),
      );
});

describe('the initialiser of a static of a function', () => {
  const source = `static long scaled(long n) { return n * 3; }
struct Pair { long a, b; Pair(long n) : a(n + 3), b(n + 4) {} };
long value(long n) {
  static long seed = n + 40;
  static Pair pair(n * 2);
  static long count = 5;
  if (n < 0) seed++;
  count++;
  return seed + n * 100 + pair.a * 10000 + pair.b * 10000000 + count;
}
`;
  for (const { compiler, optimisation } of builds)
    it(
      `is named when it is code, has run and was edited (${compiler} ${optimisation})`,
      inSession(async (session) => {
        const unit = await Unit.start(session, source, {
          compiler: compiler === 'gcc' ? 'g++' : 'clang++',
          flags: [optimisation, '-g'],
        });
        assert.equal(await unit.value(1), 60050147);
        const kept = async (from: string, to: string): Promise<string[]> => {
          const { warnings } = await unit.editAndPatch(from, to);
          return warnings.flatMap(({ code, symbol }) => (code === 'initializer-kept' ? [symbol!] : []));
        };
        assert.deepEqual(await kept('n * 100', 'n * 200'), []);
        assert.equal(await unit.value(1), 60050248);
        assert.deepEqual(await kept('n + 40', 'n + 41'), ['_ZZ5valuelE4seed']);
        assert.equal(await unit.value(1), 60050249);
        assert.ok((await kept('n * 2)', 'scaled(n))')).includes('_ZZ5valuelE4pair'));
        assert.equal(await unit.value(1), 60050250);
        // It had none: a constant was its initial value.
        const { warnings } = await unit.editAndPatch('count = 5', 'count = n + 60');
        const [first] = warnings.filter(({ symbol }) => symbol === '_ZZ5valuelE5count');
        assert.match(first!.message, /replace its present value/);
        assert.equal(await unit.value(1), 60050303);
        assert.equal(await unit.value(1), 60050304);
        // It has none any more.
        assert.ok((await kept('seed = n + 41', 'seed = 0')).includes('_ZZ5valuelE4seed'));
        session.write(unit.file, source);
        await session.patch(unit.file, 'reverted');
        assert.equal(Math.trunc((await unit.value(1)) / 1000), 60050);
      }),
    );
});

describe('a static that the compiler gives no memory', () => {
  const lost = ({ warnings }: { warnings: { code: string; message: string }[] }): string[] =>
    warnings.flatMap(({ code, message }) => (code === 'value-lost' ? [message] : []));
  for (const { compiler, optimisation } of builds) {
    const isOptimised = optimisation === '-O2';
    const options = { language: 'c' as const, compiler, flags: [optimisation, '-g'] };
    it(
      `is named when the edit removes its last write (${compiler} ${optimisation})`,
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          'static long total = 7;\nlong value(long n) { static long count = 3; total += n; count += n; return total * 100 + count; }\n',
          options,
        );
        assert.equal(await unit.value(1), 804);
        const first = lost(await unit.editAndPatch('total += n; ', ''));
        assert.equal(first.length, isOptimised ? 1 : 0);
        assert.ok(first.every((message) => message.startsWith('Nothing writes to total any more')));
        assert.equal(await unit.value(1), isOptimised ? 705 : 805);
        assert.deepEqual(lost(await unit.editAndPatch('* 100', '* 1000')), []);
        const second = lost(await unit.editAndPatch('count += n; ', ''));
        assert.equal(second.length, isOptimised ? 1 : 0);
        assert.equal(await unit.value(1), isOptimised ? 7003 : 8005);
      }),
    );
    it(
      `is named when the edit gives it the first write (${compiler} ${optimisation})`,
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          'static long total = 7;\nlong value(long n) { return total * 100 + n; }\n',
          options,
        );
        assert.equal(await unit.value(1), 701);
        const { warnings } = await unit.editAndPatch(
          'return',
          'total += n; static long own; own += 1000000; return own +',
        );
        assert.equal(lost({ warnings }).length, isOptimised ? 1 : 0);
        assert.ok(lost({ warnings }).every((message) => message.startsWith('total was optimised away')));
        assert.equal(await unit.value(1), 1000801);
        assert.deepEqual(lost(await unit.editAndPatch('* 100', '* 200')), []);
        assert.equal(await unit.value(1), 2001801);
      }),
    );
  }
  it(
    'is named when it is kept as one of two values and these are others now (clang -O2)',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        'static long mode;\nlong value(long n) { if (n == 3) mode = 5; return n * 100 + mode; }\n',
        { language: 'c', compiler: 'clang', flags: ['-O2', '-g'] },
      );
      assert.equal(await unit.value(3), 305);
      assert.deepEqual(lost(await unit.editAndPatch('n * 100', 'n * 200')), []);
      assert.equal(await unit.value(1), 205);
      const [message] = lost(await unit.editAndPatch('mode = 5', 'mode = 6'));
      assert.match(message!, /^The compiler keeps mode as one of two values/);
      assert.equal(await unit.value(1), 206);
    }),
  );
});
