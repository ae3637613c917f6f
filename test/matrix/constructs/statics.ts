// Variables of every storage: what an edit may not lose.
import type { Construct } from '../construct';

export const statics: readonly Construct[] = [
  {
    id: 'global-counter',
    language: 'c',
    text: 'long count_$$ = 5;\nlong step(long n) { return ++count_$$ * 100 + n * 3; }',
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'static-counter',
    language: 'c',
    text: 'static long count;\nlong step(long n) { return ++count * 100 + n * 3; }',
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'local-static-counter',
    language: 'c',
    text: 'long step(long n) { static long count = 7; return ++count * 100 + n * 3; }',
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'new-global',
    language: 'c',
    text: 'long step(long n) { return n * 3; }',
    edit: [
      'long step(long n) { return n * 3; }',
      'static long fresh = 50;\nlong step(long n) { return ++fresh * 100 + n * 3; }',
      'static long fresh = 50;\nlong step(long n) { return ++fresh * 100 + n * 4; }',
    ],
    ownState: true,
  },
  {
    id: 'new-local-static',
    language: 'c',
    text: 'long step(long n) { return n * 3; }',
    edit: [
      'return n * 3',
      'static long fresh = 50; return ++fresh * 100 + n * 3',
      'static long fresh = 50; return ++fresh * 100 + n * 4',
    ],
    ownState: true,
  },
  {
    id: 'new-local-static-beside-another',
    language: 'c',
    text: 'long step(long n) { static long count; return ++count + n * 3; }',
    edit: [
      'static long count; return ++count + n * 3',
      'static long fresh[4] = {1, 2, 3, 4}; static long count; return ++count + n * 3 + fresh[n & 3]',
      'static long fresh[4] = {1, 2, 3, 4}; static long count; return ++count + n * 5 + fresh[n & 3]',
    ],
  },
  {
    id: 'statics-of-one-name-in-scopes',
    language: 'c',
    text: `long step(long n) {
  long r = n;
  { static long c = 100; r += c++; }
  { static long c = 9000; r += c++; }
  return r;
}`,
    edit: [
      'long r = n;',
      'long r = n; { static long c = 500000; r += c; }',
      'long r = n; { static long c = 500000; r += c + 1; }',
    ],
  },
  {
    id: 'statics-of-one-name-in-functions',
    language: 'c',
    text: `__attribute__((noinline)) static long f(void) { static long cnt = 100; return cnt++; }
__attribute__((noinline)) static long g(void) { static long cnt = 9000; return cnt++; }
long step(long n) { return f() + 1000000 * g() + n * 3; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'statics-of-one-name-swapped',
    language: 'c',
    text: `__attribute__((noinline)) static long f(void) { static long cnt = 100; return cnt++; }
__attribute__((noinline)) static long g(void) { static long cnt = 9000; return cnt++; }
long step(long n) { return f() + 1000000 * g() + n * 3; }`,
    edit: [
      `__attribute__((noinline)) static long f(void) { static long cnt = 100; return cnt++; }
__attribute__((noinline)) static long g(void) { static long cnt = 9000; return cnt++; }`,
      `__attribute__((noinline)) static long g(void) { static long cnt = 9000; return cnt++; }
__attribute__((noinline)) static long f(void) { static long cnt = 100; return cnt++; }`,
      `__attribute__((noinline)) static long g(void) { static long cnt = 9000; return cnt++; }
__attribute__((noinline)) static long f(void) { static long cnt = 100; return 5 + cnt++; }`,
    ],
  },
  {
    id: 'static-removed-and-back',
    language: 'c',
    text: 'static long a = 4;\nlong step(long n) { a += 1; return a * 100 + n; }',
    edit: ['a += 1; return a * 100 + n', 'a += 1; return n', 'a += 1; return n + 1'],
  },
  {
    id: 'last-write-removed',
    language: 'c',
    text: `static long level = 3;
long set_$$(long n) { level = n; return 0; }
long step(long n) { if (n == 1) level = 40; return level * 10 + n; }`,
    edit: ['* 10 + n', '* 20 + n', '* 30 + n'],
  },
  {
    id: 'thread-local',
    language: 'c',
    text: 'static __thread long count = 5;\nlong step(long n) { return ++count * 100 + n * 3; }',
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'local-thread-local',
    language: 'c',
    text: `__attribute__((noinline)) static long f(void) { static __thread long c = 100; return c++; }
__attribute__((noinline)) static long g(void) { static __thread long c = 9000; return c++; }
long step(long n) { return f() + 1000000 * g() + n * 3; }`,
    // The one that is new takes a name of theirs.
    edit: [
      'n * 3',
      '({ static volatile long c = 7; c; }) * n',
      '({ static volatile long c = 7; c; }) * n + 1',
    ],
  },
  {
    id: 'new-thread-local',
    language: 'c',
    text: 'long step(long n) { return n * 3; }',
    edit: [
      'return n * 3',
      'static __thread long fresh = 5; return ++fresh + n * 3',
      'static __thread long fresh = 5; return ++fresh + n * 4',
    ],
    refused: ['new-thread-local'],
  },
  {
    id: 'initialiser-changed',
    language: 'c',
    text: 'static long level = 5;\nlong step(long n) { return level++ + n * 100; }',
    edit: ['level = 5', 'level = 6', 'level = 7'],
    warned: 'initializer-kept',
  },
  {
    id: 'array-grown',
    language: 'c',
    text: 'static long seen[4];\nlong step(long n) { seen[n & 3]++; return seen[1] + seen[2] * 10; }',
    edit: ['seen[4]', 'seen[8]', 'seen[16]'],
    refused: ['variable-changed'],
  },
  {
    id: 'type-of-variable-changed',
    language: 'c',
    text: 'static int seen = 3;\nlong step(long n) { seen++; return seen * 10 + n; }',
    edit: ['static int seen', 'static long seen', 'static double seen'],
    refused: ['variable-changed', 'layout-changed'],
  },
  {
    id: 'bit-fields',
    language: 'c',
    text: `struct flags { unsigned a : 3, b : 5, c : 8; };
static struct flags f;
long step(long n) { f.a = n; f.b = n + 3; f.c = n * 7; return f.a + f.b * 10 + f.c * 1000; }`,
    edit: ['f.b = n + 3', 'f.b = n + 5', 'f.b = n * 60'],
  },
  {
    id: 'bit-field-moved',
    language: 'c',
    text: `struct flags { unsigned a : 3, b : 5; };
static struct flags f;
long step(long n) { f.a = n; f.b = n + 1; return f.a + f.b * 10; }`,
    edit: ['a : 3, b : 5', 'b : 5, a : 3', 'b : 6, a : 2'],
    refused: ['layout-changed'],
  },
  {
    id: 'union-access',
    language: 'c',
    text: `union u { double d; long l; unsigned char c[8]; };
static union u kept;
long step(long n) { kept.d = n * 1.5; return kept.c[7] * 1000 + kept.c[6]; }`,
    edit: ['n * 1.5', 'n * 2.5', 'n * -3.5'],
  },
  {
    id: 'union-member-added',
    language: 'c',
    text: `union u { long l; };
union u kept_$$ = {5};
long step(long n) { kept_$$.l += n; return kept_$$.l; }`,
    edit: [
      `long l; };
union u kept_$$ = {5};
long step(long n) { kept_$$.l += n; return kept_$$.l; }`,
      `long l; unsigned char c[8]; };
