// Classes: members of every kind, inheritance, virtual tables, operators, run-time types.
import type { Construct } from '../construct';

const shapes = `struct Shape { virtual ~Shape() {} virtual long area(long n) { return n; } virtual long edge(long n) { return n + 1; } };
struct Square : Shape { long area(long n) override { return n * n; } };
struct Line : Shape { long edge(long n) override { return n * 2; } };
static Shape *all[3];
static void make() { if (!all[0]) { all[0] = new Shape; all[1] = new Square; all[2] = new Line; } }
`;

export const classes: readonly Construct[] = [
  {
    id: 'method',
    language: 'cc',
    text: `struct A { long v; long get(long n) const { return v * n; } };
static A a{3};
long step(long n) { return a.get(n) + a.v; }`,
    edit: ['v * n', 'v * n + 7', 'v + n'],
  },
  {
    id: 'method-out-of-class',
    language: 'cc',
    text: `struct A { long v; long get(long n) const; void set(long n); };
long A::get(long n) const { return v * n; }
void A::set(long n) { v = n; }
static A a{3};
long step(long n) { a.set(n + 1); return a.get(n); }`,
    edit: ['v * n;', 'v * n + 7;', 'v + n;'],
  },
  {
    id: 'static-method',
    language: 'cc',
    text: `struct A { static long f(long n) { return n * 3; } };
long step(long n) { return A::f(n); }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'new-method',
    language: 'cc',
    text: `struct A { long v; long get(long n) const { return v * n; } };
static A a{3};
long step(long n) { return a.get(n); }`,
    edit: [
      'long get(long n) const { return v * n; }',
      'long more() const { return 9; } long get(long n) const { return v * n + more(); }',
      'long more() const { return 10; } long get(long n) const { return v * n + more(); }',
    ],
  },
  {
    id: 'constructor',
    language: 'cc',
    text: `struct A { long v; A(long n) : v(n + 7) {} };
long step(long n) { A a(n); A *p = new A(n * 2); long r = a.v * 100 + p->v; delete p; return r; }`,
    edit: ['v(n + 7)', 'v(n + 8)', 'v(n * 9)'],
  },
  {
    id: 'constructor-out-of-class',
    language: 'cc',
    text: `struct B { long b; B(long n); virtual ~B(); };
B::B(long n) : b(n + 7) {}
B::~B() { b = 0; }
struct D : B { long d; D(long n); };
D::D(long n) : B(n), d(n * 2) {}
long step(long n) { D d(n); B b(n); return d.b * 1000 + d.d * 10 + b.b; }`,
    edit: ['b(n + 7)', 'b(n + 8)', 'b(n * 9)'],
  },
  {
    id: 'destructor',
    language: 'cc',
    text: `static long ended;
struct A { long v; ~A() { ended += v * 2; } };
long step(long n) { ended = 0; { A a{n}; A *p = new A{n + 1}; delete p; } return ended; }`,
    edit: ['v * 2', 'v * 3', 'v * 4'],
  },
  {
    id: 'virtual-destructor',
    language: 'cc',
    text: `static long ended;
struct A { long v = 1; virtual ~A(); };
A::~A() { ended += v * 2; }
struct B : A { ~B() override; };
B::~B() { ended += 100; }
long step(long n) { ended = 0; A *p = new B; p->v = n; delete p; { B b; b.v = n; } return ended; }`,
    edit: ['+= 100', '+= 200', '+= 300'],
  },
  {
    id: 'delegating-constructor',
    language: 'cc',
    text: `struct A { long v; A(long a, long b) : v(a * b) {} explicit A(long n) : A(n, 7) {} };
long step(long n) { return A(n).v; }`,
    edit: ['A(n, 7)', 'A(n, 8)', 'A(n + 1, 9)'],
  },
  {
    id: 'member-initialiser',
    language: 'cc',
    text: `struct A { long v = 7; long w; A(long n) : w(n) {} };
long step(long n) { A a(n); return a.v * 10 + a.w; }`,
    edit: ['v = 7', 'v = 8', 'v = 9'],
  },
  {
    id: 'copy-and-move',
    language: 'cc',
    text: `#include <utility>
static long copies, moves;
struct A { long v; A(long n) : v(n) {} A(const A &o) : v(o.v + 1) { copies++; } A(A &&o) : v(o.v + 10) { moves++; } A &operator=(const A &o) { v = o.v + 100; return *this; } };
__attribute__((noinline)) static long use(A a) { return a.v; }
long step(long n) { A a(n); A b(5); b = a; return use(a) + use(std::move(b)) * 1000; }`,
    edit: ['o.v + 100', 'o.v + 200', 'o.v + 300'],
  },
  {
    id: 'operators',
    language: 'cc',
    text: `struct V { long a, b; V operator+(const V &o) const { return {a + o.a, b + o.b}; } V operator*(long k) const { return {a * k, b * k}; } bool operator<(const V &o) const { return a < o.a; } long operator[](int i) const { return i ? b : a; } long operator()(long n) const { return n + a; } explicit operator long() const { return a * 100 + b; } V &operator++() { a++; return *this; } };
long step(long n) { V v{n, 2}, w{3, n}; V x = v + w * 2; ++x; return long(x) + (v < w) * 10000 + x[1] + x(5); }`,
    edit: ['a * 100 + b', 'a * 100 + b * 3', 'a * 100 - b'],
  },
  {
    id: 'user-literal',
    language: 'cc',
    text: `static long operator""_km(unsigned long long n) { return n * 1000; }
long step(long n) { return n + 3_km; }`,
    edit: ['n * 1000', 'n * 1001', 'n * 999'],
  },
  {
    id: 'spaceship',
    language: 'cc',
    text: `#include <compare>
struct V { long a, b; auto operator<=>(const V &) const = default; };
long step(long n) { V v{n, 2}, w{2, 2}; return (v < w) + (v == w) * 10 + (v > w) * 100; }`,
    edit: ['w{2, 2}', 'w{3, 2}', 'w{1, 9}'],
    flags: ['-std=c++20'],
  },
  {
    id: 'class-operator-new',
    language: 'cc',
    text: `#include <cstdlib>
static long made;
struct A { long v; static void *operator new(size_t s) { made += 3; return malloc(s); } static void operator delete(void *p) { free(p); } };
long step(long n) { made = 0; A *a = new A{n}; long r = a->v + made * 10; delete a; return r; }`,
    edit: ['made += 3', 'made += 4', 'made += 5'],
  },
  {
    id: 'virtual-method',
    language: 'cc',
    text: `${shapes}long step(long n) { make(); return all[n % 3]->area(n) * 100 + all[n % 3]->edge(n); }`,
    edit: ['n * n;', 'n * n * n;', 'n * 77;'],
  },
  {
    id: 'override-added',
    language: 'cc',
    text: `${shapes}long step(long n) { make(); return all[n % 3]->area(n) * 100 + all[n % 3]->edge(n); }`,
    edit: [
      'struct Square : Shape { long area(long n) override { return n * n; } };',
      'struct Square : Shape { long area(long n) override { return n * n; } long edge(long n) override { return n * 5; } };',
      'struct Square : Shape { long area(long n) override { return n * n; } long edge(long n) override { return n * 6; } };',
    ],
    refused: ['layout-changed'],
  },
  {
    id: 'override-removed',
    language: 'cc',
    text: `${shapes}long step(long n) { make(); return all[n % 3]->area(n) * 100 + all[n % 3]->edge(n); }`,
    edit: [
      'struct Line : Shape { long edge(long n) override { return n * 2; } };',
      'struct Line : Shape { };',
      'struct Line : Shape { long edge(long n) override { return n * 9; } };',
    ],
    refused: ['layout-changed'],
  },
  {
    id: 'virtual-added-behind',
    language: 'cc',
    text: `struct Shape { virtual ~Shape() {} virtual long area(long n) { return n; } };
static Shape *s;
long step(long n) { if (!s) s = new Shape; return s->area(n); }`,
    edit: [
      'virtual long area(long n) { return n; }',
      'virtual long area(long n) { return n; } virtual long edge(long n) { return n * 2; }',
      'virtual long area(long n) { return n; } virtual long edge(long n) { return n * 3; }',
    ],
    refused: ['layout-changed'],
  },
  {
    id: 'new-derived-class',
    language: 'cc',
    text: `${shapes}long step(long n) { make(); return all[n % 3]->area(n); }`,
    edit: [
      'long step(long n) { make(); return all[n % 3]->area(n); }',
      'struct Cube : Square { long area(long n) override { return n * n * n + edge(n); } };\nlong step(long n) { make(); Cube c; Shape *s = &c; return all[n % 3]->area(n) + s->area(n); }',
      'struct Cube : Square { long area(long n) override { return n * n * n - edge(n); } };\nlong step(long n) { make(); Cube c; Shape *s = &c; return all[n % 3]->area(n) + s->area(n); }',
    ],
  },
  {
    id: 'pure-virtual',
    language: 'cc',
    text: `struct I { virtual long f(long) = 0; virtual ~I() {} };
struct A final : I { long f(long n) override { return n + 7; } };
static I *i;
long step(long n) { if (!i) i = new A; return i->f(n); }`,
    edit: ['n + 7', 'n + 8', 'n * 9'],
  },
  {
    id: 'multiple-inheritance-thunk',
    language: 'cc',
    text: `struct A { long a = 1; virtual long fa(long n) { return n + a; } virtual ~A() {} };
struct B { long b = 2; virtual long fb(long n) { return n + b; } virtual ~B() {} };
struct C : A, B { long c = 3; long fa(long n) override { return n * 10 + c; } long fb(long n) override { return n * 100 + c; } };
static C *object; static B *as_b; static A *as_a;
long step(long n) { if (!object) { object = new C; as_b = object; as_a = object; } return as_b->fb(n) * 1000 + as_a->fa(n); }`,
    edit: ['n * 100 + c', 'n * 200 + c', 'n * 300 + c + a + b'],
  },
  {
    id: 'virtual-inheritance',
    language: 'cc',
    text: `struct V { long v = 5; virtual long f(long n) { return n + v; } virtual ~V() {} };
struct L : virtual V { long l = 6; long f(long n) override { return n * 10 + l + v; } };
struct R : virtual V { long r = 7; };
struct J : L, R { long j = 8; };
static V *v;
long step(long n) { if (!v) v = new J; J local; return v->f(n) * 100 + local.f(n) + local.r; }`,
    edit: ['n * 10 + l + v', 'n * 20 + l + v', 'n * 30 + l - v'],
  },
  {
    id: 'virtual-inheritance-constructor',
    language: 'cc',
    text: `struct V { long v; V(long n) : v(n + 1) {} virtual ~V() {} };
struct L : virtual V { long l; L(long n) : V(n), l(n * 2 + v) {} };
struct J : L { J(long n) : V(n + 100), L(n) {} };
long step(long n) { J j(n); L l(n); return j.l * 1000 + j.v * 10 + l.l; }`,
    edit: ['l(n * 2 + v)', 'l(n * 3 + v)', 'l(n * 4 - v)'],
  },
  {
    id: 'covariant-return',
    language: 'cc',
    text: `struct A { long a = 1; virtual A *self(long) { return this; } virtual ~A() {} };
struct P { long p = 4; virtual ~P() {} };
struct B : P, A { long b = 2; B *self(long n) override { b = n * 7; return this; } };
static A *a;
long step(long n) { if (!a) a = new B; A *r = a->self(n); return static_cast<B *>(r)->b + r->a; }`,
    edit: ['n * 7', 'n * 8', 'n + 9'],
  },
  {
    id: 'member-pointer',
    language: 'cc',
    text: `struct A { long v = 3; long f(long n) { return n + v; } virtual long g(long n) { return n * v; } };
static A a;
static long (A::*const table[])(long) = {&A::f, &A::g};
long step(long n) { return (a.*table[n & 1])(n); }`,
    edit: ['n + v', 'n + v + 10', 'n - v'],
  },
  {
    id: 'cast-to-derived',
    language: 'cc',
    text: `#include <typeinfo>
#include <cstring>
struct A { virtual ~A() {} }; struct B : A { long b = 5; }; struct C : A { long c = 6; };
static A *objects[2];
long step(long n) { if (!objects[0]) { objects[0] = new B; objects[1] = new C; } A *a = objects[n & 1]; if (B *b = dynamic_cast<B *>(a)) return b->b * 10 + n; return dynamic_cast<C *>(a)->c * 100 + (typeid(*a) == typeid(C)); }`,
    edit: ['b->b * 10', 'b->b * 20', 'b->b * 30'],
  },
  {
    id: 'nested-class',
    language: 'cc',
    text: `class Outer { struct Inner { long v; long f(long n) { return n * v; } }; Inner i{3}; public: long f(long n) { return i.f(n) + 1; } };
static Outer o;
long step(long n) { return o.f(n); }`,
    edit: ['n * v', 'n * v + 5', 'n + v'],
  },
  {
    id: 'local-class',
    language: 'cc',
    text: 'long step(long n) { struct Local { long v; long f(long m) { return v * m + 7; } } l{n}; return l.f(n + 1); }',
    edit: ['+ 7;', '+ 8;', '* 9;'],
  },
  {
    id: 'friend-function',
    language: 'cc',
    text: `class A { long v = 4; friend long peek(const A &a, long n) { return a.v * n; } };
static A a;
long step(long n) { return peek(a, n); }`,
    edit: ['a.v * n', 'a.v * n + 1', 'a.v + n'],
  },
  {
    id: 'reference-qualifiers',
    language: 'cc',
    text: `struct A { long v = 4; long f(long n) & { return v * n; } long f(long n) && { return v + n; } };
long step(long n) { A a; return a.f(n) * 100 + A().f(n); }`,
    edit: ['v + n', 'v + n + 5', 'v - n'],
  },
  {
    id: 'member-appended',
    language: 'cc',
    text: `struct A { long v = 4; };
static A *a;
long step(long n) { if (!a) a = new A; return a->v * n; }`,
    edit: ['long v = 4;', 'long v = 4; long w = 5;', 'long v = 4; long w = 5, x = 6;'],
    refused: ['layout-changed'],
  },
];
