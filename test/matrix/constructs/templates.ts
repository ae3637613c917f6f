// Templates and lambdas.
import type { Construct } from '../construct';

export const templates: readonly Construct[] = [
  {
    id: 'function-template',
    language: 'cc',
    text: `template <class T> T scale(T x) { return x * 3; }
long step(long n) { return scale(n) + scale(1.5 * n) * 10; }`,
    edit: ['x * 3', 'x * 4', 'x * 5'],
  },
  {
    id: 'noinline-template',
    language: 'cc',
    text: `template <class T> __attribute__((noinline)) T scale(T x) { return x * 3; }
long step(long n) { return scale(n) + scale(1.5 * n) * 10; }`,
    edit: ['x * 3', 'x * 4', 'x * 5'],
  },
  {
    id: 'template-specialisation',
    language: 'cc',
    text: `template <class T> struct Size { static long of(long n) { return n; } };
template <> struct Size<double> { static long of(long n) { return n * 8; } };
long step(long n) { return Size<int>::of(n) + Size<double>::of(n); }`,
    edit: ['n * 8', 'n * 9', 'n * 10'],
  },
  {
    id: 'partial-specialisation',
    language: 'cc',
    text: `template <class T> struct Size { static long of(long n) { return n; } };
template <class T> struct Size<T *> { static long of(long n) { return n * 8; } };
long step(long n) { return Size<int>::of(n) + Size<double *>::of(n); }`,
    edit: ['n * 8', 'n * 9', 'n * 10'],
  },
  {
    id: 'template-member',
    language: 'cc',
    text: `template <class T, int N> struct Buffer { T data[N]; long used = 0; void put(T t) { data[used++ % N] = t; } T sum() const { T s = 0; for (int i = 0; i < N; i++) s += data[i] * 2; return s; } };
static Buffer<long, 4> buffer{{1, 2, 3, 4}};
long step(long n) { buffer.put(n); return buffer.sum(); }`,
    edit: ['data[i] * 2', 'data[i] * 3', 'data[i] * 4'],
  },
  {
    id: 'explicit-instance',
    language: 'cc',
    text: `template <class T> struct A { T f(T t); };
template <class T> T A<T>::f(T t) { return t * 7; }
template struct A<long>;
long step(long n) { A<long> a; return a.f(n); }`,
    edit: ['t * 7', 't * 8', 't * 9'],
  },
  {
    id: 'new-instance',
    language: 'cc',
    text: `template <class T> T twice(T t) { return t + t; }
long step(long n) { return twice(n); }`,
    edit: [
      'return twice(n)',
      'return twice(n) + twice(0.75 * n) * 4',
      'return twice(n) + twice((short)n) * 4',
    ],
  },
  {
    id: 'crtp',
    language: 'cc',
    text: `template <class D> struct Base { long run(long n) { return static_cast<D *>(this)->part(n) * 10; } };
struct Derived : Base<Derived> { long part(long n) { return n + 1; } };
static Derived d;
long step(long n) { return d.run(n); }`,
    edit: ['n + 1', 'n + 2', 'n * 3'],
  },
  {
    id: 'variadic-template',
    language: 'cc',
    text: `static long sum() { return 0; }
template <class T, class... R> long sum(T t, R... r) { return t * 2 + sum(r...); }
long step(long n) { return sum(n, 2, 3.5, 'a'); }`,
    edit: ['t * 2', 't * 3', 't * 4'],
  },
  {
    id: 'fold-expression',
    language: 'cc',
    text: `template <class... T> long sum(T... t) { return (0 + ... + (t * 2)); }
long step(long n) { return sum(n, 2, 3.5, 'a'); }`,
    edit: ['t * 2', 't * 3', 't * 4'],
    flags: ['-std=c++17'],
  },
  {
    id: 'concepts',
    language: 'cc',
    text: `template <class T> concept Number = requires(T t) { t + 1; t * 2; };
template <Number T> long f(T t) { return t * 7; }
long step(long n) { return f(n) + f(1.5); }`,
    edit: ['t * 7', 't * 8', 't * 9'],
    flags: ['-std=c++20'],
  },
  {
    id: 'template-static-member',
    language: 'cc',
    text: `template <class T> struct C { static long count; static long bump(long n) { return ++count * 100 + n * 3; } };
template <class T> long C<T>::count = sizeof(T);
long step(long n) { return C<int>::bump(n) + C<double>::bump(n); }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'template-local-static',
    language: 'cc',
    text: `template <class T> long next(long n) { static long count = sizeof(T); return count++ * 100 + n * 3; }
long step(long n) { return next<int>(n) + next<double>(n) * 7; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'variable-template',
    language: 'cc',
    text: `template <class T> constexpr T third = T(1) / T(3) * 30;
long step(long n) { return third<double> * n; }`,
    edit: ['* 30', '* 60', '* 90'],
  },
  {
    id: 'if-constexpr-template',
    language: 'cc',
    text: `#include <type_traits>
template <class T> long kind(T t) { if constexpr (std::is_integral_v<T>) return t * 2; else return t * 4; }
long step(long n) { return kind(n) * 100 + kind(n * 1.25); }`,
    edit: ['t * 4', 't * 8', 't * 16'],
    flags: ['-std=c++17'],
  },
  {
    id: 'library-vector-of-own-type',
    language: 'cc',
    text: `#include <string>
#include <vector>
struct E { std::string s; long v; E(long x) : s("e"), v(x + 1) {} };
long step(long n) { std::vector<E> v; for (long i = 0; i < n + 3; i++) v.emplace_back(i); long r = 0; for (auto &e : v) r = r * 3 + e.v + e.s.size(); return r; }`,
    edit: ['s("e"), v(x + 1)', 's("ee"), v(x + 2)', 's("eee"), v(x * 3)'],
  },
  {
    id: 'library-map-with-comparator',
    language: 'cc',
    text: `#include <map>
struct Less { bool operator()(long a, long b) const { return a % 10 < b % 10; } };
long step(long n) { std::map<long, long, Less> m; for (long i = 0; i < 25; i += n) m[i] += i; long r = 0; for (auto &[k, v] : m) r = r * 7 + k + v; return r % 100003; }`,
    edit: ['a % 10 < b % 10', 'a % 7 < b % 7', 'a > b'],
    flags: ['-std=c++17'],
  },
  {
    id: 'library-sort-with-operator',
    language: 'cc',
    text: `#include <algorithm>
struct P { long k; bool operator<(const P &o) const { return k < o.k; } };
long step(long n) { P p[40]; for (long i = 0; i < 40; i++) p[i].k = i * 7919 % (97 + n); std::sort(p, p + 40); return p[0].k * 1000 + p[39].k; }`,
    edit: ['k < o.k', 'k > o.k', '(k ^ 5) < (o.k ^ 5)'],
  },
  {
    id: 'library-smart-pointers',
    language: 'cc',
    text: `#include <memory>
struct T { long v; explicit T(long n) : v(n * 2) {} ~T() { v = 0; } };
static std::shared_ptr<T> kept;
long step(long n) { auto u = std::make_unique<T>(n); if (!kept) kept = std::make_shared<T>(n + 5); return u->v * 100 + kept.use_count(); }`,
    edit: ['v(n * 2)', 'v(n * 3)', 'v(n * 4)'],
  },
  {
    id: 'library-unordered-map',
    language: 'cc',
    text: `#include <string>
#include <unordered_map>
long step(long n) { std::unordered_map<std::string, long> m; m[n & 1 ? "odd" : "even"] += n * 3; return m["odd"] * 1000 + m["even"]; }`,
    edit: ['[n & 1 ? "odd" : "even"]', '[n & 1 ? "even" : "odd"]', '[n & 2 ? "even" : "odd"]'],
  },
  {
    id: 'library-variant-visit',
    language: 'cc',
    text: `#include <variant>
struct Visit { long operator()(long v) const { return v * 2; } long operator()(double d) const { return d * 4; } };
long step(long n) { std::variant<long, double> v; if (n & 1) v = n; else v = n * 1.25; return std::visit(Visit{}, v); }`,
    edit: ['v * 2', 'v * 3', 'v * 4'],
    flags: ['-std=c++17'],
  },
  {
    id: 'library-ranges',
    language: 'cc',
    text: `#include <ranges>
long step(long n) { long s = 0; for (long i : std::views::iota(1L, n + 5) | std::views::transform([](long x) { return x * 3; })) s += i; return s; }`,
    edit: ['x * 3', 'x * 4', 'x + 100'],
    flags: ['-std=c++20'],
    notIn: ({ compiler, version = '-14' }) =>
      compiler === 'clang' && version === '-14' ? 'clang 14 cannot compile <ranges>' : undefined,
  },
  {
    id: 'streams-added',
    language: 'cc',
    text: `#include <string>
long step(long n) { std::string s("abc"); return n * 3 + s.size(); }`,
    edit: [
      `#include <string>
long step(long n) { std::string`,
      `#include <string>
#include <iostream>
long step(long n) { std::cerr << ""; n++; std::string`,
      `#include <string>
#include <iostream>
long step(long n) { std::cerr << "" << std::flush; n += 2; std::string`,
    ],
    global: true,
  },
  {
    id: 'streams',
    language: 'cc',
    text: `#include <sstream>
#include <string>
static std::string out;
const char *step(long n) { std::ostringstream s; s << "n=" << n << ' ' << n * 1.5; out = s.str(); return out.c_str(); }`,
    edit: ['"n="', '"value "', '""'],
  },
];

export const lambdas: readonly Construct[] = [
  {
    id: 'lambda-called',
    language: 'cc',
    text: 'long step(long n) { auto f = [](long x) { return x * 3; }; return f(n) + f(n + 1); }',
    edit: ['x * 3', 'x * 4', 'x * 5'],
  },
  {
    id: 'lambda-capture-by-reference',
    language: 'cc',
    text: 'long step(long n) { long s = 0; auto add = [&](long x) { s += x * 3; }; add(n); add(n + 1); return s; }',
    edit: ['x * 3', 'x * 4', 'x * 5'],
  },
  {
    id: 'lambda-stored',
    language: 'cc',
    text: `#include <functional>
static std::function<long(long)> stored;
long step(long n) { if (!stored) stored = [n](long x) { return x * 3 + n; }; return stored(n); }`,
    edit: ['x * 3', 'x * 4', 'x * 5'],
  },
  {
    id: 'lambda-as-pointer',
    language: 'cc',
    text: `static long (*kept)(long);
long step(long n) { if (!kept) kept = [](long x) { return x * 3; }; return kept(n); }`,
    edit: ['x * 3', 'x * 4', 'x * 5'],
  },
  {
    id: 'lambda-generic',
    language: 'cc',
    text: 'long step(long n) { auto f = [](auto x) { return x * 3; }; return f(n) + f(n * 0.5) * 2; }',
    edit: ['x * 3', 'x * 4', 'x * 5'],
  },
  {
    id: 'lambda-mutable',
    language: 'cc',
    text: 'long step(long n) { auto f = [c = n]() mutable { c += 3; return c; }; f(); return f(); }',
    edit: ['c += 3', 'c += 4', 'c *= 5'],
  },
  {
    id: 'lambda-nested',
    language: 'cc',
    text: 'long step(long n) { auto f = [n](long a) { auto g = [a, n](long b) { return a * n + b * 3; }; return g(a + 1); }; return f(n); }',
    edit: ['b * 3', 'b * 4', 'b * 5'],
  },
  {
    id: 'lambda-added-before',
    language: 'cc',
    text: `long step(long n) {
  auto f = [](long x) { return x * 3; };
  return f(n);
}`,
    edit: [
      '  auto f =',
      '  auto g = [](long x) { return x + 1000; }; n = g(n);\n  auto f =',
      '  auto g = [](long x) { return x + 2000; }; n = g(n);\n  auto f =',
    ],
  },
  {
    id: 'lambda-added-behind',
    language: 'cc',
    text: `long step(long n) {
  auto f = [](long x) { return x * 3; };
  return f(n);
}`,
    edit: [
      '  return f(n)',
      '  auto g = [](long x) { return x + 1000; }; return g(f(n))',
      '  auto g = [](long x) { return x + 2000; }; return g(f(n))',
    ],
  },
  {
    id: 'lambdas-reordered',
    language: 'cc',
    text: `long step(long n) {
  auto f = [](long x) { return x * 3; };
  auto g = [](long x) { return x + 1000; };
  return f(n) * 100000 + g(n);
}`,
    edit: [
      `  auto f = [](long x) { return x * 3; };
  auto g = [](long x) { return x + 1000; };`,
      `  auto g = [](long x) { return x + 1000; };
  auto f = [](long x) { return x * 3; };`,
      `  auto g = [](long x) { return x + 2000; };
  auto f = [](long x) { return x * 4; };`,
    ],
  },
  {
    id: 'lambda-removed',
    language: 'cc',
    text: `long step(long n) {
  auto g = [](long x) { return x + 1000; };
  auto f = [](long x) { return x * 3; };
  return f(g(n));
}`,
    edit: [
      '  auto g = [](long x) { return x + 1000; };\n  auto f = [](long x) { return x * 3; };\n  return f(g(n));',
      '  auto f = [](long x) { return x * 3; };\n  return f(n);',
      '  auto f = [](long x) { return x * 4; };\n  return f(n);',
    ],
  },
  {
    id: 'lambda-capture-added',
    language: 'cc',
    text: `long step(long n) {
  long a = n * 2, b = n * 5;
  auto f = [a](long x) { return x * 3 + a; };
  return f(n) + b * 1000;
}`,
    edit: [
      '[a](long x) { return x * 3 + a; }',
      '[a, b](long x) { return x * 3 + a - b; }',
      '[b, a](long x) { return x * 3 + a * b; }',
    ],
  },
  {
    id: 'lambda-capture-order',
    language: 'cc',
    text: `long step(long n) {
  long a = n * 2, b = n * 5;
  auto f = [a, b](long x) { return x * 3 + a * 10 + b; };
  return f(n);
}`,
    edit: ['[a, b]', '[b, a]', '[=]'],
  },
  {
    id: 'lambda-parameter-changed',
    language: 'cc',
    text: 'long step(long n) { auto f = [](long x) { return x * 3; }; return f(n); }',
    edit: [
      '[](long x) { return x * 3; }; return f(n)',
      '[](int x, long y) { return x * 3 + y; }; return f(n, 1000)',
      '[](double x) { return long(x * 3.5); }; return f(n)',
    ],
  },
  {
    id: 'lambda-to-algorithm',
    language: 'cc',
    text: `#include <algorithm>
long step(long n) { long v[9]; for (long i = 0; i < 9; i++) v[i] = i * (n + 3) % 11; std::sort(v, v + 9, [](long a, long b) { return a < b; }); return v[0] * 100 + v[8]; }`,
    edit: ['a < b;', 'a > b;', 'a % 5 < b % 5;'],
  },
  {
    id: 'lambda-in-namespace-scope',
    language: 'cc',
    text: `static auto scale = [](long x) { return x * 3; };
long step(long n) { return scale(n); }`,
    edit: ['x * 3', 'x * 4', 'x * 5'],
  },
  {
    id: 'lambda-this',
    language: 'cc',
    text: `#include <functional>
struct A { long v = 5; std::function<long(long)> f = [this](long x) { return x * 3 + v; }; };
static A a;
long step(long n) { a.v++; return a.f(n); }`,
    edit: ['x * 3 + v', 'x * 4 + v', 'x * 5 - v'],
  },
  {
    id: 'lambda-immediately-called',
    language: 'cc',
    text: 'long step(long n) { const long limit = [&] { return n > 2 ? 10 : 20; }(); return n + limit; }',
    edit: ['? 10', '? 11', '? 12'],
  },
  {
    id: 'lambda-static-inside',
    language: 'cc',
    text: 'long step(long n) { auto f = [](long x) { static long c = 5; return ++c * 100 + x * 3; }; return f(n); }',
    edit: ['x * 3', 'x * 4', 'x * 5'],
  },
  {
    id: 'bind-and-function-object',
    language: 'cc',
    text: `#include <functional>
static long add(long a, long b) { return a + b * 3; }
long step(long n) { auto f = std::bind(add, 10, std::placeholders::_1); return f(n); }`,
    edit: ['b * 3', 'b * 4', 'b * 5'],
  },
];