union u kept_$$ = {5};
long step(long n) { kept_$$.l += n; return kept_$$.l * 10 + kept_$$.c[0]; }`,
      `long l; unsigned char c[8]; struct { int low, high; } half; };
union u kept_$$ = {5};
long step(long n) { kept_$$.l += n; return kept_$$.half.low * 10 + kept_$$.half.high; }`,
    ],
  },
  {
    // clang splits such a variable into those of its members that are used, and numbers them.
    id: 'split-aggregate',
    language: 'c',
    text: `static struct { long a, b, c; } s = {5, 6, 7};
static __attribute__((noinline)) long same(long n) { __asm__("" : "+r"(n)); return n; }
long step(long n) { s.b += same(n) - n; return s.b; }`,
    edit: [
      'return s.b;',
      'long old = s.a; s.a = n; return old * 1000 + s.b;',
      'long old = s.a; s.a = n; return old * 2000 + s.b;',
    ],
    ownState: true,
  },
  {
    id: 'split-aggregates-of-scopes',
    language: 'cc',
    text: `static __attribute__((noinline)) long same(long n) { __asm__("" : "+r"(n)); return n; }
namespace { struct State { long a, b, c; } s = {5, 6, 7}; }
namespace inner { static struct { long a, b, c; } s = {50, 60, 70}; }
long step(long n) {
  static long t[4] = {1, 2, 3, 4};
  s.b += same(n) - n; inner::s.c += same(n) - n; t[2] += same(n) - n;
  return s.b + inner::s.c * 10 + t[2] * 1000;
}`,
    edit: [
      'return s.b + inner',
      'long old = s.a + inner::s.b + t[1]; s.a = inner::s.b = t[1] = n; return old * 100000 + s.b + inner',
      'long old = s.a + inner::s.b + t[1]; s.a = inner::s.b = t[1] = n; return old * 200000 + s.b + inner',
    ],
    ownState: true,
  },
  {
    id: 'split-nested-aggregate',
    language: 'c',
    text: `static struct { struct { long x, y; } in[2]; long z; } s = {{{1, 2}, {3, 4}}, 5};
