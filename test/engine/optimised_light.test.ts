// First light of optimised code: what is live before the whole unit was compiled does what the text says, whatever the
// compiler had concluded from the one before; and none is taken where that is not certain. gcc only.
import { strict as assert } from 'node:assert';
import { closure } from '../../extension/engine/fast/closure';
import { scan } from '../../extension/engine/fast/edit';
import { inSession, type Session } from '../support/session';
import { Watched, wrap } from '../support/watched_unit';

const flags = ['-O2', '-g'];

interface Case {
  what: string;
  language?: 'c' | 'cc';
  source: string;
  edit: [string, string];
  /** Of value(1): before and behind the edit. */
  values: [number, number];
}

/** Every function that the process knows, with the version that runs. */
async function versions(session: Session, watched: Watched): Promise<[string, number][]> {
  const [status] = await session.status('--pid', String(watched.unit.program.pid));
  return status!.functions.map(({ symbol, version }) => [symbol, version]);
}

/** What the compiler knew of the old text must not show in what is live of the new one. */
const right: Case[] = [
  {
    what: 'a function that is inlined into its caller',
    source: 'static long step(long n) { return n + 3; }\nlong value(long n) { return step(n) * 10; }\n',
    edit: ['n + 3', 'n + 5'],
    values: [40, 60],
  },
  {
    what: 'a function that is called, and now writes what its caller has read before',
    source: `static long state = 1;
__attribute__((noinline)) static long step(long n);
void set(long n);
long value(long n) { set(1); long sum = step(n); return sum + state; }
static long step(long n) {
  return n + state;
}
void set(long n) { state = n; }
`,
    edit: ['return n + state;', 'state = 50; return n + state;'],
    values: [3, 101],
  },
  {
    what: 'a function that now takes longer ways through its local callees',
    source: `__attribute__((noinline)) static long scaled(long n, long factor) { return factor > 3 ? n * factor * 2 : n * factor; }
__attribute__((noinline)) long other(long n) { return scaled(n, 2); }
long value(long n) { return other(n) + scaled(n + 1, 3); }
`,
    edit: ['scaled(n, 2)', 'scaled(n, 7)'],
    values: [8, 20],
  },
  {
    what: 'a function that keeps to a variable whose address others have',
    source: `static long state = 4;
long *place;
void share(void) { place = &state; }
__attribute__((noinline)) long other(long *to) {
  state = 1;
  *to = 9;
  return 5;
}
long value(long n) { share(); return other(place); }
`,
    edit: ['return 5;', 'return state;'],
    values: [5, 9],
  },
  {
    what: 'a function that reads what only others write',
    source: `static long limit = 4;
static long seen = 2;
void set(long n) { limit = n * 6; seen = limit; }
__attribute__((noinline)) long other(long n) {
  return n + seen;
}
long value(long n) { set(n); return other(n); }
`,
    edit: ['return n + seen;', 'return n + seen + limit;'],
    values: [7, 13],
  },
  {
    what: 'a function that now throws what its caller catches',
    language: 'cc',
    source: `#include <stdexcept>
void fail() { throw std::runtime_error("four"); }
__attribute__((noinline)) static long step(long n) { return n * 2; }
long value(long n) {
  try { return step(n) + 7 * n * n; } catch (const std::runtime_error &) { return 100; }
}
`,
    edit: ['return n * 2;', 'fail(); return n * 2;'],
    values: [9, 100],
  },
  {
    what: 'a function that uses containers and lambdas',
    language: 'cc',
    source: `#include <algorithm>
#include <map>
#include <string>
#include <vector>
namespace { std::map<std::string, long> known; }
static void note(const std::string &name, long n) { known[name] += n; }
long value(long n) {
  note("a", n);
  std::vector<long> all{3, 1, 2};
  std::sort(all.begin(), all.end(), [](long a, long b) { return a < b; });
  return all.front() + known["a"] * 0 + 10 * (known.size() == 1);
}
`,
    edit: ['all.front()', 'all.back()'],
    values: [11, 13],
  },
];

