// Reduced units: of functions that nothing refers to only the declaration stays. Whatever refers to one all the same, where the text
// does not show it, must find the function of its own unit. Saves go through `hot-patch watch`, as a user's do.
import { strict as assert } from 'node:assert';
import { inSession } from '../support/session';
import { Watched, wrap } from '../support/watched_unit';

const macros = `#define CALL(name) helper_##name
#define ENTRY(name) { CALL(name) }
#define LOG(n) report(n)
#ifdef __cplusplus
/* Callers count on what cannot throw. */
#define CHECK(n) if (n < 0) throw n;
#else
#define CHECK(n)
#endif
`;

/** A global function of another unit has the name of a local one, and waits to be called in its place. */
const other = 'long helper_two(long n) { return n - 1000; }\nlong outside(long n) { return n; }\n';
const unit = `#include "macros.h"
#ifdef __cplusplus
extern "C"
#endif
long outside(long n);
static long total;
static long report(long n) { total += outside(n); return total; }
static long helper_one(long n) { return outside(n) + 100; }
static long helper_two(long n) { return outside(n) + 200; }
long other(long n) { return helper_two(n) + LOG(n); }
static long edited(long n) { CHECK(n) return outside(n); }
long value(long n) { return edited(n) + CALL(one)(n); }
`;

const kinds = [
  { compiler: 'gcc', language: 'c', level: '-O0' },
  { compiler: 'clang', language: 'c', level: '-O0' },
  { compiler: 'gcc', language: 'c', level: '-O2' },
  { compiler: 'g++', language: 'cc', level: '-O0' },
  { compiler: 'clang++', language: 'cc', level: '-O0' },
  { compiler: 'g++', language: 'cc', level: '-O2' },
] as const;

describe('what a reduced unit lacks', () => {
  for (const { compiler, language, level } of kinds)
    it(
      `is found by edits that refer to it behind a macro (${compiler} ${level})`,
      inSession(async (session) => {
        session.write('macros.h', macros);
        session.write(
          `other.${language}`,
          language === 'cc' ? other.replace(/^long/gm, 'extern "C" long') : other,
        );
        const watched = await Watched.start(session, unit, {
          ...{ language, compiler: wrap(session, compiler), flags: [level, '-g', '-fno-inline'] },
          sources: [`other.${language}`],
        });
        const edit = (from: string, to: string, value: number) =>
          watched.heldLight(`CHECK(n) return ${from};`, `CHECK(n) return ${to};`, async () =>
            assert.equal(await watched.value(1), value),
          );
        assert.equal(await watched.value(1), 1 + 101);
        await edit('outside(n)', 'CALL(two)(n)', 201 + 101);
        await edit('CALL(two)(n)', 'CALL(two)(n) * 2', 402 + 101);
        await edit('CALL(two)(n) * 2', 'LOG(n) * 0 + total * 0 + LOG(0) * 0 + n', 1 + 101);
      }),
    );

  for (const compiler of ['gcc', 'clang'] as const)
    it(
      `is nothing that the unit has by another name, or when it starts (${compiler})`,
      inSession(async (session) => {
        const source = `static long started;
static void start(void) __attribute__((constructor));
static void start(void) { started += 7; }
long real(long n) { return n + 1; }
long aliased(long n) __attribute__((alias("real")));
static long first(long n) { return n + 10; }
static long second(long n) { return n + 20; }
long (*table[])(long) = { first, second };
static void *resolve(void) { return (void *)first; }
long chosen(long n) __attribute__((ifunc("resolve")));
static long edited(long n) { return n; }
long value(long n) { return edited(n) + started + aliased(n) + table[1](n) + chosen(n); }
`;
        const watched = await Watched.start(session, source, { language: 'c', compiler });
        assert.equal(await watched.value(1), 1 + 7 + 2 + 21 + 11);
        await watched.light(
          'static long edited(long n) { return n;',
          'static long edited(long n) { return n + 1000;',
        );
        assert.equal(await watched.value(1), 1001 + 7 + 2 + 21 + 11);
        await watched.light('return n + 20;', 'return n + 30;');
        await watched.light('return n + 1000;', 'return table[0](n);');
        assert.equal(await watched.value(1), 11 + 7 + 2 + 31 + 11);
        assert.deepEqual(
          watched.watch.errorLines.filter((line) => line.includes('error:')),
          [],
        );
        await watched.isExact();
      }),
    );

  it(
    'is found by templates that an edit makes anew, and by default arguments (g++)',
    inSession(async (session) => {
      const source = `#include <algorithm>
long outside(long n);
namespace game {
struct Card { long value; };
static long swaps;
static void swap(Card &a, Card &b) { std::swap(a.value, b.value); swaps++; }
static long smallest() { return 40; }
static long clamp(long n, long least = smallest()) { return n < least ? least : n; }
static long edited(long n) { if (n < 0) throw n; return outside(n); }
}
long more(long n) { game::Card a{n}, b{n}; swap(a, b); return game::clamp(n) + game::smallest() + game::swaps; }
long value(long n) { return game::edited(n); }
`;
      session.write('other.cc', 'long outside(long n) { return n; }');
      const watched = await Watched.start(session, source, { sources: ['other.cc'] });
      await watched.light(
        'return outside(n);',
        'Card cards[] = {{n}, {n + 1}}; std::reverse(cards, cards + 2); return cards[0].value * 10 + swaps;',
      );
      assert.equal(await watched.value(1), 21);
      await watched.light('* 10 + swaps;', '* 10 + clamp(0);');
      assert.equal(await watched.value(1), 60);
      await watched.isExact();
    }),
  );

  for (const compiler of ['gcc', 'clang'] as const)
    it(
      `is found where a macro makes several functions of one head (${compiler})`,
      inSession(async (session) => {
        const source = `#define LOCAL static
#define HANDLER(name) long name##_impl(long); long name(long n) { return name##_impl(n) * 10; } LOCAL long name##_impl(long n)
LOCAL long plain(long n) { return n + 1; }
static HANDLER(first) { return plain(n); }
static HANDLER(second) { return plain(n) + 1; }
static long edited(long n) { return n; }
long value(long n) { return edited(n) + first(n) + second(n); }
`;
        const watched = await Watched.start(session, source, { language: 'c', compiler });
        assert.equal(await watched.value(1), 1 + 20 + 30);
        for (const [from, to, value] of [
          ['long edited(long n) { return n;', 'long edited(long n) { return first(n);', 20 + 50],
          ['return plain(n) + 1;', 'return plain(n) + 2;', 20 + 60],
          ['return first(n);', 'return n;', 1 + 60],
        ] as const) {
          const { outcome, refusals } = await watched.save(from, to);
          assert.ok(outcome === 'patched' || outcome === 'reverted', JSON.stringify(refusals));
          assert.equal(await watched.value(1), value);
          await watched.isExact();
        }
      }),
    );
});