static __attribute__((noinline)) long same(long n) { __asm__("" : "+r"(n)); return n; }
long step(long n) { s.in[1].y += same(n) - n; return s.in[1].y; }`,
    edit: [
      'return s.in',
      'long old = s.in[0].y; s.in[0].y = n; return old * 1000 + s.in',
      'long old = s.in[0].y; s.in[0].y = n; return old * 2000 + s.in',
    ],
    ownState: true,
  },
  {
    id: 'split-thread-local-aggregate',
    language: 'c',
    text: `static __thread struct { long a, b, c; } s = {5, 6, 7};
static __attribute__((noinline)) long same(long n) { __asm__("" : "+r"(n)); return n; }
long step(long n) { s.b += same(n) - n; return s.b; }`,
    edit: [
      's.b += same(n) - n; return s.b',
      's.a += same(n) - n; return s.a',
      's.c += same(n) - n; return s.c',
    ],
    ownState: true,
    // clang 14 splits it.
    refused: ['variable-changed'],
  },
  {
    id: 'split-aggregate-made-whole',
    language: 'c',
    text: `static struct { long a, b, c; } s = {5, 6, 7};
static __attribute__((noinline)) long any(const long *p) { __asm__("" : "+r"(p) : : "memory"); return *p; }
static long other = 1;
long step(long n) { s.b += n; other += n; return s.b + any(&other); }`,
    edit: ['any(&other)', 'any(&s.b) * 10', 'any(&s.c) * 20'],
    refused: ['variable-changed'],
  },
  {
    id: 'whole-aggregate-split',
    language: 'c',
    text: `static struct { long a, b, c; } s = {5, 6, 7};
static __attribute__((noinline)) long any(const long *p) { __asm__("" : "+r"(p) : : "memory"); return *p; }
static long other = 1;
long step(long n) { s.a += n; s.b += n; other += n; return s.a + s.b + any(&s.c) + any(&other); }`,
    edit: ['any(&s.c)', 's.c * 10', 's.a * 20'],
  },
  {
    id: 'members-swapped',
    language: 'c',
    text: `struct pair { long a, b; };