describe('first light of optimised code', () => {
  it(
    'is taken of functions with cold parts',
    inSession(async (session) => {
      const source = `#include <iostream>
#include <string>
long edited(long n) { return n * 1000 + 0; }
long value(long n) {
  std::string text = std::to_string(edited(n));
  std::cerr << text << std::endl;
  return std::stol(text);
}
`;
      const watched = await Watched.start(session, source, { flags });
      await watched.light('+ 0;', '+ 1;');
      assert.equal(await watched.value(2), 2001);
      await watched.light('+ 1;', '+ 2;');
      assert.equal(await watched.value(2), 2002);
    }),
  );

  for (const { what, language = 'c', source, edit, values } of right)
    for (const level of ['-O1', '-O2', '-O3'])
      it(
        `is right before it is confirmed: ${what} (${level})`,
        inSession(async (session) => {
          const compiler = wrap(session, language === 'c' ? 'gcc' : 'g++');
          const options = { language, compiler, flags: [level, '-g'] };
          const watched = await Watched.start(session, source, options);
          assert.equal(await watched.value(1), values[0]);
          const hold = session.write('hold', '');
          const result = watched.save(...edit);
          // Taken or not: what is not in question is what it does.
          await watched.watch.errorLine((line) =>
            /^live in|no first light: (?!it is not known what)/.test(line),
          );
          const isLive = watched.watch.errorLines.some((line) => line.startsWith('live in'));
          assert.equal(await watched.value(1), values[isLive ? 1 : 0], watched.watch.errorLines.join('\n'));
          await session.run('rm', [hold]);
          assert.equal((await result).outcome, 'patched');
          assert.equal(await watched.value(1), values[1]);
          await watched.isExact();
        }),
      );

  it(
    'is live and confirmed for functions that are inlined, called and exported, one save after the other',
    inSession(async (session) => {
      const source = `#include <string>
static long step(long n) { return n + 3; }
long exported(long n) { return step(n) * 2; }
long far(long n) { return std::to_string(n).size(); }
long value(long n) { return exported(n) + step(n) + far(n); }
`;
      const watched = await Watched.start(session, source, { flags, compiler: wrap(session, 'g++') });
      assert.equal(await watched.value(1), 8 + 4 + 1);
      await watched.heldLight('n + 3', 'n + 5', async () => assert.equal(await watched.value(1), 12 + 6 + 1));
      await watched.heldLight('* 2', '* 3', async () => assert.equal(await watched.value(1), 18 + 6 + 1));
      await watched.heldLight('.size()', '.size() + 7', async () =>
        assert.equal(await watched.value(1), 18 + 6 + 8),
      );
      await watched.light('n + 5', 'n + 3');
      await watched.light('* 3', '* 2');
      const back = await watched.light('.size() + 7', '.size()');
      assert.equal(back.outcome, 'reverted');
      assert.equal(await watched.value(1), 8 + 4 + 1);
    }),
  );

  it(
    'brings an edit of nothing but the size of a frame together with what counts on it',
    inSession(async (session) => {
      // It never returns: nowhere else does its code say how large its frame is.
      const source = (size: number) => `#include <setjmp.h>
#include <string.h>
static jmp_buf back;
static void fill(char *to) { memset(to, 1, ${size}); }
static void leave(void) { char room[${size}]; fill(room); longjmp(back, room[3]); }
long value(long n) { int result = setjmp(back); if (result == 0) leave(); return n + result; }
`;
      const watched = await Watched.start(session, source(16), {
        language: 'c',
        compiler: wrap(session),
        flags: ['-O2', '-g', '-fno-inline', '-fno-stack-protector'],
      });
      const edit = (size: number) => source(size).split('\n').slice(3, 5).join('\n');
      const isRight = async () => assert.equal(await watched.value(1), 2);
      await watched.heldLight(edit(16), edit(64), isRight);
      assert.equal(await watched.value(1), 2);
    }),
  );

  const refused: {
    what: string;
    language?: 'c' | 'cc';
    source: string;
    edit: [string, string];
    reason: RegExp;
  }[] = [
    {
      what: 'when it writes what nothing wrote before',
      source: `static long limit = 4;
long far(long n) { return n > limit; }
long other(long n) {
  return n;
}
long value(long n) { return other(n) + far(n); }
`,
      edit: ['return n;', 'limit = 0; return n;'],
      reason: /count on what limit is/,
    },
    {
      what: 'of constructors, which are called without a name',
      language: 'cc',
      source: `struct Shape { long side; Shape(long n); };
Shape::Shape(long n) { side = n; }
long value(long n) { Shape shape(n); return shape.side * 1000 + n; }
`,
      edit: ['side = n;', 'side = n * 2;'],
      reason: /without its name/,
    },
    {
      what: 'when a macro stands for it',
      source: `#define STEP(n) step(n)
long step(long n) {
  return n + 1;
}
long value(long n) { return STEP(n); }
`,
      edit: ['n + 1', 'n + 2'],
      reason: /macro stands for step/,
    },
  ];
  for (const { what, language = 'c', source, edit, reason } of refused)
    it(
      `is not taken ${what}`,
      inSession(async (session) => {
        const watched = await Watched.start(session, source, { language, flags });
        await watched.exact(...edit, reason);
        await watched.isExact();
      }),
    );

  it(
    'is taken again behind a save that was withdrawn',
    inSession(async (session) => {
      const source =
        'static long step(long n) { return n + 3; }\nlong value(long n) { return step(n) * 10; }\n';
      const watched = await Watched.start(session, source, { language: 'c', flags, compiler: wrap(session) });
      const fail = session.write('fail', '');
      assert.equal((await watched.save('n + 3', 'n + 5')).firstLight?.outcome, 'withdrawn');
      assert.equal(await watched.value(1), 40);
      await session.run('rm', [fail]);
      await watched.heldLight('n + 5', 'n + 6', async () => assert.equal(await watched.value(1), 70));
    }),
  );

  it(
    'comes with the instances of templates and the inline functions that depend on what was edited',
    inSession(async (session) => {
      const source = `long step(long n);
template <typename T> __attribute__((noinline)) T twice(T n) { return step(n) + step(n); }
struct Far { __attribute__((noinline)) long of(long n) { return twice(n) + step(n); } };
long step(long n) { return n + 1; }
long apart(long n) { return n * 3; }
long value(long n) { Far far; return far.of(n); }
`;
      const watched = await Watched.start(session, source, { flags, compiler: wrap(session, 'g++') });
      assert.equal(await watched.value(1), 6);
      const check = async () => assert.equal(await watched.value(1), 9);
      await watched.heldLight('n + 1', 'n + 2', check, 'replaced');
      const back = await watched.save('n + 2', 'n + 1');
      assert.equal(back.outcome, 'reverted', JSON.stringify(back, null, 1));
      assert.equal(await watched.value(1), 6);
    }),
  );

  it(
    'is taken of a unit that uses templates of variables',
    inSession(async (session) => {
      const source = `#include <map>
#include <string>
#include <type_traits>
template <typename T> constexpr bool isSmall = sizeof(T) < 9;
static std::map<std::string, long> known;
static long last;
void note(const std::string &name, long n);
void note(const std::string &name, long n) {
  known[name] += std::is_integral_v<long> && isSmall<long> ? n : 0;
  last = n;
}
long value(long n) { note("a", n); return known["a"] * 100 + last; }
`;
      const watched = await Watched.start(session, source, { flags: [...flags, '-std=c++17'] });
      assert.equal(await watched.value(1), 101);
      const result = await watched.save('last = n;', 'last = n * 3;');
      assert.match(
        result.firstLight?.outcome ?? watched.watch.errorLines.join('\n'),
        /^(confirmed|replaced)$/,
      );
      assert.equal(await watched.value(1), 203);
    }),
  );

  it(
    'is replaced where the whole unit is optimised across functions, and names what was edited',
    inSession(async (session) => {
      const source = `__attribute__((noinline)) static long scaled(long n, long factor) { return n * factor + 1; }
__attribute__((noinline)) long other(long n);
long other(long n) { return scaled(n, 3) + scaled(n + 1, 3); }
__attribute__((noinline)) long around(long n) { return scaled(n, 3) + other(n); }
long value(long n) { return around(n) * 2; }
`;
      const watched = await Watched.start(session, source, { language: 'c', flags, compiler: wrap(session) });
      assert.equal(await watched.value(1), 30);
      const check = async () => assert.equal(await watched.value(1), 44);
      const { outcome, changed } = await watched.heldLight(
        'return scaled(n, 3) + scaled',
        'return 7 + scaled(n, 3) + scaled',
        check,
        'replaced',
      );
      assert.equal(outcome, 'patched');
      assert.deepEqual(
        changed.map(({ name }) => name),
        ['other'],
      );
      // What only came along is no news, nor is it in the end.
      assert.deepEqual(await versions(session, watched), [['other', 2]]);
      const back = await watched.save('return 7 + scaled', 'return scaled');
      assert.equal(back.outcome, 'reverted', JSON.stringify(back, null, 1));
      assert.deepEqual(
        back.changed.map(({ name, kind }) => [name, kind]),
        [['other', 'reverted']],
      );
      assert.equal(await watched.value(1), 30);
    }),
  );

  it(
    'leaves nothing redirected in functions that only a part of the unit has',
    inSession(async (session) => {
      const source = `__attribute__((noinline)) static long scaled(long n, long factor);
static long scaled(long n, long factor) { return n * factor + 1; }
__attribute__((noinline)) long other(long n);
long other(long n) { return scaled(n, 3) + scaled(n + 1, 3); }
long value(long n) { return other(n) * 2; }
`;
      const watched = await Watched.start(session, source, { language: 'c', flags, compiler: wrap(session) });
      assert.equal(await watched.value(1), 22);
      const check = async () => assert.equal(await watched.value(1), 26);
      const { changed } = await watched.heldLight('factor + 1', 'factor + 2', check, 'replaced');
      assert.deepEqual(
        changed.map(({ symbol, kind }) => [symbol, kind]),
        [['scaled.constprop.0', 'changed']],
      );
      const back = await watched.save('factor + 2', 'factor + 1');
      assert.equal(back.outcome, 'reverted', JSON.stringify(back, null, 1));
      assert.equal(await watched.value(1), 22);
      const redirected = (await versions(session, watched)).filter(([, version]) => version > 0);
      assert.deepEqual(redirected, []);
    }),
  );
});

