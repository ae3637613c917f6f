// Literals, constant data and initialisers: what code reads and does not own.
import type { Construct } from '../construct';

export const constants: readonly Construct[] = [
  {
    id: 'string-shortened',
    language: 'c',
    text: 'const char *step(long n) { (void)n; return "hello world"; }',
    edit: ['"hello world"', '"hello"', '"hell"'],
  },
  {
    id: 'string-lengthened',
    language: 'c',
    text: 'const char *step(long n) { (void)n; return "hello"; }',
    edit: ['"hello"', '"hello world"', '"hello world and moon"'],
  },
  {
    id: 'string-case',
    language: 'c',
    text: 'const char *step(long n) { return n % 2 ? "IN" : "OUT"; }',
    edit: ['"IN" : "OUT"', '"in" : "out"', '"i" : "o"'],
  },
  {
    id: 'string-tails',
    language: 'c',
    text: 'const char *step(long n) { return n == 1 ? "underground" : n == 2 ? "ground" : "round"; }',
    edit: ['"ground"', '"grounds"', '"rounds"'],
  },
  {
    id: 'string-shared',
    language: 'c',
    text: `__attribute__((noinline)) static const char *f(void) { return "common"; }
__attribute__((noinline)) static const char *g(void) { return "common"; }
const char *step(long n) { return n & 1 ? f() : g(); }`,
    edit: ['f(void) { return "common"', 'f(void) { return "uncommon"', 'f(void) { return "mon"'],
  },
  {
    id: 'string-empty',
    language: 'c',
    text: 'const char *step(long n) { return n == 2 ? "" : "x"; }',
    edit: ['""', '"y"', '"x"'],
  },
  {
    id: 'string-embedded-nul',
    language: 'c',
    text: `#include <string.h>
static long sum(const char *p, long n) { long s = 0; for (long i = 0; i < n; i++) s = s * 3 + p[i]; return s; }
long step(long n) { return sum("ab\\0cd", 5) + n; }`,
    edit: ['"ab\\0cd"', '"ab\\0ce"', '"ab\\0dd"'],
  },
  {
    id: 'wide-string',
    language: 'c',
    text: `#include <wchar.h>
static const wchar_t *pick(long n) { return n & 1 ? L"wide one" : L"wide two"; }
long step(long n) { const wchar_t *p = pick(n); long s = 0; while (*p) s = s * 3 + *p++; return s; }`,
    edit: ['L"wide two"', 'L"wide three"', 'L"wide"'],
  },
  {
    id: 'utf16-string',
    language: 'cc',
    text: `static const char16_t *pick(long n) { return n & 1 ? u"wide one" : u"wide two"; }
long step(long n) { const char16_t *p = pick(n); long s = 0; while (*p) s = s * 3 + *p++; return s; }`,
    edit: ['u"wide two"', 'u"wide three"', 'u"wide"'],
  },
  {
    id: 'string-printed',
    language: 'c',
    text: `#include <stdio.h>
static char out[100];
const char *step(long n) { snprintf(out, sizeof out, "value %ld of %s", n, "list"); return out; }`,
    edit: ['"value %ld of %s"', '"VALUE=%05ld in %s"', '"%ld:%s"'],
  },
  {
    id: 'char-array-initialised',
    language: 'c',
    text: `static char out[32];
#include <string.h>
const char *step(long n) { char a[] = "automatic text x"; a[15] = (char)('a' + n); strcpy(out, a); return out; }`,
    edit: ['"automatic text x"', '"AUTOMATIC TEXT y"', '"Automatic_text_z"'],
  },
  {
    id: 'const-table',
    language: 'c',
    text: `static const long table[] = {10, 20, 30, 40, 50};
long step(long n) { return table[n % 5]; }`,
    edit: ['20, 30', '20, 31', '22, 32'],
  },
  {
    id: 'const-table-grown',
    language: 'c',
    text: `static const long table[] = {10, 20, 30};
long step(long n) { long s = 0; for (unsigned i = 0; i < sizeof table / sizeof *table; i++) s += table[i] * n; return s; }`,
    edit: ['20, 30', '20, 30, 40', '20, 30, 40, 50, 60'],
  },
  {
    id: 'const-table-strings',
    language: 'c',
    text: `static const char *const names[] = {"zero", "one", "two", "three"};
const char *step(long n) { return names[n & 3]; }`,
    edit: ['"two"', '"TWO"', '"zwei"'],
  },
  {
    id: 'const-table-structs',
    language: 'c',
    text: `struct row { const char *name; long (*f)(long); double x; };
static long f(long n) { return n + 1; }
static long g(long n) { return n * 10; }
static const struct row rows[] = {{"a", f, 1.5}, {"b", g, 2.5}, {"c", f, 3.5}};
long step(long n) { const struct row *r = &rows[n % 3]; return r->f(n) * 100 + r->name[0] + r->x * 4; }`,
    edit: ['{"b", g, 2.5}', '{"b", f, 2.5}', '{"d", f, 4.5}'],
  },
  {
    id: 'const-struct-address-kept',
    language: 'c',
    text: `struct ops { const char *name; long (*f)(long); };
static long f(long n) { return n + 1; }
static const struct ops file_ops = {"files", f};
static const struct ops *kept;
long step(long n) { if (!kept) kept = &file_ops; return kept->f(n) * 10 + (kept == &file_ops) + kept->name[0] * 1000; }`,
    edit: ['"files"', '"pipes"', '"tubes"'],
    warned: 'constant-kept',
  },
  {
    id: 'designated-initialiser',
    language: 'c',
    text: `struct s { int a, b, c; };
static const struct s v = {.b = 2, .a = 1};
long step(long n) { return v.a * 100 + v.b * 10 + v.c + n * 1000; }`,
    edit: ['.b = 2', '.b = 5', '.c = 7'],
  },
  {
    id: 'range-initialiser',
    language: 'c',
    text: `static const unsigned char classes[256] = {['0' ... '9'] = 1, ['a' ... 'z'] = 2};
long step(long n) { return classes['a' + n] * 10 + classes['0' + n] + classes['A' + n] * 100; }`,
    edit: ["['a' ... 'z'] = 2", "['A' ... 'Z'] = 2", "['A' ... 'z'] = 3"],
  },
  {
    id: 'compound-literal',
    language: 'c',
    text: `struct s { long a, b; };
__attribute__((noinline)) static long use(const struct s *s) { return s->a * 10 + s->b; }
long step(long n) { return use(&(struct s){n, 5}); }`,
    edit: ['{n, 5}', '{n, 6}', '{7, n}'],
  },
  {
    id: 'mergeable-floats',
    language: 'c',
    text: `static const unsigned char T[8] = {1, 2, 3, 4, 5, 6, 7, 8};
long step(long n) { double x = n; return x * 2.5 + T[n & 7] + 1; }`,
    edit: ['+ 1;', '+ 2;', '+ 30;'],
  },
  {
    id: 'mergeable-neighbours',
    language: 'c',
    text: `__attribute__((noinline)) static double f(double x) { return x < 0.0 ? -x * 1.25 : x * 2.75; }
__attribute__((noinline)) static double g(double x) { return x > 3.5 ? x * 4.125 : x * 5.0625; }
long step(long n) { return f(n) * 16 + g(n) * 16; }`,
    edit: ['4.125', '4.25', '2.75'],
  },
  {
    id: 'enum-constant',
    language: 'c',
    text: `enum { LIMIT = 40, OTHER = 3 };
long step(long n) { return n * LIMIT + OTHER; }`,
    edit: ['LIMIT = 40', 'LIMIT = 41', 'LIMIT = 99'],
    refused: ['layout-changed'],
  },
  {
    id: 'macro-constant',
    language: 'c',
    text: '#define LIMIT 40\nlong step(long n) { return n * LIMIT; }\nlong other_$$(long n) { return n + LIMIT; }',
    edit: ['LIMIT 40', 'LIMIT 41', 'LIMIT 99'],
  },
  {
    id: 'const-variable',
    language: 'c',
    text: 'static const long limit = 40;\nlong step(long n) { const long *p = &limit; return n * *p; }',
    edit: ['limit = 40', 'limit = 41', 'limit = 42'],
  },
  {
    id: 'exported-const-variable',
    language: 'c',
    text: 'const long limit_$$ = 40;\nlong step(long n) { const volatile long *p = &limit_$$; return n * *p; }',
    edit: ['= 40', '= 41', '= 42'],
    warned: 'constant-kept',
  },
  {
    id: 'constexpr-variable',
    language: 'cc',
    text: `constexpr long limits[] = {4, 5, 6, 7};
constexpr long total() { long s = 0; for (long l : limits) s += l; return s; }
long step(long n) { return total() * 100 + limits[n & 3]; }`,
    edit: ['{4, 5, 6, 7}', '{4, 5, 60, 7}', '{9, 9, 9, 9}'],
  },
  {
    id: 'constexpr-if',
    language: 'cc',
    text: `constexpr bool fast = false;
long step(long n) { if constexpr (fast) return n * 7; else return n * 5; }`,
    edit: ['fast = false', 'fast = true', 'fast = !true'],
    flags: ['-std=c++17'],
  },
  {
    id: 'container-of-strings',
    language: 'cc',
    text: `#include <map>
#include <string>
long step(long n) {
  std::map<int, std::string> m{{1, "x"}, {2, "yy"}, {3, "www"}};
  return m[(int)n][0] * 100 + m[(int)n].size();
}`,
    edit: ['"yy"', '"zz"', '"zzz"'],
  },
  {
    id: 'vector-of-strings',
    language: 'cc',
    text: `#include <string>
#include <vector>
static std::string out;
const char *step(long n) { std::vector<std::string> v{"apple", "plum", "cherry and more text"}; out = v[n % 3]; return out.c_str(); }`,
    edit: ['"plum"', '"pear"', '"strawberry or another long text"'],
  },
  {
    id: 'initializer-list-of-views',
    language: 'cc',
    text: `#include <string_view>
long step(long n) { long s = 0; for (std::string_view v : {"alpha", "beta", "gamma"}) s = s * 31 + v.size() + v[n % 3]; return s; }`,
    edit: ['"beta"', '"delta"', '"mu nu"'],
    flags: ['-std=c++17'],
  },
  {
    id: 'raw-string',
    language: 'cc',
    text: 'const char *step(long n) { return n & 1 ? R"(a"b)" : "c"; }',
    edit: ['a"b', 'a\\b', 'a"b"c'],
  },
];
