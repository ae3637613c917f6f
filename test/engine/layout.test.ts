// Compares type layouts between a live module and a freshly compiled object with real compilers: each hazard is
// refused at its line, and each harmless edit passes in silence. One pair of sources is one case; every case runs
// without and with optimisation and in DWARF 5 and 4.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareLayouts, newLayoutCache, type LayoutComparison } from '../../extension/engine/types/layout';
import { unitsOf } from '../../extension/engine/dwarf/units';
import { ElfFile } from '../../extension/engine/elf/file';
import type { Problem } from '../../extension/engine/model/result';

interface Build {
  title: string;
  c: string;
  cxx: string;
  flags: string[];
}
const hasClang = spawnSync('clang++', ['--version']).status === 0;
const gcc = { c: 'gcc', cxx: 'g++' };
const clang = { c: 'clang', cxx: 'clang++' };
const BUILDS: Build[] = [
  { title: 'gcc -O0, DWARF 5', ...gcc, flags: ['-O0', '-gdwarf-5'] },
  { title: 'gcc -O2, DWARF 4', ...gcc, flags: ['-O2', '-gdwarf-4'] },
  ...(hasClang ? [{ title: 'clang -O1, DWARF 5', ...clang, flags: ['-O1', '-gdwarf-5'] }] : []),
];
const [DEFAULT] = BUILDS as [Build];

