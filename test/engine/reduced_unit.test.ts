// Which functions of a text are certain, what of it was edited, and what is left of it when bodies are left out. Pure,
// but for the compilers that say whether a reduced text still compiles to the code of the whole one.
import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { ElfFile } from '../../extension/engine/elf/file';
import { ObjectFile } from '../../extension/engine/elf/object';
import type { Baseline } from '../../extension/engine/fast/baselines';
import { editedFunctions, scan } from '../../extension/engine/fast/edit';
import { plainFunctions } from '../../extension/engine/fast/functions';
import { onlyDeclared, reduce } from '../../extension/engine/fast/reduce';
import { haveSameTokens } from '../../extension/engine/fast/tokens';
import { referredTo } from '../../extension/engine/save/referred';
import { inSession } from '../support/session';

const names = (text: string, language: 'c' | 'c++' = 'c++'): string[] | undefined =>
  plainFunctions(text, language)?.map(({ name, mayBeLeftOut }) => (mayBeLeftOut ? name : `${name}!`));

describe('plain functions', () => {
  const cases: { what: string; text: string; found: string[] | undefined }[] = [
    { what: 'of a file', text: 'int f(int a) { return a; }\nstatic void g(void)\n{\n}\n', found: ['f', 'g'] },
    { what: 'that return pointers to structs', text: 'struct a *f(struct b *c) { }', found: ['f'] },
    {
      what: 'in namespaces',
      text: 'namespace a::b { int f() {} namespace { int g() {} } }',
      found: ['f', 'g'],
    },
    {
      what: 'with C linkage, also where only C++ says so',
      text: '#ifdef __cplusplus\nextern "C" {\n#endif\nint f(void) {}\n#ifdef __cplusplus\n}\n#endif\nextern "C" int g() {}',
      found: ['f', 'g'],
    },
    {
      what: 'of classes, defined outside',
      text: 'A::A() {} A::~A() {} int A::f() const noexcept {}',
      found: ['A', 'A', 'f'],
    },
    { what: 'behind macros', text: 'API(int) f(int a) { }\nDECLARE(x)\nint g() { }', found: ['f', 'g'] },
    {
      what: 'with braces in comments and literals',
      text: 'int f() { char c = \'{\'; /* } */ puts("}"); } // {\nint g() {}',
      found: ['f', 'g'],
    },
    { what: 'with a raw string', text: 'int f() { puts(R"x(}")x"); }\nint g() {}', found: ['f', 'g'] },
    {
      what: 'with branches of the preprocessor',
      text: 'int f() {\n#if A\n if (a) {\n#else\n if (b) {\n#endif\n }\n}\nint g() {}',
      found: ['f', 'g'],
    },
    { what: 'but not with lists of initialisers', text: 'A::A() : a(1), b{2} { }\nint g() {}', found: [] },
    { what: 'but not in classes', text: 'struct A { int f() { return 1; } };\nint g() {}', found: ['g'] },
    {
      what: 'but not types with attributes',
      text: 'struct __attribute__((packed)) A { int a; };\nint g() {}',
      found: ['g'],
    },
    { what: 'but not tables', text: 'int a[] = { 1, 2 };\nstruct b c = { f(1) };\nint g() {}', found: ['g'] },
    {
      what: 'but not templates and what callers need the body of',
      text: 'template <class T> T f(T a) { }\ninline int g() {}\nconstexpr int h() {}\nauto i() {}\nint j() {}',
      found: ['j'],
    },
    {
      what: 'but not what begins in one branch only',
      text: '#if A\nint f() {\n#else\nint f(int a) {\n#endif\n}\nint g() {}',
      found: ['g'],
    },
    {
      what: 'but not with other directives in them',
      text: 'int f() {\n#define A 1\n}\nint g() {}',
      found: ['g'],
    },
    {
      what: 'not left out with assembly, counters or suspension',
      text: 'int f() { asm(""); }\nint g() { return __COUNTER__; }\nint h() { co_return; }',
      found: ['f!', 'g!', 'h!'],
    },
    {
      what: 'but not with a block in two branches, and those around it',
      text: 'int f() {\n#if A\n if (a) {\n#endif\n b();\n#if A\n }\n#endif\n}\nint g() {}',
      found: ['g'],
    },
    {
      what: 'and none where the end of one depends on a branch',
      text: '#if B\n#endif\nint f() {\n#if A\n if (a) {\n#endif\n}\nint g() { }\n#if A\n}\n#endif\nint h() {}',
      found: undefined,
    },
    { what: 'and none of a text that is not whole', text: 'int f() { }\nint g() {', found: undefined },
    {
      what: 'and none where a branch opens more than another',
      text: '#if A\nint f() {\n#endif\n}\n',
      found: undefined,
    },
    { what: 'and none of an open literal', text: 'int f() { puts("a); }\n', found: undefined },
  ];
  for (const { what, text, found } of cases)
    it(`are found ${what}`, () => assert.deepEqual(names(text), found));

  it('are declared without their body but for members', () => {
    const text =
      'int f(int a, int (*b)(int)) {}\nA::A() {}\nA::~A() {}\nint A :: g() {}\nint A::h() const {}\nint *i() {}\n' +
      'extern "C" int j() {}\nnamespace { int k(A::B c = 0) {} }';
    const declared = plainFunctions(text, 'c++')?.filter(({ mayBeDeclared }) => mayBeDeclared);
    assert.deepEqual(
      declared?.map(({ name }) => name),
      ['f', 'i', 'j', 'k'],
    );
  });

  it('keep their numbered variables in C', () =>
    assert.deepEqual(names('int f(void) { static int a; return a++; }\nint g(int a[static 3]) { }', 'c'), [
      'f!',
      'g',
    ]));
});

