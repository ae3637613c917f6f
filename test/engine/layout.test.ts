// Compares type layouts between a live module and a freshly compiled object with real compilers: each hazard is
// refused at its line, and each harmless edit passes in silence. One pair of sources is one case; every case runs
// without and with optimisation and in DWARF 5 and 4.
import { layoutCases } from '../support/layout_cases';

describe('layout comparison', () => {
  const { refuses, accepts, struct } = layoutCases();

  describe('members', () => {
    refuses('a new member at the end', {
      before: struct('int a;\nint b;'),
      after: struct('int a;\nint b;\nint c;'),
      says: /`struct S` differs .*: member `c` \(int\) is new at offset 8; its size is 12 bytes, was 8/,
      line: 3,
    });
    refuses('a member that is gone', {
      before: struct('int a;\nint b;\nint c;'),
      after: struct('int a;\nint c;'),
      says: /member `b` \(int, offset 4\) is gone; /,
      line: 1,
    });
    refuses('two members swapped, of one type', {
      language: 'c',
      before: struct('int a;\nint b;'),
      after: struct('int b;\nint a;'),
      says: /member `b` is at offset 0, was at offset 4; member `a` is at offset 4, was at offset 0\.$/,
      line: 1,
    });
    refuses('a member moved without a change of size', {
      before: struct('char a;\nint x;\nchar b[4];'),
      after: struct('char a;\nchar b[4];\nint x;'),
      says: /member `b` is at offset 1, was at offset 8/,
      line: 2,
    });
    refuses('another type of the same size', {
      before: struct('int a;\nint b;'),
      after: struct('int a;\nfloat b;'),
      says: /member `b` is `float` \(4 bytes\), was `int` \(4 bytes\)\.$/,
      line: 2,
    });
    refuses('another pointed-to type', {
      before: struct('int *p;'),
      after: struct('\nfloat *p;'),
      says: /member `p` is `float \*` \(8 bytes\), was `int \*`/,
      line: 2,
    });
    refuses('another array length', {
      before: struct('char name[16];'),
      after: struct('char name[32];'),
      says: /member `name` is `char\[32\]` \(32 bytes\), was `char\[16\]` \(16 bytes\); its size is 32 bytes, was 16/,
      line: 1,
    });
    refuses('another signature of a stored function pointer', {
      language: 'c',
      before: struct('void (*call)(int);'),
      after: struct('void (*call)(double);'),
      says: /member `call`/,
      line: 1,
    });
    refuses('another width of a bit-field', {
      before: struct('unsigned a : 3;\nunsigned b : 5;'),
      after: struct('unsigned a : 4;\nunsigned b : 5;'),
      says: /bit-field `a` is 4 bits wide, was 3 bits wide; member `b` is at offset 0, bit 4, was at offset 0, bit 3/,
      line: 1,
    });
    refuses('a wider alignment', {
      before: struct('long a, b;'),
      after: 'struct alignas(16) S { long a, b; };\nint use(S *s) { return sizeof *s; }\nS object;\n',
      says: /its alignment is 16/,
      line: 1,
    });
    refuses('a member of an unnamed union', {
      language: 'c',
      before: struct('int kind; union { int i; float f; };'),
      after: struct('int kind; union { int i;\ndouble f; };'),
      says: /member `f` is `double` \(8 bytes\), was `float` \(4 bytes\)/,
      line: 2,
    });
    refuses('a member of a member of an unnamed type', {
      language: 'c',
      before: struct('struct { int x, y; } at;'),
      after: struct('struct { int y, x; } at;'),
      says: /member `at\.y` is at offset 0, was at offset 4/,
      line: 1,
    });
    refuses('the root cause once, where the type is part of others', {
      before:
        'struct In { int a; };\nstruct Out { int x; In in; int y; };\ntemplate <class T> struct Box { alignas(T) char room[sizeof(T)]; };\nOut out; Box<In> box; int use() { return out.y + sizeof box; }\n',
      after:
        'struct In { int a; int b; };\nstruct Out { int x; In in; int y; };\ntemplate <class T> struct Box { alignas(T) char room[sizeof(T)]; };\nOut out; Box<In> box; int use() { return out.y + sizeof box; }\n',
      says: /^`struct In` differs.* member `b`[^.]*\. So do the types that consist of it: `struct Out` \(member `in`\), `struct Box<In>` \(instance of a template\)\.$/,
      line: 1,
    });
    refuses('a type that C names by a typedef only', {
      language: 'c',
      before: 'typedef struct { int a; } T;\nT object; int use(T *t) { return t->a; }\n',
      after: '\ntypedef struct { int b, a; } T;\nT object; int use(T *t) { return t->a; }\n',
      says: /`struct T` differs.*member `b` \(int\) is new at offset 0/,
      line: 2,
    });
    accepts('a member renamed', { before: struct('int a; int b;'), after: struct('int a; int c;') });
    accepts('a spelling of the same type', {
      language: 'c',
      before: struct('unsigned long a; const char *b;'),
      after: `typedef unsigned long word;\n${struct('word a; char *b;')}`,
    });
    accepts('a member function, a static member and a nested type added', {
      before: struct('int a;'),
      after: struct(
        'int a; int get() const { return a; } static int count; struct Inner { int x; }; enum { A };',
      ),
    });
    accepts('comments and moved lines', {
      before: struct('int a; int b;'),
      after: `// What S is for.\n\n${struct('int a;\n /* the other */ int b;')}`,
    });
    accepts('a new type', {
      before: struct('int a;'),
      after: struct('int a;') + struct('int b;', 'N').replaceAll('use', 'use2').replace('object', 'other'),
    });
    accepts('a new unused forward declaration', {
      before: struct('int a;'),
      after: `struct F;\n${struct('int a;')}F *f;`,
    });
    accepts('struct becomes class', {
      before: 'struct S { int a; }; S object; int use(S *s) { return s->a; }',
      after: 'class S { public: int a; }; S object; int use(S *s) { return s->a; }',
    });
  });

  describe('classes', () => {
    const classes = (base: string, derived = 'struct D : B { int y; D(); int more(); };'): string =>
      `${base}\n${derived}\nD::D() : y(1) {}\nint D::more() { return y; }\nD *make() { return new D; }\n`;
    const base = (functions: string): string => `struct B {\n${functions}\nint x; };`;

    refuses('a virtual function added', {
      before: classes(base('virtual int f() { return 1; }')),
      after: classes(base('virtual int f() { return 1; }\nvirtual int g() { return 2; }')),
      says: /`struct B` differs.*: virtual function `g` is new \(vtable slot 1\)\. So do the types that consist of it: `struct D` \(base class\)\.$/,
      line: 3,
    });
    refuses('a virtual function that is gone', {
      before: classes(base('virtual int f() { return 1; } virtual int g() { return 2; }')),
      after: classes(base('virtual int f() { return 1; }')),
      says: /virtual function `g` \(vtable slot 1\) is gone/,
      line: 1,
    });
    refuses('virtual functions in another order', {
      before: classes(base('virtual int f() { return 1; } virtual int g() { return 2; }')),
      after: classes(base('virtual int g() { return 2; } virtual int f() { return 1; }')),
      says: /virtual function `g` is in vtable slot 0, was in 1/,
      line: 2,
    });
    refuses('the first virtual function', {
      before: classes(base('int f() { return 1; }')),
      after: classes(base('virtual int f() { return 1; }')),
      says: /`struct B` differs/,
      line: 1,
    });
    refuses('a base class added', {
      before: classes('struct A { int a; };\nstruct B { int x; };'),
      after: classes(
        'struct A { int a; };\nstruct B { int x; };',
        'struct D : B, A { int y; D(); int more(); };',
      ),
      says: /`struct D` differs.*base class `A` is new/,
      line: 3,
    });
    refuses('base classes in another order', {
      before: classes(
        'struct A { int a; };\nstruct B { int x; };',
        'struct D : B, A { int y; D(); int more(); };',
      ),
      after: classes(
        'struct A { int a; };\nstruct B { int x; };',
        'struct D : A, B { int y; D(); int more(); };',
      ),
      says: /base class `A` is at offset 0, was at 4/,
      line: 3,
    });
    refuses('a base class becoming virtual', {
      before: classes('struct B { int x; };'),
      after: classes('struct B { int x; };', 'struct D : virtual B { int y; D(); int more(); };'),
      says: /base class `B` is found in another way/,
      line: 2,
    });
    accepts('a non-virtual function among virtual ones', {
      before: classes(base('virtual int f() { return 1; }')),
      after: classes(base('int h() { return 3; }\nvirtual int f() { return 2; }')),
    });
    accepts('a first use of the implicit destructor and copy', {
      before: classes(base('virtual ~B() {} virtual int f() { return 1; }')),
      after:
        classes(base('virtual ~B() {} virtual int f() { return 1; }')) +
        'void drop(D *d) { D copy = *d; delete d; }\n',
    });
    accepts('a type of one name in two namespaces', {
      before:
        'namespace a { struct S { int x; } s; } namespace b { struct S { char y; } s; } int f() { return a::s.x + b::s.y; }',
      after:
        'namespace b { struct S { char y; } s; } namespace a { struct S { int x; } s; } int f() { return a::s.x - b::s.y; }',
    });
    refuses('a type in an unnamed namespace', {
      before: 'namespace { struct S { int x; } s; } int f() { return s.x++; }',
      after: 'namespace { struct S { int w; int x; } s; } int f() { return s.x++; }',
      says: /`struct \(anonymous namespace\)::S`/,
      line: 1,
    });
    accepts('a template instance that exists only once', {
      before:
        'template <class T> struct V { T t; T get() { return t; } }; V<int> v; int f() { return v.get(); }',
      after:
        'template <class T> struct V { T t; T get() { return t; } }; V<int> v; int f() { V<double> d{2}; return v.get() + d.get(); }',
    });
    refuses('a template', {
      before:
        'template <class T> struct V { T t; T get() { return t; } }; V<int> v; int f() { return v.get(); }',
      after:
        'template <class T> struct V { long n; T t; T get() { return t; } }; V<int> v; int f() { return v.get(); }',
      says: /`struct V<int>` differs/,
      line: 1,
    });
  });

  describe('enumerations and typedefs', () => {
    const enumeration = (body: string): string =>
      `${body}\nenum E object;\nint use(enum E e) { return e == 1; }\n`;
    refuses('an enumerator with another value', {
      language: 'c',
      before: enumeration('enum E { A, B };'),
      after: enumeration('enum E { A,\nC, B };'),
      says: /`enum E` differs.*: enumerator `B` is 2, was 1/,
      line: 1,
    });
    refuses('an enumerator of an unnamed enumeration', {
      language: 'c',
      before:
        'enum { FIRST = 1, LAST = 7 };\nint count = LAST;\nint f(int i) { return i == FIRST; }\nint g(int i) { enum { X } x = i; return x; }',
      after:
        'enum { FIRST = 1, LAST = 8 };\nint count = LAST;\nint f(int i) { return i == FIRST; }\nint g(int i) { enum { X } x = i; return x; }',
      says: /Enumerator `LAST` is 8, in the running process it is 7/,
      line: 1,
    });
    refuses('another underlying type', {
      before: 'enum class E : int { A };\nE object; int use(E e) { return e == E::A; }',
      after: 'enum class E : unsigned { A };\nE object; int use(E e) { return e == E::A; }',
      says: /`enum E` differs.*: its underlying type is another/,
      line: 1,
    });
    refuses('an enumeration of another size', {
      before: 'enum class E : int { A };\nE object; int use(E e) { return e == E::A; }',
      after: 'enum class E : char { A };\nE object; int use(E e) { return e == E::A; }',
      says: /`enum E` differs.*: its size is 1 byte, was 4/,
      line: 1,
    });
    accepts('an enumerator added at the end', {
      language: 'c',
      before: enumeration('enum E { A, B };'),
      after: enumeration('enum E { A, B, C };'),
    });
    refuses('a typedef to another layout', {
      language: 'c',
      before:
        'struct A { int x; }; struct B { long y; };\ntypedef struct A T;\nvoid *make(T *t, struct B *b) { return t + b->y; }',
      after:
        'struct A { int x; }; struct B { long y; };\ntypedef struct B T;\nvoid *make(T *t, struct A *b) { return t + b->x; }',
      says: /`typedef T` is `B` \(8 bytes\), in the running process it is `A` \(4 bytes\)/,
      line: 2,
    });
    accepts('a typedef to the same type under another name', {
      language: 'c',
      before: 'typedef int number; typedef number T; T value; T get(void) { return value; }',
      after: 'typedef int integer; typedef integer T; T value; T get(void) { return value; }',
    });
  });
});