describe('layout comparison', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'hot-patch-layout-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  interface Compiled {
    live: ElfFile;
    fresh: ElfFile;
    source: string;
  }

  /** Builds `older` into a shared library and `newer` into an object, both from the same source path. */
  function build(
    older: string,
    newer: string,
    { c, cxx, flags }: Build,
    { language = 'cc', liveFlags = [] as string[], freshFlags = [] as string[] } = {},
  ): Compiled {
    const compiler = language === 'c' ? c : cxx;
    const standard = language === 'c' ? [] : ['-std=c++17'];
    const source = join(directory, `unit.${language}`);
    const run = (...args: string[]): void =>
      void execFileSync(compiler, ['-w', '-fPIC', ...standard, ...flags, ...args], {
        cwd: directory,
        stdio: 'pipe',
      });
    writeFileSync(source, older);
    run('-g', '-shared', '-o', 'live.so', source, ...liveFlags);
    writeFileSync(source, newer);
    run('-g', '-ffunction-sections', '-fdata-sections', '-c', '-o', 'fresh.o', source, ...freshFlags);
    const load = (name: string): ElfFile => {
      const file = ElfFile.open(join(directory, name));
      for (const section of file.sections) if (/debug|tab/.test(section.name)) file.data(section);
      file.close();
      return file;
    };
    return { live: load('live.so'), fresh: load('fresh.o'), source };
  }

  function compare({ live, fresh, source }: Compiled): LayoutComparison {
    const units = unitsOf(live, source).map(({ unit }) => unit);
    return compareLayouts({ elf: live, units }, { elf: fresh });
  }

  interface Case {
    language?: 'c' | 'cc';
    before: string;
    after: string;
  }
  interface Hazard extends Case {
    code?: Problem['code'];
    /** What the one message must say. */
    says: RegExp;
    /** 1-based line of the new source. */
    line: number;
  }

  function refuses(title: string, { language, before: older, after: newer, code, says, line }: Hazard): void {
    for (const options of BUILDS)
      it(`refuses: ${title} (${options.title})`, () => {
        const compiled = build(older, newer, options, { language });
        const { problems, warnings } = compare(compiled);
        assert.deepEqual(warnings, []);
        assert.equal(problems.length, 1, JSON.stringify(problems, null, 1));
        const [problem] = problems as [Problem];
        assert.equal(problem.code, code ?? 'layout-changed');
        assert.match(problem.message, says);
        assert.equal(problem.file, compiled.source);
        assert.equal(problem.line, line, problem.message);
      });
  }

  function accepts(title: string, { language, before: older, after: newer }: Case): void {
    for (const options of BUILDS)
      it(`accepts: ${title} (${options.title})`, () => {
        const { problems, warnings } = compare(build(older, newer, options, { language }));
        assert.deepEqual({ problems, warnings }, { problems: [], warnings: [] });
      });
  }

  /** A type, and code that makes every compiler describe it. */
  const struct = (body: string, name = 'S'): string =>
    `struct ${name} { ${body} };\nint use(struct ${name} *s) { return sizeof *s; }\nstruct ${name} object;\n`;

  describe('members', () => {
    refuses('a new member at the end', {
      before: struct('int a;\nint b;'),
      after: struct('int a;\nint b;\nint c;'),
      says: /`struct S` differs .*: member `c` \(int\) is new at offset 8; its size is 12 bytes, was 8/,
      line: 3,
    });
    refuses('a new member in padding', {
      before: struct('int a;\nlong b;'),
      after: struct('int a;\nint c;\nlong b;'),
      says: /member `c` \(int\) is new at offset 4\.$/,
      line: 2,
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
    refuses('the root cause alone, where the type is part of others', {
      before:
        'struct In { int a; };\nstruct Out { int x; In in; int y; };\ntemplate <class T> struct Box { alignas(T) char room[sizeof(T)]; };\nOut out; Box<In> box; int use() { return out.y + sizeof box; }\n',
      after:
        'struct In { int a; int b; };\nstruct Out { int x; In in; int y; };\ntemplate <class T> struct Box { alignas(T) char room[sizeof(T)]; };\nOut out; Box<In> box; int use() { return out.y + sizeof box; }\n',
      says: /`struct In` differs.* member `b`/,
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
      says: /`struct B` differs.*: virtual function `g` is new \(vtable slot 1\)\.$/,
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

  describe('variables', () => {
    refuses('a global variable of another type', {
      code: 'variable-changed',
      language: 'c',
      before: 'int counter;\nint next(void) { return ++counter; }',
      after: '\nlong counter;\nint next(void) { return ++counter; }',
      says: /Variable `counter` is `long( int)?` \(8 bytes\), in the running process it is `int` \(4 bytes\)/,
      line: 2,
    });
    refuses('a static variable of another length', {
      code: 'variable-changed',
      language: 'c',
      before: 'static int table[4];\nint *at(int i) { return &table[i]; }',
      after: 'static int table[8];\nint *at(int i) { return &table[i]; }',
      says: /Variable `table` is `int\[8\]` \(32 bytes\)/,
      line: 1,
    });
    refuses('a static variable of a function', {
      code: 'variable-changed',
      before: 'int next() { static int n; return ++n; }',
      after: 'int next() {\nstatic float n; return ++n; }',
      says: /`.*n` is `float` \(4 bytes\)/,
      line: 2,
    });
    refuses('a static variable of a function in C', {
      code: 'variable-changed',
      language: 'c',
      before: 'int next(void) { if (1) { static int n; return ++n; } }',
      after: 'int next(void) { if (1) { static long n; return ++n; } }',
      says: /Variable `next::n` is `long( int)?`/,
      line: 1,
    });
    refuses('a static member', {
      code: 'variable-changed',
      before:
        'struct S { static int n; int get() { return n++; } }; int S::n;\nint f(S s) { return s.get(); }',
      after:
        'struct S { static unsigned n; int get() { return n++; } }; unsigned S::n;\nint f(S s) { return s.get(); }',
      says: /Variable `S::n` is `unsigned int`/,
      line: 1,
    });
    refuses('a thread_local variable', {
      code: 'variable-changed',
      before: 'thread_local int n; int next() { return ++n; }',
      after: 'thread_local long n; int next() { return ++n; }',
      says: /Variable `n` is `long( int)?`/,
      line: 1,
    });
    refuses('a static variable of a type that is local to the function', {
      code: 'variable-changed',
      before: 'int *next() { struct L { int a; }; static L l; return &l.a; }',
      after: 'int *next() { struct L { int z, a; }; static L l; return &l.a; }',
      says: /`.*l` is .* \(8 bytes\).*\(4 bytes\)/,
      line: 1,
    });
    refuses('a variable of a namespace', {
      code: 'variable-changed',
      before: 'namespace n { extern int v; int v = 1; } int f() { return n::v++; }',
      after: 'namespace n { extern float v; float v = 1; } int f() { return n::v++; }',
      says: /Variable `n::v` is `float`/,
      line: 1,
    });
    accepts('another initialiser, and a new variable', {
      before: 'static int n = 1; int next() { return ++n; }',
      after: 'static int n = 5; static long m = 2; int next() { return ++n + ++m; }',
    });
    accepts('a type local to a function, used in its frame', {
      before:
        'int f(int i) { struct L { int a; } l{i}; auto add = [i](int k) { return i + k; }; return add(l.a); }',
      after:
        'int f(int i) { struct L { int b; long a; } l{1, i}; long j = i; auto add = [i, j](int k) { return i + k + j; }; return add(l.a); }',
    });
    accepts('the name that the compiler gives a function as a string', {
      before: 'extern "C" const char *f(int) { static int n; n++; return __PRETTY_FUNCTION__; }',
      after: 'extern "C" const char *f(unsigned long) { static int n; n++; return __PRETTY_FUNCTION__; }',
    });
    accepts('an array declared without a length', {
      language: 'c',
      before: 'extern int table[]; int at(int i) { return table[i]; } int table[3];',
      after: 'extern int table[]; int table[3]; int at(int i) { return table[i]; }',
    });
    it('accepts a static const table of another length when the patch carries its constants', () => {
      const compiled = build(
        'static const char *const names[] = {"a"}; const char *const *at(int i) { return &names[i]; }',
        'static const char *const names[] = {"a", "b"}; const char *const *at(int i) { return &names[i]; }',
        DEFAULT,
      );
      const live = {
        elf: compiled.live,
        units: unitsOf(compiled.live, compiled.source).map(({ unit }) => unit),
      };
      assert.equal(compareLayouts(live, { elf: compiled.fresh }).problems[0]?.code, 'variable-changed');
      assert.deepEqual(
        compareLayouts(live, { elf: compiled.fresh }, { constantsAreCopied: true }).problems,
        [],
      );
    });
  });

  describe('signatures', () => {
    for (const options of BUILDS) {
      it(`tells which functions have other parameter or return types, in C (${options.title})`, () => {
        const { signatures } = compare(
          build(
            'struct S { int a; }; int same(struct S *s) { return s->a; }\nint more(int a) { return a; }\n__attribute__((noinline)) static long local(int a) { return a * 3l; }\nlong use(int a) { return local(a) + local(a + 1); }\nint gone(void) { return 1; }',
            'struct S { int a; }; int same(struct S *t) { return t->a + 1; }\nint more(int a, int b) { return a; }\n__attribute__((noinline)) static double local(int a) { return a * 3.5; }\nlong use(int a) { return local(a) + local(a + 1); }\nint fresh(void) { return 1; }',
            options,
            { language: 'c' },
          ),
        );
        assert.deepEqual(Object.fromEntries([...signatures].sort()), {
          local: true,
          more: true,
          same: false,
          use: false,
        });
      });
    }
    it('knows static functions of C++ by their linkage names', () => {
      const { signatures } = compare(
        build(
          '__attribute__((noinline)) static int f(int a) { return a; }\n__attribute__((noinline)) static int f(long a) { return a; }\nint g() { return f(1) + f(2l); }',
          '__attribute__((noinline)) static long f(int a) { return a; }\n__attribute__((noinline)) static int f(long a) { return a; }\nint g() { return f(1) + f(2l); }',
          DEFAULT,
        ),
      );
      assert.deepEqual(Object.fromEntries([...signatures].sort()), {
        _Z1gv: false,
        _ZL1fi: true,
        _ZL1fl: false,
      });
    });
    it('sees that a closure has other captures', () => {
      const { signatures } = compare(
        build(
          '#include <functional>\nstd::function<int(int)> f(int i) { return [i](int k) { return i + k; }; }',
          '#include <functional>\nstd::function<int(int)> f(int i) { long j = i; return [j, i](int k) { return i + k + j; }; }',
          DEFAULT,
        ),
      );
      const closure = [...signatures].filter(([symbol]) => /^_ZZ1fiENKUliE_clEi$/.test(symbol));
      assert.deepEqual(closure, [['_ZZ1fiENKUliE_clEi', true]]);
    });
  });

  describe('an unedited source', () => {
    const IOSTREAMS = `
      #include <algorithm>
      #include <functional>
      #include <iostream>
      #include <map>
      #include <memory>
      #include <mutex>
      #include <regex>
      #include <sstream>
      #include <thread>
      #include <unordered_map>
      #include <variant>
      struct Shape { virtual ~Shape() = default; virtual double area() const = 0; std::string name; };
      struct Disc : Shape { double r; double area() const override { return 3 * r * r; } };
      std::map<std::string, std::unique_ptr<Shape>> shapes;
      std::variant<int, std::string> either;
      static std::mutex lock;
      int run(int n) {
        static std::unordered_map<int, std::function<int(int)>> table;
        std::thread worker([n] { std::lock_guard guard(lock); shapes["d"] = std::make_unique<Disc>(); });
        worker.join();
        table[n] = [n](int k) { return n * k; };
        std::ostringstream out;
        std::regex pattern("a.*b");
        for (auto &[name, shape] : shapes) out << name << shape->area();
        return table[n](3) + std::regex_match(out.str(), pattern);
      }`;
    const variants: [string, { liveFlags?: string[]; freshFlags?: string[] }][] = [
      ['compiled alike', {}],
      ['the module without a section for each function', { freshFlags: ['-fno-function-sections'] }],
      ['compressed debug information', { liveFlags: ['-gz'], freshFlags: ['-gz'] }],
      ['type units', { liveFlags: ['-fdebug-types-section'], freshFlags: ['-fdebug-types-section'] }],
      ['64-bit DWARF', { liveFlags: ['-gdwarf64'] }],
    ];
    for (const options of BUILDS)
      for (const [title, flags] of variants.slice(0, options === DEFAULT ? variants.length : 1))
        it(`has nothing to report: ${title} (${options.title})`, () => {
          const compiled = build(IOSTREAMS, IOSTREAMS, options, flags);
          const { problems, warnings, signatures } = compare(compiled);
          assert.deepEqual({ problems, warnings }, { problems: [], warnings: [] });
          assert.ok(signatures.size > 100);
          assert.ok(![...signatures.values()].includes(true));
        });

    it('has nothing to report when it was added by an earlier patch, whose object is the live module', () => {
      const { fresh, source } = build('int f() { return 1; }', IOSTREAMS, DEFAULT);
      const units = unitsOf(fresh, source).map(({ unit }) => unit);
      const { problems, signatures } = compareLayouts({ elf: fresh, units }, { elf: fresh });
      assert.deepEqual(problems, []);
      assert.ok(signatures.size > 100);
    });

    // gcc names members by relocations alone: the two objects have the same bytes in all their debug sections.
    for (const options of BUILDS)
      it(`is compared anew for each object, also when only relocations differ (${options.title})`, () => {
        const text =
          'struct S { int requests, failures; } object; int use() { return object.requests - object.failures; }';
        const swapped = text.replace('requests, failures', 'failures, requests');
        const cache = newLayoutCache();
        const problemsOf = ({ live, fresh, source }: Compiled): Problem[] => {
          const units = unitsOf(live, source).map(({ unit }) => unit);
          return compareLayouts({ elf: live, units }, { elf: fresh }, { cache }).problems;
        };
        const compiled = build(text, text, options);
        assert.deepEqual(problemsOf(compiled), []);
        const { fresh } = build(text, swapped, options);
        assert.equal(problemsOf({ ...compiled, fresh })[0]?.code, 'layout-changed');
        const { fresh: back } = build(text, text, options);
        assert.deepEqual(problemsOf({ ...compiled, fresh: back }), []);
      });
  });

  describe('without debug information to compare', () => {
    const source = 'struct S { int a; } object; int use() { return object.a; }';
    const says = (comparison: LayoutComparison, reason: RegExp): void => {
      assert.deepEqual(comparison.problems, []);
      assert.equal(comparison.warnings[0]?.code, 'layout-unchecked');
      assert.match(comparison.warnings[0]?.message ?? '', reason);
    };
    it('warns about a module built without -g', () => {
      says(
        compare(build(source, source, DEFAULT, { liveFlags: ['-g0'] })),
        /no debug information of this file/,
      );
    });
    it('warns about an object compiled without -g', () => {
      says(
        compare(build(source, source, DEFAULT, { freshFlags: ['-g0'] })),
        /fresh\.o has no debug information/,
      );
    });
    it('warns when the .dwo file is gone or was written by another build', () => {
      const flags = { liveFlags: ['-gsplit-dwarf'] };
      const compiled = build(source, source, DEFAULT, flags);
      const dwo = readdirSync(directory).filter((name) => name.endsWith('.dwo'));
      assert.equal(dwo.length, 1);
      assert.deepEqual(compare(compiled).warnings, []);
      const [name = ''] = dwo;
      writeFileSync(compiled.source, source.replace('int a', 'int z, a'));
      execFileSync('g++', ['-g', '-fPIC', '-gsplit-dwarf', '-c', '-o', 'other.o', compiled.source], {
        cwd: directory,
      });
      renameSync(join(directory, 'other.dwo'), join(directory, name));
      says(compare(compiled), /is of another build/);
      rmSync(join(directory, name));
      says(compare(compiled), /which is not there/);
    });
    it('survives debug information that is cut short or overwritten', () => {
      const { live, fresh, source: path } = build(source, source, DEFAULT);
      const units = unitsOf(live, path).map(({ unit }) => unit);
      const bytes = readFileSync(fresh.path);
      const info = fresh.section('.debug_info');
      assert.ok(info);
      for (let at = info.offset; at < info.offset + info.size; at++) {
        const damaged = Buffer.from(bytes);
        damaged.fill(0xff, at, Math.min(at + 4, info.offset + info.size));
        compareLayouts({ elf: live, units }, { elf: ElfFile.parse(fresh.path, damaged) });
      }
    });
  });
});