describe('what is compiled together', () => {
  const together = (text: string, name: string, now = text): string[] | string => {
    const [before, after] = [scan(text, 'c++')!, scan(now, 'c++')!];
    const edited = after.functions.findIndex((fn) => fn.name === name);
    const found = closure(before, after, new Set([edited]));
    return 'reason' in found ? found.reason : [...found].map((index) => after.functions[index]!.name).sort();
  };
  const text = `static int leaf(int n) { return n; }
static int other(int n) { return leaf(n); }
int far(int n) { return n; }
int edited(int n) { return far(n); }
int caller(int n) { return edited(n); }
int above(int n) { return caller(n) + other(n); }
int apart(int n) { return far(n); }
`;
  it('is a function with its callers and theirs, and the local functions that they call with all callers', () =>
    assert.deepEqual(together(text, 'edited'), ['above', 'caller', 'edited', 'leaf', 'other']));
  it('is what the new text calls, too', () =>
    assert.deepEqual(together(text, 'apart', text.replace(/(apart.*)far/, '$1leaf')), [
      'above',
      'apart',
      'leaf',
      'other',
    ]));
  it('is not known of what is called without a name', () => {
    for (const head of [
      'A::A(int n)',
      'A::~A()',
      'B::A::A()',
      'T<int>::T()',
      'auto_ptr *begin(X x)',
      'int get(X x)',
    ])
      assert.match(String(together(`${head} { f(); }`, /(\w+)\(/.exec(head)![1]!)), /without its name/, head);
  });
  it('is not known behind a macro', () => {
    assert.match(
      String(
        together(
          `#define A \\
 edited(1)
${text}`,
          'edited',
        ),
      ),
      /macro/,
    );
  });
});
