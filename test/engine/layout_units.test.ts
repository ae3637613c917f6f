// Compares whole units between a live module and a freshly compiled object with real compilers: variables, signatures, what
// was not edited, and what cannot be compared.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareLayouts, type LayoutComparison } from '../../extension/engine/types/layout';
import { newLayoutCache } from '../../extension/engine/types/live_program';
import { unitsOf } from '../../extension/engine/dwarf/units';
import { ElfFile } from '../../extension/engine/elf/file';
import type { Problem } from '../../extension/engine/model/result';
import { BUILDS, type Compiled, DEFAULT, layoutCases } from '../support/layout_cases';

describe('layout comparison of units', () => {
  const { directoryOf, build, compare, refuses, accepts } = layoutCases();

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
      const directory = directoryOf();
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