describe('an edit', () => {
  const edit = (before: string, after: string): number[] | undefined => {
    const edited = editedFunctions(scan(before, 'c++')!, scan(after, 'c++')!);
    return edited && [...edited];
  };
  const text = 'int a;\nint f(int n) { return n; }\n// f\nint g() { return 2; }\n';

  it('of bodies is told by function', () => {
    assert.deepEqual(edit(text, text.replace('return n', 'return n + 1')), [0]);
    assert.deepEqual(edit(text, text.replace('2', '3').replace('return n', 'n++; return n')), [0, 1]);
  });
  it('of comments and white space is none', () => {
    assert.deepEqual(edit(text, text.replace('// f', '/* g\n*/').replace('return n', 'return  n')), []);
  });
  it('of anything else is more than bodies', () => {
    for (const [from, to] of [
      ['int a', 'long a'],
      ['int n', 'long n'],
      ['int g() { return 2; }', 'int g() { return 2; } int h() { return 3; }'],
      ['int g() { return 2; }', ''],
      ['int a;', '#define n 3\nint a;'],
    ] as const)
      assert.equal(edit(text, text.replace(from, to)), undefined, to);
  });
  it('leaves the tokens as they are when it is of comments, and nothing else moves', () => {
    assert.ok(haveSameTokens('int a; // b\n#define c  d\n', 'int a; /* e */ \n#define c d\n'));
    assert.ok(haveSameTokens('a /* 1 */ b', 'a /* 2 */ b'));
    assert.ok(!haveSameTokens('int a;\nint b;', 'int a;\n\nint b;'));
    assert.ok(!haveSameTokens('#define f(x) x', '#define f (x) x'));
    assert.ok(!haveSameTokens('a + +b', 'a ++b'));
    assert.ok(!haveSameTokens('"a"_s', '"a" _s'));
    // A macro may make text of them, or say in which column they stand.
    assert.ok(!haveSameTokens('assert(a+b)', 'assert(a + b)'));
    assert.ok(!haveSameTokens('log(a); f();', 'log(a);  f();'));
  });

  it('are the same or not wherever in a text they differ', () => {
    const lines = Array.from({ length: 300 }, (_, i) => `static int f${i}(void) { return ${i}; } // ${i}\n`);
    for (const at of [0, 1, 150, 298, 299]) {
      const changed = (from: RegExp | string, to: string) =>
        lines.map((line, i) => (i === at ? line.replace(from, to) : line)).join('');
      assert.ok(haveSameTokens(lines.join(''), changed(/\/\/.*/, '/* another */')), `line ${at}`);
      for (const other of [
        changed('return', 'break'),
        changed('{', ' {'),
        changed('}', '\n}'),
        changed(/.*\n/, ''),
      ])
        assert.ok(!haveSameTokens(lines.join(''), other), other);
    }
    const text = lines.join('');
    assert.ok(haveSameTokens(text, `${text}// more\n`));
    assert.ok(!haveSameTokens(text, `${text}int more;\n`));
    assert.ok(!haveSameTokens(`${text}int more;`, text));
    assert.ok(!haveSameTokens(`${text}/* open`, text));
    assert.ok(!haveSameTokens('a R"(\n1\n)" b', 'a R"(\n1\n )" b'));
    assert.ok(haveSameTokens('/*\n1\n*/ b', '/*\n2\n*/ b'));
  });
});

