// Functions of every kind, and what stands in their bodies.
import type { Construct } from '../construct';

const seven = ['+ 7;', '+ 80;', '+ 900;'] as const;

export const functions: readonly Construct[] = [
  { id: 'global-function', language: 'c', text: 'long step(long n) { return n + 7; }', edit: seven },
  {
    id: 'static-function',
    language: 'c',
    text: `static long inner(long n) { return n * n + 7; }
long step(long n) { return inner(n) - inner(n - 1); }
long other_$$(long n) { return inner(n); }`,
    edit: ['n * n + 7', 'n * n * n + 7', 'n * 5'],
  },
  {
    id: 'noinline-callee',
    language: 'c',
    text: `__attribute__((noinline)) static long inner(long n) { return n + 7; }
long step(long n) { return inner(n) * 2; }`,
    edit: seven,
  },
  {
    id: 'new-helper',
    language: 'c',
    text: `long step(long n) { return n + 1; }`,
    edit: [
      'long step(long n) { return n + 1; }',
      'static long limit(void) { return 5; }\nlong step(long n) { return n + limit(); }',
      'static long limit(void) { return 6; }\nlong step(long n) { return n + limit(); }',
    ],
  },
  {
    id: 'new-noinline-helper',
    language: 'c',
    text: `long step(long n) { return n + 1; }`,
    edit: [
      'long step(long n) { return n + 1; }',
      '__attribute__((noinline)) static long limit(long n) { return n * 5; }\nlong step(long n) { return n + limit(n); }',
      '__attribute__((noinline)) static long limit(long n) { return n * 6; }\nlong step(long n) { return n + limit(n); }',
    ],
  },
  {
    id: 'removed-helper',
    language: 'c',
    text: `__attribute__((noinline)) static long limit(long n) { return n * 5; }
long step(long n) { return n + limit(n); }`,
    edit: ['n + limit(n)', 'n + 3', 'n + 4'],
  },
  {
    id: 'parameter-added',
    language: 'c',
    text: `__attribute__((noinline)) static long inner(long n) { return n + 7; }
long step(long n) { return inner(n); }`,
    edit: [
      `__attribute__((noinline)) static long inner(long n) { return n + 7; }
long step(long n) { return inner(n); }`,
      `__attribute__((noinline)) static long inner(long n, long m) { return n + 7 * m; }
long step(long n) { return inner(n, 3); }`,
      `__attribute__((noinline)) static long inner(long n, long m) { return n + 8 * m; }
long step(long n) { return inner(n, 4); }`,
    ],
  },
  {
    id: 'recursive',
    language: 'c',
    text: 'long step(long n) { return n < 1 ? 3 : n * step(n - 1); }',
    edit: ['? 3 :', '? 4 :', '? 5 :'],
  },
  {
    id: 'mutual-recursion',
    language: 'c',
    text: `static long odd(long n);
static long even(long n) { return n == 0 ? 100 : odd(n - 1); }
static long odd(long n) { return n == 0 ? 200 : even(n - 1); }
long step(long n) { return even(n); }`,
    edit: ['? 200', '? 300', '? 400'],
  },
  {
    id: 'variadic',
    language: 'c',
    text: `#include <stdarg.h>
static long sum(int count, ...) {
  va_list list; long total = 0;
  va_start(list, count);
  for (int i = 0; i < count; i++) total += va_arg(list, long) * 2;
  va_end(list);
  return total;
}
long step(long n) { return sum(3, n, n + 1, n + 2); }`,
    edit: ['* 2;', '* 3;', '* 4;'],
  },
  {
    id: 'variadic-double',
    language: 'c',
    text: `#include <stdarg.h>
__attribute__((noinline)) static double sum(int count, ...) {
  va_list list; double total = 0;
  va_start(list, count);
  for (int i = 0; i < count; i++) total += va_arg(list, double) * 2.5;
  va_end(list);
  return total;
}
long step(long n) { return sum(2, n * 1.0, n * 3.0); }`,
    edit: ['* 2.5;', '* 3.25;', '* 4.75;'],
  },
  {
    id: 'many-arguments',
    language: 'c',
    text: `__attribute__((noinline)) static long many(long a, long b, long c, long d, long e, long f, long g, long h, long i) {
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i;
}
long step(long n) { return many(n, n, n, n, n, n, n + 1, n + 2, n + 3); }`,
    edit: ['9 * i', '19 * i', '29 * i'],
  },
  {
    id: 'struct-by-value',
    language: 'c',
    text: `struct big { long a[6]; };
__attribute__((noinline)) static struct big make(long n) { struct big b = {{n, 2, 3, 4, 5, 6}}; return b; }
__attribute__((noinline)) static long use(struct big b) { return b.a[0] * b.a[1] + b.a[5]; }
long step(long n) { return use(make(n)); }`,
    edit: ['{{n, 2, 3', '{{n, 20, 3', '{{n, 30, 3'],
  },
  {
    id: 'complex-number',
    language: 'c',
    text: `#include <complex.h>
__attribute__((noinline)) static double complex turn(double complex z) { return z * (2 + 3 * I); }
long step(long n) { double complex z = turn(n + 1 * I); return creal(z) * 1000 + cimag(z); }`,
    edit: ['2 + 3 * I', '4 + 3 * I', '4 - 5 * I'],
  },
  {
    id: 'long-double',
    language: 'c',
    text: `__attribute__((noinline)) static long double scale(long double x) { return x * 2.5L; }
long step(long n) { return scale(n) * 4; }`,
    edit: ['2.5L', '3.25L', '4.75L'],
  },
  {
    id: 'int128',
    language: 'c',
    text: `__attribute__((noinline)) static __int128 wide(__int128 x) { return x * x * 3; }
long step(long n) { return (long)(wide(n + ((__int128)1 << 40)) >> 60); }`,
    edit: ['* 3;', '* 5;', '* 9;'],
  },
  {
    id: 'int128-divided',
    language: 'c',
    text: 'long step(long n) { __int128 x = n + 100; return (long)(x * 3); }',
    edit: ['x * 3', '(x << 70) / (n + 2) >> 60', '(x << 70) % (n + 2)'],
  },
  {
    id: 'float-constant',
    language: 'c',
    text: 'long step(long n) { return n * 2.5f + n * 0.125; }',
    edit: ['2.5f', '3.5f', '4.25f'],
  },
  {
    id: 'kr-definition',
    language: 'c',
    text: `static long add(a, b) long a, b; { return a + b * 2; }
long step(n) long n; { return add(n, 3L); }`,
    edit: ['b * 2', 'b * 3', 'b * 4'],
    flags: ['-std=gnu89'],
  },
  {
    id: 'noreturn-callee',
    language: 'c',
    text: `#include <stdlib.h>
#include <stdio.h>
__attribute__((noreturn, noinline, cold)) static void die(long n) { printf("fatal %ld\\n", n); abort(); }
long step(long n) { if (n > 1000) die(n); return n + 7; }
long second_$$(long n) { if (n < -1000) die(n); return n * 3; }`,
    edit: seven,
  },
  {
    id: 'cold-part',
    language: 'c',
    text: `#include <stdio.h>
__attribute__((cold, noinline)) static long rare(long n) { return n * 3; }
__attribute__((cold, noinline)) static long seldom(long n) { return n * 4; }
long step(long n) { if (__builtin_expect(n == 2, 0)) return rare(n) + 1; return n + 7; }`,
    edit: ['rare(n) + 1', 'seldom(n) + 1', 'rare(n) + seldom(n)'],
  },
  {
    id: 'hot-function',
    language: 'c',
    text: `__attribute__((hot, noinline)) static long often(long n) { return n * 3; }
long step(long n) { return often(n) + 1; }`,
    edit: ['n * 3', 'n * 5', 'n * 7'],
  },
  {
    id: 'always-inline',
    language: 'c',
    text: `static inline __attribute__((always_inline)) long twice(long n) { return n * 2; }
long step(long n) { return twice(n) + 1; }
long other_$$(long n) { return twice(n) + 2; }`,
    edit: ['n * 2', 'n * 3', 'n * 4'],
  },
  {
    id: 'flatten',
    language: 'c',
    text: `static long inner(long n) { return n * 2; }
__attribute__((flatten)) long step(long n) { return inner(n) + inner(n + 1); }`,
    edit: ['n * 2', 'n * 3', 'n * 4'],
  },
  {
    id: 'pure-and-const',
    language: 'c',
    text: `__attribute__((const, noinline)) static long square(long n) { return n * n; }
__attribute__((pure, noinline)) static long first(const long *p) { return p[0] + 1; }
long step(long n) { return square(n) + first(&n); }`,
    edit: ['return n * n;', 'return n * n * n;', 'return n + 100;'],
  },
  {
    id: 'inline-c99',
    language: 'c',
    text: `inline long helper_$$(long n) { return n * 2; }
extern inline long helper_$$(long n);
long step(long n) { return helper_$$(n) + 1; }`,
    edit: ['n * 2', 'n * 3', 'n * 4'],
  },
  {
    id: 'function-pointer-table',
    language: 'c',
    text: `static long a(long n) { return n + 1; }
static long b(long n) { return n + 2; }
static long (*const table[])(long) = {a, b};
long step(long n) { return table[n & 1](n); }`,
    edit: ['n + 2', 'n + 20', 'n + 200'],
  },
  {
    id: 'function-pointer-entry',
    language: 'c',
    text: `static long a(long n) { return n + 1; }
static long b(long n) { return n + 2; }
static long (*const table[])(long) = {a, b};
long step(long n) { return table[n & 1](n) + (long)(table[0] == a); }`,
    edit: ['{a, b}', '{b, a}', '{b, b}'],
  },
  {
    id: 'mutable-function-pointer',
    language: 'c',
    text: `static long a(long n) { return n + 1; }
static long b(long n) { return n + 2; }
static long (*current)(long);
long step(long n) { if (!current) current = n & 1 ? a : b; return current(n); }`,
    edit: ['n + 1;', 'n + 10;', 'n + 100;'],
  },
  {
    id: 'own-address',
    language: 'c',
    text: `static long (*next)(long);
__attribute__((noinline)) static long tick(long n) { next = tick; return n + 1; }
long step(long n) { if (!next) next = tick; long r = next(n); return r + 1000 * (next == tick); }`,
    edit: ['return n + 1;', 'return n + 10;', 'return n + 100;'],
  },
  {
    id: 'qsort-callback',
    language: 'c',
    text: `#include <stdlib.h>
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
long step(long n) {
  int v[] = {3, (int)n, 9, 1, 7};
  qsort(v, 5, sizeof *v, compare);
  return v[0] * 10000 + v[1] * 1000 + v[2] * 100 + v[3] * 10 + v[4];
}`,
    edit: [
      '*(const int *)a - *(const int *)b;',
      '*(const int *)b - *(const int *)a;',
      '(*(const int *)a ^ 2) - (*(const int *)b ^ 2);',
    ],
  },
  {
    id: 'setjmp',
    language: 'c',
    text: `#include <setjmp.h>
static jmp_buf buffer;
__attribute__((noinline)) static void leap(long n) { longjmp(buffer, (int)n + 10); }
long step(long n) { int r = setjmp(buffer); if (r) return r * 2; leap(n); return 0; }`,
    edit: ['r * 2', 'r * 3', 'r * 4'],
  },
  {
    id: 'signal-handler',
    language: 'c',
    text: `#include <signal.h>
static volatile long seen;
static void handle(int s) { (void)s; seen += 5; }
long step(long n) { seen = n; signal(SIGUSR2, handle); raise(SIGUSR2); return seen; }`,
    edit: ['seen += 5', 'seen += 50', 'seen *= 3'],
  },
  {
    id: 'thread-routine',
    language: 'c',
    text: `#include <pthread.h>
static void *routine(void *p) { *(long *)p += 7; return p; }
long step(long n) { pthread_t t; pthread_create(&t, 0, routine, &n); pthread_join(t, 0); return n; }`,
    edit: ['+= 7', '+= 80', '*= 9'],
  },
  {
    id: 'alloca',
    language: 'c',
    text: `#include <alloca.h>
long step(long n) { long *p = alloca(8 * (n + 2)); for (long i = 0; i < n + 2; i++) p[i] = i * 3; return p[n + 1]; }`,
    edit: ['i * 3', 'i * 5', 'i * 7'],
  },
  {
    id: 'vla',
    language: 'c',
    text: 'long step(long n) { long v[n + 2]; for (long i = 0; i < n + 2; i++) v[i] = i * 3; return v[n + 1] + sizeof v; }',
    edit: ['i * 3', 'i * 5', 'i * 7'],
  },
  {
    id: 'nested-function',
    language: 'c',
    text: `static long apply(long (*f)(long), long n) { return f(n) + 1; }
long step(long n) { long base = n * 2; long inner(long m) { return base + m * 7; } return apply(inner, n); }`,
    edit: ['m * 7', 'm * 8', 'm * 9'],
    notIn: ({ compiler }) => (compiler === 'clang' ? 'clang has no nested functions' : undefined),
  },
  {
    id: 'statement-expression',
    language: 'c',
    text: '#define BIG(a) ({ long x = (a); x > 2 ? x * 7 : x; })\nlong step(long n) { return BIG(n) + BIG(n + 1); }',
    edit: ['x * 7', 'x * 8', 'x * 9'],
  },
  {
    id: 'cleanup-attribute',
    language: 'c',
    text: `static long total;
static void leave(long *p) { total += *p * 2; }
long step(long n) { total = 0; { __attribute__((cleanup(leave))) long x = n; x++; } return total; }`,
    edit: ['*p * 2', '*p * 3', '*p * 4'],
  },
  {
    id: 'tail-call',
    language: 'c',
    text: `__attribute__((noinline)) static long last(long n) { return n * 5; }
__attribute__((noinline)) long middle_$$(long n) { return last(n + 1); }
long step(long n) { return middle_$$(n + 1); }`,
    edit: ['last(n + 1)', 'last(n + 2)', 'last(n * 2)'],
  },
  {
    id: 'constprop-clone',
    language: 'c',
    text: `__attribute__((noinline)) static long scale(long n, int mode) {
  long r = 0;
  for (int i = 0; i < 4; i++) r += mode == 3 ? n * i : n + i;
  return r + 7;
}
long step(long n) { return scale(n, 3); }`,
    edit: ['r + 7', 'r + 8', 'r * 2'],
  },
  {
    id: 'isra-clone',
    language: 'c',
    text: `struct pair { long a, b; };
__attribute__((noinline)) static long first(struct pair *p) { return p->a * 7; }
long step(long n) { struct pair p = {n, 2}; return first(&p) + p.b; }`,
    edit: ['p->a * 7', 'p->a * 8', 'p->b * 9'],
  },
  {
    id: 'partial-inline',
    language: 'c',
    text: `static long heavy(long n) { if (n < 2) return 1; long r = 0; for (long i = 0; i < n; i++) r += i ^ n; return r * 3; }
long step(long n) { return heavy(n) + heavy(n + 5); }`,
    edit: ['r * 3', 'r * 5', 'r * 7'],
  },
  {
    id: 'identical-functions',
    language: 'c',
    text: `__attribute__((noinline)) static long f(long n) { return n * 3 + 1; }
__attribute__((noinline)) static long g(long n) { return n * 3 + 1; }
static long (*volatile pf)(long) = f;
static long (*volatile pg)(long) = g;
long step(long n) { return pf(n) * 1000 + pg(n); }`,
    edit: ['g(long n) { return n * 3 + 1;', 'g(long n) { return n * 3 + 2;', 'g(long n) { return n * 5;'],
  },
];
