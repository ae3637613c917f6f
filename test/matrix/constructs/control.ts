// Statements: jumps, switches, labels, assembly, vectors.
import type { Construct } from '../construct';

const gccOnly =
  (what: string) =>
  ({ compiler }: { compiler: string }) =>
    compiler === 'clang' ? what : undefined;

export const control: readonly Construct[] = [
  {
    id: 'jump-table',
    language: 'c',
    text: `long step(long n) {
  switch (n) {
    case 0: return 5; case 1: return n * 3; case 2: return n ^ 77; case 3: return n - 9;
    case 4: return n * n; case 5: return n << 3; case 6: return ~n; default: return 1;
  }
}`,
    edit: ['n ^ 77', 'n ^ 78', 'n + 1000'],
    calls: [0, 1, 2, 3, 4, 5, 6, 7],
  },
  {
    id: 'jump-table-case',
    language: 'c',
    text: `#include <stdlib.h>
long step(long n) {
  switch (n) {
    case 0: return labs(n); case 1: return n * 3; case 2: return n ^ 77; case 3: return n - 9;
    case 4: return n * n; case 5: return n << 3; default: return 1;
  }
}`,
    edit: [
      'case 5: return n << 3;',
      'case 5: return n << 3; case 6: return n + 60;',
      'case 6: return n * 7;',
    ],
    calls: [0, 1, 2, 3, 4, 5, 6, 7],
  },
  {
    id: 'lookup-switch',
    language: 'c',
    text: `const char *step(long n) {
  switch (n) { case 1: return "one"; case 2: return "two"; case 3: return "three"; case 4: return "four"; case 5: return "five"; }
  return "many";
}`,
    edit: ['"two"', '"zwei"', '"du"'],
    calls: [0, 1, 2, 3, 4, 5, 6],
  },
  {
    id: 'number-switch',
    language: 'c',
    text: `long step(long n) {
  switch (n) { case 1: return 11; case 2: return 95; case 3: return 37; case 4: return 2; case 5: return 68; }
  return 0;
}`,
    edit: ['return 37', 'return 38', 'return 399'],
    calls: [0, 1, 2, 3, 4, 5, 6],
  },
  {
    id: 'string-switch',
    language: 'c',
    text: `#include <string.h>
static const char *words[] = {"red", "green", "blue"};
long step(long n) {
  const char *w = words[n % 3];
  if (!strcmp(w, "red")) return 1;
  if (!strcmp(w, "green")) return 2;
  return 3;
}`,
    edit: ['!strcmp(w, "green")', '!strcmp(w, "blue")', '!strcmp(w, "red")'],
  },
  {
    id: 'computed-goto',
    language: 'c',
    text: `long step(long n) {
  static void *const table[] = {&&zero, &&one, &&two};
  goto *table[n % 3];
zero: return 10 + n;
one: return 20 + n;
two: return 30 + n;
}`,
    edit: ['return 20 + n', 'return 25 + n', 'return 26 * n'],
  },
  {
    id: 'computed-goto-table',
    language: 'c',
    text: `long step(long n) {
  static void *const table[] = {&&zero, &&one, &&two};
  goto *table[n % 3];
zero: return 10 + n;
one: return 20 + n;
two: return 30 + n;
}`,
    edit: ['{&&zero, &&one, &&two}', '{&&one, &&zero, &&two}', '{&&two, &&two, &&zero}'],
  },
  {
    id: 'goto-loop',
    language: 'c',
    text: 'long step(long n) { long r = 0; again: r += n * 2; if (--n > 0) goto again; return r; }',
    edit: ['n * 2', 'n * 3', 'n * n'],
  },
  {
    id: 'duff-device',
    language: 'c',
    text: `long step(long n) {
  long r = 0, i = (n + 3) / 4;
  switch (n & 3) { case 0: do { r += 7; case 3: r += 1; case 2: r += 10; case 1: r += 100; } while (--i > 0); }
  return r;
}`,
    edit: ['r += 10;', 'r += 11;', 'r += 12;'],
    calls: [1, 2, 3, 4, 7],
  },
  {
    id: 'inline-assembly',
    language: 'c',
    text: 'long step(long n) { long r; __asm__("lea 7(%1), %0" : "=r"(r) : "r"(n)); return r; }',
    edit: ['lea 7(', 'lea 8(', 'lea 900('],
  },
  {
    id: 'assembly-with-memory',
    language: 'c',
    text: `static long data_$$ __attribute__((used)) = 5;
long step(long n) { long r = n; __asm__("add %1, %0" : "+r"(r) : "m"(data_$$)); return r; }`,
    edit: ['"add %1', '"sub %1', '"imul %1'],
  },
  {
    id: 'top-level-assembly',
    language: 'c',
    text: `__asm__(".text\\n.globl raw_$$\\n.type raw_$$,@function\\nraw_$$:\\n lea 9(%rdi),%rax\\n ret\\n nop;nop;nop;nop\\n.size raw_$$,.-raw_$$\\n");
long raw_$$(long);
long step(long n) { return raw_$$(n) + 7; }`,
    edit: ['+ 7;', '+ 80;', '+ 900;'],
  },
  {
    id: 'asm-goto',
    language: 'c',
    text: `long step(long n) {
  __asm__ goto("test %0, %0; jz %l1" : : "r"(n & 1) : "cc" : even);
  return n * 3;
even: return n + 50;
}`,
    edit: ['n + 50', 'n + 60', 'n * 70'],
  },
  {
    id: 'vector-extension',
    language: 'c',
    text: `typedef int v4 __attribute__((vector_size(16)));
long step(long n) { v4 a = {1, 2, 3, 4}; v4 b = {(int)n, 5, 6, 7}; v4 c = a * b + 1; return c[0] + c[1] * 10 + c[2] * 100 + c[3] * 1000; }`,
    edit: ['{1, 2, 3, 4}', '{1, 2, 8, 4}', '{9, 2, 8, 4}'],
  },
  {
    id: 'sse-intrinsics',
    language: 'c',
    text: `#include <emmintrin.h>
long step(long n) {
  __m128i a = _mm_set_epi32(4, 3, 2, (int)n), b = _mm_set1_epi32(10);
  __m128i c = _mm_add_epi32(a, b);
  int out[4]; _mm_storeu_si128((__m128i *)out, c);
  return out[0] + out[3] * 100;
}`,
    edit: ['_mm_set1_epi32(10)', '_mm_set1_epi32(20)', '_mm_set1_epi32(-3)'],
  },
  {
    id: 'compare-with-constant-double',
    language: 'c',
    text: `long step(long n) { double x = n; double lo = x < 1.5 ? 2.25 : x * 3.5; return lo * 8; }`,
    edit: ['x < 1.5', 'x < 2.5', 'x < 3.5'],
  },
  {
    id: 'absolute-value',
    language: 'c',
    text: `#include <math.h>
long step(long n) { double x = -2.5 * n; return fabs(x) * 4 + copysign(3.0, x); }`,
    edit: ['-2.5', '-3.5', '4.5'],
  },
  {
    id: 'vectorised-loop',
    language: 'c',
    text: `static int data[64];
long step(long n) { for (int i = 0; i < 64; i++) data[i] = i * (int)n + 3; long s = 0; for (int i = 0; i < 64; i++) s += data[i]; return s; }`,
    edit: ['+ 3;', '+ 4;', '- 5;'],
  },
  {
    id: 'memory-functions',
    language: 'c',
    text: `#include <string.h>
struct r { char name[24]; long v; };
long step(long n) { struct r a, b; memset(&a, 3, sizeof a); a.v = n; memcpy(&b, &a, sizeof b); return b.v + b.name[5] * 10; }`,
    edit: ['memset(&a, 3,', 'memset(&a, 4,', 'memset(&a, 5,'],
  },
  {
    id: 'atomics',
    language: 'c',
    text: `#include <stdatomic.h>
static atomic_long total;
long step(long n) { return atomic_fetch_add(&total, 1) * 1000 + n * 3; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'builtins',
    language: 'c',
    text: 'long step(long n) { long r; if (__builtin_mul_overflow(n, 3, &r)) return -1; return r + __builtin_popcountl(n) + __builtin_clzl(n + 1); }',
    edit: ['(n, 3, &r)', '(n, 5, &r)', '(n, 7, &r)'],
  },
  {
    id: 'popcount-added',
    language: 'c',
    text: 'long step(long n) { return n + 1; }',
    edit: ['n + 1', 'n + __builtin_popcountl(n * 12345)', '__builtin_popcountl(n * 54321)'],
  },
  {
    id: 'generic-selection',
    language: 'c',
    text: `#define KIND(x) _Generic((x), int: 1, long: 20, double: 3)
long step(long n) { return n + KIND(n) + KIND(1.0); }`,
    edit: ['long: 20', 'long: 30', 'long: 40'],
    flags: ['-std=gnu11'],
  },
  {
    id: 'line-macro',
    language: 'c',
    text: `long step(long n) {
  return n * 1000 + __LINE__;
}`,
    edit: ['long step', '\nlong step', '\n\n\nlong step'],
  },
  {
    id: 'line-directive',
    language: 'c',
    text: `#line 500 "grammar.y"
long step(long n) { return n + 7; }`,
    edit: ['+ 7;', '+ 80;', '+ 900;'],
  },
  {
    // As flex and bison write them: to the grammar and back.
    id: 'line-directive-back',
    language: 'c',
    text: `#line 3 "/nowhere/src/grammar.y"
static long action(long n) { return n + 7; }
#line 4 "$$.c"
long step(long n) { return action(n) * 3; }`,
    edit: ['+ 7;', '+ 80;', '+ 900;'],
  },
  {
    id: 'line-directive-in-header',
    language: 'c',
    text: `#include "$$.h"
long step(long n) { return scaled(n) + 1; }`,
    files: {
      '$$.h': `#line 12 "scaled.h.in"
static inline long scaled(long n) { return n * 7; }
`,
    },
    edited: '$$.h',
    edit: ['* 7;', '* 80;', '* 900;'],
  },
  {
    id: 'file-and-function-names',
    language: 'c',
    text: 'const char *step(long n) { return n & 1 ? __FILE__ : __func__; }',
    edit: ['n & 1', 'n & 2', 'n > 100'],
  },
  {
    id: 'assert-line-shift',
    language: 'c',
    text: `#include <assert.h>
static long check(long n) { assert(n < 1000); return n * 2; }
long step(long n) { assert(n > -5); return check(n) + 1; }`,
    edit: ['#include <assert.h>', '#include <assert.h>\n', '#include <assert.h>\n\n\n'],
  },
  {
    id: 'target-attribute',
    language: 'c',
    text: `__attribute__((target("sse4.2"), noinline)) static long count(long n) { return __builtin_popcountl(n) + 7; }
long step(long n) { return count(n); }`,
    edit: ['+ 7;', '+ 80;', '+ 900;'],
  },
  {
    id: 'target-clones',
    language: 'c',
    text: `__attribute__((target_clones("default", "avx2"))) long sum_$$(const int *v, int n) { long s = 0; for (int i = 0; i < n; i++) s += v[i] * 3; return s; }
long step(long n) { int v[16]; for (int i = 0; i < 16; i++) v[i] = i + (int)n; return sum_$$(v, 16); }`,
    edit: ['v[i] * 3', 'v[i] * 5', 'v[i] * 7'],
    notIn: (variant) =>
      gccOnly('clang 14 has no target_clones for libraries')(variant) ??
      (variant.version === '-14' ? 'clang 14' : undefined),
  },
];