const unit = {
  c: `#include <stdio.h>
#include <string.h>
#include "table.h"
static int count = 3;
static int helper(int n) { static int calls; return n + ++calls; }
int (*table[])(int) = { helper, unit_value };
int leaf(int a) { return a * 2; }
static const char *text(int n) { printf("%s:%d", __FILE__, __LINE__); return n ? "yes" : "no"; }
double mixed(double a, long long b, struct pair p) { return a + b + p.a + count; }
int unit_value(int n) { return table[n & 1](n) + leaf(n) + (int)strlen(text(n)) + (int)mixed(1, 2, (struct pair){1}); }
`,
  cc: `#include <map>
#include <string>
#include <vector>
#include "table.h"
namespace { int count = 3; int helper(int n) { static int calls; return n + ++calls; } }
int (*table[])(int) = { helper, unit_value };
struct Shape { virtual ~Shape(); virtual int area(const std::string &name) const; int side = 2; };
Shape::~Shape() { count++; }
int Shape::area(const std::string &name) const { return name.size() * side; }
static std::map<int, std::string> names() { return {{1, "one"}, {2, "two"}}; }
static int thrower(int n) { if (n > 3) throw std::string("three"); return n; }
int catcher(int n) { try { return thrower(n); } catch (const std::string &what) { return what.size(); } }
int unit_value(int n) {
  std::vector<int> all; for (const auto &[key, value] : names()) all.push_back(key + value.size());
  Shape shape; auto square = [&](int m) { return m * m + shape.area(__FILE__); };
  return square(n) + helper(n) + catcher(n) + table[0](n) + all.size();
}
`,
};
const header = `#ifndef TABLE_H
#define TABLE_H
struct pair { int a; };
#ifdef __cplusplus
extern "C"
#endif
int unit_value(int n);
static inline const char *where(void) { return __FILE__; }
#endif
`;