static struct pair p = {5, 5};
long step(long n) { p.a += n; p.b += 10; return p.a * 1000 + p.b; }`,
    edit: ['{ long a, b; }', '{ long b, a; }', '{ long a; int c, b; }'],
    refused: ['layout-changed'],
    warned: 'initializer-kept',
  },
  {
    id: 'flexible-array',
    language: 'c',
    text: `#include <stdlib.h>
struct list { long n; long items[]; };
static struct list *l;
long step(long n) { if (!l) l = calloc(1, sizeof *l + 80); l->items[n & 7] += 2; return l->items[1] * 100 + l->items[2] + n * 5; }`,
    edit: ['n * 5', 'n * 6', 'n * 7'],
  },
  {
    id: 'linked-list-on-heap',
    language: 'c',
    text: `#include <stdlib.h>
struct node { struct node *next; long v; };
static struct node *head;
long step(long n) { struct node *e = malloc(sizeof *e); e->v = n; e->next = head; head = e; long s = 0; for (struct node *p = head; p; p = p->next) s += p->v; return s * 10 + 3; }`,
    edit: ['s * 10 + 3', 's * 10 + 4', 's * 10 + 5'],
  },
  {
    id: 'cxx-local-static-object',
    language: 'cc',
    text: `#include <string>
const char *step(long n) { static std::string log("log:"); log += char('a' + n); static std::string out; out = log.substr(log.size() - 2) + "x"; return out.c_str(); }`,
    edit: ['"x"', '"yy"', '"zzz and a long text beyond the small"'],
  },
  {
    id: 'cxx-local-static-initialiser',
    language: 'cc',
    text: 'long step(long n) { static long v = n + 40; return v++ + n * 100; }',
    edit: ['n + 40', 'n + 41', 'n + 42'],
    warned: 'initializer-kept',
  },
  {
    id: 'cxx-new-local-static-object',
    language: 'cc',
    text: `#include <string>
long step(long n) { return n; }`,
    edit: [
      'return n;',
      'static std::string s("abc"); s += "d"; return n + s.size();',
      'static std::string s("abc"); s += "d"; return n + s.size() * 100;',
    ],
    ownState: true,
  },
  {
    id: 'cxx-global-object',
    language: 'cc',
    text: `#include <vector>
static std::vector<long> all{1, 2, 3};
long step(long n) { all.push_back(n); return all.size() * 100 + n * 3; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'cxx-new-global-object',
    language: 'cc',
    text: `#include <vector>
long step(long n) { return n; }`,
    edit: [
      'long step(long n) { return n; }',
      'static std::vector<long> all{1, 2, 3};\nlong step(long n) { all.push_back(n); return all.size() * 100 + n; }',
      'static std::vector<long> all{1, 2, 3};\nlong step(long n) { all.push_back(n); return all.size() * 1000 + n; }',
    ],
    ownState: true,
    refused: ['needs-constructor'],
  },
  {
    id: 'cxx-thread-local-object',
    language: 'cc',
    text: `#include <string>
static thread_local std::string mine("m");
long step(long n) { mine += 'x'; return mine.size() * 100 + n * 3; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'static-member',
    language: 'cc',
    text: `struct S { static long count; static long add(long n) { count += n; return count * 100 + n * 3; } };
long S::count = 5;
long step(long n) { return S::add(n); }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'inline-variable',
    language: 'cc',
    text: `inline long shared = 5;
long step(long n) { return ++shared * 100 + n * 3; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
    flags: ['-std=c++17'],
  },
  {
    id: 'anonymous-namespace',
    language: 'cc',
    text: `namespace { long hidden = 5; long bump(long n) { return ++hidden * 100 + n * 3; } }
long step(long n) { return bump(n); }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'structured-binding',
    language: 'cc',
    text: `#include <tuple>
static std::tuple<long, long> both(long n) { return {n, n * 2}; }
long step(long n) { auto [a, b] = both(n); return a * 100 + b; }`,
    edit: ['n * 2', 'n * 3', 'n * 4'],
    flags: ['-std=c++17'],
  },
];
