// A member that comes to a union, or goes, where the others have all of its bytes: objects that exist stay what they are. Where
// it takes more than the others have, moves anything, or changes how values are passed, it is refused. With real compilers.
import { layoutCases } from '../support/layout_cases';

describe('a member of a union', () => {
  const { refuses, accepts } = layoutCases();
  const union = (members: string, more = '') =>
    `${more}union U {\n${members}\n};\nunion U object;\nlong use(union U *u) { return sizeof *u + *(char *)u; }\n`;
  const struct = (members: string) =>
    `struct S {\n${members}\n};\nstruct S object;\nlong use(struct S *s) { return sizeof *s + *(char *)s; }\n`;

  accepts('that is as large as another one', {
    language: 'c',
    before: union('double d;'),
    after: union('double d; double e;'),
  });
  accepts('that is smaller, an array, a pointer or a structure', {
    language: 'c',
    before: union('long l;'),
    after: union('long l; char c[8]; void *p; struct { int a; short b; } s; unsigned char first;'),
  });
  accepts('that is gone', {
    language: 'c',
    before: union('long l; int i; char c[3];'),
    after: union('long l; char c[3];'),
  });
  accepts('of a union without a name in a structure', {
    language: 'c',
    before: struct('int kind; union { long l; void *p; };'),
    after: struct('int kind; union { long l; void *p; int pair[2]; };'),
  });
  accepts('of a union that is a member of a structure', {
    language: 'c',
    before: struct('int kind; union { long l; void *p; } u; int last;'),
    after: struct('int kind; union { long l; void *p; struct { char a, b; } two; } u; int last;'),
  });
  accepts('that is a class of which values are their bytes', {
    before: union('long l[3];', 'struct Point { int x, y; long size() const { return x * y; } };\n'),
    after: union('long l[3]; Point p;', 'struct Point { int x, y; long size() const { return x * y; } };\n'),
  });
  accepts('that takes the place of two', {
    language: 'c',
    before: struct('int a; int b;'),
    after: struct('union { struct { int a; int b; }; int both[2]; };'),
  });

  refuses('that is larger than all others', {
    language: 'c',
    before: union('int i;'),
    after: union('int i;\nlong l;'),
    says: /member `l` \(long int|long\) is new at offset 0; its size is 8 bytes, was 4/,
    line: 3,
  });
  refuses('that has bytes where the others have padding', {
    language: 'c',
    before: union('struct { long l; char c; } s; int i;'),
    after: union('struct { long l; char c; } s; int i;\nchar raw[16];'),
    says: /member `raw` \(char\[16\]\) is new at offset 0/,
    line: 3,
  });
  refuses('for which objects would be passed in other registers', {
    language: 'c',
    before: union('double d;'),
    after: union('double d;\nlong l;'),
    says: /member `l` .* is new at offset 0/,
    line: 3,
  });
  refuses('that needs another alignment', {
    language: 'c',
    before: union('char c[32];'),
    after: union('char c[32];\nlong l;'),
    says: /member `l` .* is new at offset 0/,
    line: 3,
  });
  refuses('that is gone and needed another alignment', {
    language: 'c',
    before: union('float f[12];\nfour v;', 'typedef float four __attribute__((vector_size(16)));\n'),
    after: union('float f[12];', 'typedef float four __attribute__((vector_size(16)));\n'),
    says: /member `v` .* is gone/,
    line: 2,
  });
  refuses('that is a vector', {
    language: 'c',
    before: union('float f[12];', 'typedef float four __attribute__((vector_size(16)));\n'),
    after: union('float f[12];\nfour v;', 'typedef float four __attribute__((vector_size(16)));\n'),
    says: /member `v` .* is new at offset 0/,
    line: 4,
  });
  refuses('that is to be aligned otherwise', {
    language: 'c',
    before: union('int i[8];'),
    after: union('int i[8];\n_Alignas(32) int j;'),
    says: /member `j` \(int\) is new at offset 0/,
    line: 3,
  });
  refuses('that must be constructed and destroyed', {
    before: union('long l[4]; U() : l() {} ~U() {}', 'struct Own { long *p; ~Own(); };\n'),
    after: union('long l[4];\nOwn own; U() : l() {} ~U() {}', 'struct Own { long *p; ~Own(); };\n'),
    says: /member `own` \(Own\) is new at offset 0/,
    line: 4,
  });
  refuses('beside one that has another type now', {
    language: 'c',
    before: union('long l; int i;'),
    after: union('long l; float i;\nint j;'),
    says: /member `i` is `float` \(4 bytes\), was `int`/,
    line: 2,
  });
  refuses('that is a bit-field', {
    language: 'c',
    before: union('int i;'),
    after: union('int i;\nint low : 3;'),
    says: /member `low` \(int\) is new at offset 0/,
    line: 3,
  });
});