describe('a reduced unit', () => {
  for (const compiler of ['gcc', 'g++', 'clang', 'clang++'])
    it(
      `has the code that the whole unit has for each of its functions (${compiler})`,
      inSession((session) => {
        const extension = compiler.endsWith('++') ? 'cc' : 'c';
        const text = unit[extension];
        session.write('source/table.h', header);
        const spelled = session.write(`source/unit.${extension}`, text);
        const flags = ['-O0', '-g', '-ffunction-sections', '-fdata-sections', '-c', '-o'];
        const compile = (input: string, more: string[] = []): ObjectFile => {
          execFileSync(compiler, ['-w', ...flags, `${input}.o`, ...more, input]);
          return new ObjectFile(ElfFile.open(`${input}.o`), spelled);
        };
        const whole = compile(spelled);
        const scanned = scan(text, extension === 'c' ? 'c' : 'c++')!;
        assert.ok(scanned.functions.length >= 5);
        const language = extension === 'c' ? 'c' : 'c++';
        const baseline = { object: whole, scanned, language } as unknown as Baseline;
        const parts = scanned.functions.flatMap(({ name }, index) => {
          const kept = new Set([index]);
          return [
            { name, kept },
            { name, kept, referred: referredTo(baseline, scanned, kept) },
          ];
        });
        assert.ok(parts.some((part) => onlyDeclared(scanned, part).size > 1));
        for (const { name, ...part } of parts) {
          const reduced = reduce(scanned, part, {
            ...{ language, spelled, directory: session.directory },
            isThere: (path) => path === session.path('source/table.h'),
          });
          assert.ok('text' in reduced, 'reason' in reduced ? reduced.reason : '');
          const { preamble, rest } = reduced.text;
          assert.equal(`${preamble}${rest}`.split('\n').length >= text.split('\n').length, true);
          session.write(`other/unit.${extension}`, '');
          const input = session.path('other', `unit.${extension}`);
          writeFileSync(input, preamble + rest);
          const object = compile(input, [
            ...reduced.flags,
            `-ffile-prefix-map=${session.path('other')}/=${session.path('source')}/`,
          ]);
          const own = object.functions.filter((fn) => !object.isLeftOut(fn));
          assert.ok(object.isReduced);
          assert.ok(
            own.some(({ symbol }) => symbol.name.includes(name)),
            `${name} is not in it`,
          );
          for (const fn of own) {
            // clang numbers lambdas within the unit: first light is not taken where there is one.
            if (fn.symbol.name.includes('$_')) continue;
            const twin = whole.functions.find(({ aliases }) =>
              aliases.some(({ name: one }) => one === fn.symbol.name),
            );
            assert.ok(twin, `${fn.symbol.name} is not in the whole unit`);
            const same = Buffer.compare(withoutFields(object, fn), withoutFields(whole, twin)) === 0;
            // What is left out may throw for all the compiler knows: then its callers have landing pads.
            const mayDiffer = compiler === 'g++' || (compiler === 'clang++' && whole.inGroup(twin.section));
            if (!mayDiffer) assert.ok(same, `${fn.symbol.name} with ${name} differs`);
          }
          assert.equal(object.fileName, whole.fileName);
        }
        return Promise.resolve();
      }),
    );

  it('is not made of a text that means something else elsewhere', () => {
    const source = { language: 'c++', spelled: '/a/b.cc', directory: '/a', isThere: () => true } as const;
    for (const text of [
      '#include_next <a>\n',
      '#line 7\n',
      '#if __has_include("a")\n#endif\n',
      '#pragma GCC optimize 2\n',
    ])
      assert.ok('reason' in reduce(scan(text, 'c++')!, { kept: new Set() }, source), text);
  });
});

describe('a reduced unit of a text that includes what a macro names', () => {
  const reduced = reduce(
    scan('#ifdef NAME\n#include NAME\n#endif\nint f(void) { return 1; }\n', 'c')!,
    { kept: new Set() },
    {
      ...{ language: 'c', spelled: '/a/b.c', directory: '/a', isThere: () => true },
    },
  );
  const compile = (...more: string[]): number | null => {
    assert.ok('text' in reduced);
    const { preamble, rest } = reduced.text;
    const args = [...more, ...reduced.flags, '-x', 'c', '-fsyntax-only', '-'];
    return spawnSync('gcc', args, { input: preamble + rest, stdio: ['pipe', 'ignore', 'ignore'] }).status;
  };

  it('compiles where it is not included', () => assert.equal(compile(), 0));
  it('does not where it is', () => assert.notEqual(compile('-DNAME=<stdio.h>'), 0));
});

/** Code with its relocated fields zeroed: where they lead is what the comparison looks at. */
function withoutFields(object: ObjectFile, fn: ObjectFile['functions'][number]): Buffer {
  const code = Buffer.from(object.code(fn));
  for (const { offset } of object.relocationsIn(fn.section, fn.offset, fn.offset + fn.size))
    code.fill(0, offset - fn.offset, offset - fn.offset + 4);
  return code;
}
