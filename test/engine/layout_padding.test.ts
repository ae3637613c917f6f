// A member that is put where a type has padding leaves all others where they are. It is no change of the layout then, and
// is reported by itself; where anybody else may use these bytes, or objects would be passed otherwise, it is refused with
// the reason. With real compilers.
import assert from 'node:assert/strict';
import { compareLayouts } from '../../extension/engine/types/layout';
import { unitsOf } from '../../extension/engine/dwarf/units';
import { BUILDS, type Case, layoutCases } from '../support/layout_cases';

describe('a member where padding was', () => {
  const { build, compare, refuses, struct } = layoutCases();

  interface Allowed extends Case {
    says: string[];
    line: number;
  }
  function allows(title: string, { language, before, after, says, line }: Allowed): void {
    for (const options of BUILDS)
      it(`is allowed: ${title} (${options.title})`, () => {
        const compiled = build(before, after, options, { language });
        const { problems, warnings, inPadding } = compare(compiled);
        assert.deepEqual({ problems, warnings }, { problems: [], warnings: [] });
        assert.deepEqual(
          inPadding.map(({ type, members }) => `${type}: ${members.join(', ')}`),
          says,
        );
        assert.deepEqual(inPadding[0]!.place, { file: compiled.source, line });
        assert.equal(inPadding[0]!.file, compiled.source);
        assert.deepEqual(inPadding[0]!.knownBeside(), []);
      });
  }

  allows('between members', {
    language: 'c',
    before: struct('int a;\nlong b;'),
    after: struct('int a;\nint c;\nlong b;'),
    says: ['struct S: `c` (int, offset 4)'],
    line: 2,
  });
  allows('behind the last member', {
    language: 'c',
    before: struct('long b;\nint a;'),
    after: struct('long b;\nint a;\nchar c; char d[2];'),
    says: ['struct S: `c` (char, offset 12), `d` (char[2], offset 13)'],
    line: 3,
  });
  allows('of an object that is larger than registers', {
    language: 'c',
    before: struct('float f; double d[4];'),
    after: struct('float f; int n; double d[4];'),
    says: ['struct S: `n` (int, offset 4)'],
    line: 1,
  });
  allows('in a class with virtual functions', {
    before:
      'struct S { virtual ~S(); int a; }; S::~S() {} S object; int use(S *s) { return s->a + sizeof *s; }',
    after:
      'struct S { virtual ~S(); int a; bool ready; }; S::~S() {} S object; int use(S *s) { return s->a + sizeof *s; }',
    says: ['struct S: `ready` (bool, offset 12)'],
    line: 1,
  });
  allows('in a type that others consist of, which stay as they are', {
    language: 'c',
    before: `${struct('long b; int a;')}struct Out { int x; struct S row[3]; } out;\nint use2(void) { return sizeof out; }\n`,
    after: `${struct('long b; int a; int c;')}struct Out { int x; struct S row[3]; } out;\nint use2(void) { return sizeof out; }\n`,
    says: ['struct S: `c` (int, offset 12)'],
    line: 1,
  });
  allows('in a part without a name', {
    language: 'c',
    before: struct('struct { int a; long b; } part[1]; struct { int a; long b; } in; long more;'),
    after: struct('struct { int a; long b; } part[1]; struct { int a; int c; long b; } in; long more;'),
    says: ['struct S: `in.c` (int, offset 20)'],
    line: 1,
  });

  const reason = (text: string): RegExp => new RegExp(`What is padding there cannot be used: ${text}`);
  refuses('a pointer, of which an undetermined value is worse than a wrong number', {
    language: 'c',
    before: struct('long a; long double b; long c;'),
    after: struct('long a; char *p; long double b; long c;'),
    says: reason('`p` is not a number, an enumeration or an array of them\\.$'),
    line: 1,
  });
  refuses('a bit-field', {
    language: 'c',
    before: struct('int a; long b;'),
    after: struct('int a; unsigned c : 3; long b;'),
    says: reason('`c` is not a number'),
    line: 1,
  });
  refuses('beside bit-fields, which are written together with their padding', {
    language: 'c',
    before: struct('unsigned a : 3; long b;'),
    after: struct('unsigned a : 3; int c; long b;'),
    says: reason('it has bit-fields'),
    line: 1,
  });
  refuses('an object that goes to floating-point registers until now', {
    language: 'c',
    before: struct('float f; double d;'),
    after: struct('float f; int c; double d;'),
    says: reason('its objects would be passed in other registers'),
    line: 1,
  });
  refuses('an object of which one register was not used', {
    language: 'c',
    before:
      'struct S { _Alignas(16) long a; };\nint use(struct S *s) { return sizeof *s; }\nstruct S object;\n',
    after:
      'struct S { _Alignas(16) long a; long b; };\nint use(struct S *s) { return sizeof *s; }\nstruct S object;\n',
    says: reason('its objects would be passed in other registers'),
    line: 1,
  });
  refuses('an empty class, which is not passed at all', {
    before: struct(''),
    after: struct('char c;'),
    says: /member `c` \(char\) is new at offset 0/,
    line: 1,
  });
  refuses('a part of a union, of which another member may use it', {
    language: 'c',
    before: `${struct('long b; int a;')}union { struct S s; char raw[16]; } both;\nint use2(void) { return sizeof both; }\n`,
    after: `${struct('long b; int a; int c;')}union { struct S s; char raw[16]; } both;\nint use2(void) { return sizeof both; }\n`,
    says: reason('in `union \\(unnamed\\)` other members of a union may use its padding'),
    line: 1,
  });
  refuses('behind a flexible array, or in front of it', {
    language: 'c',
    before: struct('long n; int k; char data[];'),
    after: struct('long n; int k; char c; char data[];'),
    says: /member `c` \(char\) is new at offset 12; member `data` is at offset 13/,
    line: 1,
  });
  refuses('behind an array of no length', {
    language: 'c',
    before: struct('long n; int k; char data[0];'),
    after: struct('long n; int k; char data[0]; int c;'),
    says: /member `c` \(int\) is new at offset 12\.$/,
    line: 1,
  });
  refuses('in the padding of a base class', {
    before:
      'struct B { B(); long b; int a; }; B::B() {}\nstruct D : B { D(); }; D::D() {} D object; int use(D *d) { return d->a + sizeof *d; }',
    after:
      'struct B { B(); long b; int a; }; B::B() {}\nstruct D : B { D(); int c; }; D::D() {} D object; int use(D *d) { return d->a + sizeof *d; }',
    says: /`struct D` differs from the one in the running process: member `c` \(int\) is new at offset 12\.$/,
    line: 2,
  });
  refuses('a base class, of which a derived one uses the padding', {
    before:
      'struct B { B(); long b; int a; }; B::B() {}\nstruct D : B { D(); int y; }; D::D() : y(1) {} D object; int use(D *d) { return d->a + d->y; }',
    after:
      'struct B { B(); long b; int a; int c; }; B::B() {}\nstruct D : B { D(); int y; }; D::D() : y(1) {} D object; int use(D *d) { return d->a + d->y; }',
    says: /^`struct B` differs.*member `c` \(int\) is new at offset 12\. What is padding there cannot be used: `struct D` uses its padding, and is laid out otherwise then\. So do the types that consist of it: `struct D` \(base class\)\.$/,
    line: 1,
  });
  refuses('beside another change', {
    language: 'c',
    before: struct('long b; int a;'),
    after: struct('long b; float a; int c;'),
    says: /member `a` is `float` .*; member `c` \(int\) is new at offset 12\.$/,
    line: 1,
  });
  refuses('a member that is gone, of what was built so', {
    language: 'c',
    before: struct('int a; int c; long b;'),
    after: struct('int a; long b;'),
    says: /member `c` \(int, offset 4\) is gone\.$/,
    line: 1,
  });
  it('may be taken out of a patch that brought it', () => {
    const compiled = build(struct('int a; int c; long b;'), struct('int a; long b;'), BUILDS[0]!);
    const units = unitsOf(compiled.live, compiled.source).map(({ unit }) => unit);
    const live = { elf: compiled.live, units };
    const { problems, inPadding } = compareLayouts(live, { elf: compiled.fresh }, { membersMayGo: true });
    assert.deepEqual(problems, []);
    assert.deepEqual(
      inPadding.map(({ members, gone }) => [members, gone]),
      [[[], ['`c` (int, offset 4)']]],
    );
  });
});
