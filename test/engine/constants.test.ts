// Constants of every shape that a compiler makes of strings, numbers, arrays and tables: any changed byte is seen, every
// byte that the code can reach is in the patch, and nobody is patched whose constants did not change. One program per
// build has all shapes; they are edited in it by and by, and undone.
import { strict as assert } from 'node:assert';
import { inSession, Unit, type Session } from '../support/session';

interface Shape {
  name: string;
  /** Body of `long NAME(long n)`. */
  body: string;
  /** Declarations before it. */
  before?: string;
  /** What is edited in either, and value(0) before and after. */
  from: string;
  to: string;
  values: [number, number];
}

const shapes: Shape[] = [
  {
    name: 'shorter',
    body: 'return sum("hello world") + n;',
    from: '"hello world"',
    to: '"hello"',
    values: [1116, 532],
  },
  { name: 'longer', body: 'return sum("abc") + n;', from: '"abc"', to: '"abcd"', values: [294, 394] },
  {
    name: 'of_two',
    body: 'return sum(n % 2 ? "IN" : "OUT");',
    from: '"IN" : "OUT"',
    to: '"I" : "O"',
    values: [248, 79],
  },
  { name: 'emptied', body: 'return sum("x") + n;', from: '"x"', to: '""', values: [120, 0] },
  { name: 'filled', body: 'return sum("") + n;', from: '""', to: '"x"', values: [0, 120] },
  {
    name: 'aligned',
    body: 'return sum("0000000000000000000000000000000000000001") + n;',
    from: '0001"',
    to: '00"',
    values: [1921, 1824],
  },
  {
    name: 'tail',
    body: 'return sum("abcdef" + 3) + n;',
    from: '"abcdef"',
    to: '"abcdeg"',
    values: [303, 304],
  },
  {
    name: 'of_its_own_name',
    body: 'return sum(hidden(__PRETTY_FUNCTION__)) * 0 + sum("n") + n;',
    from: '"n"',
    to: '"nn"',
    values: [110, 220],
  },
  { name: 'wide', body: 'return sum(L"ab") + n;', from: 'L"ab"', to: 'L"a"', values: [195, 97] },
  { name: 'utf16', body: 'return sum(u"ab") + n;', from: 'u"ab"', to: 'u"a"', values: [195, 97] },
  { name: 'utf32', body: 'return sum(U"ab") + n;', from: 'U"ab"', to: 'U"a"', values: [195, 97] },
  {
    name: 'with_nul',
    body: 'const char *s = hidden("a\\0b\\0c"); return s[0] + s[2] + s[4] + n;',
    from: '\\0c"',
    to: '\\0d"',
    values: [294, 295],
  },
  {
    name: 'in_map',
    body: 'std::map<int, std::string> m{{1, "x"}, {2, "yy"}}; return m[2][n] + m[2][1];',
    from: '"yy"',
    to: '"zz"',
    values: [242, 244],
  },
  {
    name: 'in_vector',
    body: 'std::vector<std::string> v{"pear", "plum"}; return v[1][n];',
    from: '"plum"',
    to: '"apple"',
    values: [112, 97],
  },
  {
    name: 'thrown',
    body: 'try { throw std::runtime_error("one"); } catch (const std::exception &e) { return sum(e.what()) + n; }',
    from: '"one"',
    to: '"on"',
    values: [322, 221],
  },
  { name: 'of_double', body: 'return (n + 2) * 2.25 * 4;', from: '2.25', to: '2.5', values: [18, 20] },
  {
    name: 'of_float',
    body: 'float x = n + 2; return x * 2.25f * 4;',
    from: '2.25f',
    to: '2.5f',
    values: [18, 20],
  },
  {
    name: 'of_long_double',
    body: 'long double x = n + 2; return x * 2.2L * 5;',
    from: '2.2L',
    to: '2.4L',
    values: [22, 24],
  },
  {
    name: 'compared',
    body: 'double x = n; return (x < 1.5 ? 2.5 : 3.5) * 2;',
    from: '1.5 ?',
    to: '-1.5 ?',
    values: [5, 7],
  },
  {
    name: 'of_vector',
    before: 'typedef int v4 __attribute__((vector_size(16)));',
    body: 'v4 v = {1, 2, 3, 4}; v *= (int)n + 2; return v[0] + v[1] + v[2] + v[3];',
    from: '3, 4}',
    to: '3, 5}',
    values: [20, 22],
  },
  {
    name: 'of_wide_vector',
    before: 'typedef int v8 __attribute__((vector_size(32)));',
    body: 'v8 v = {1, 2, 3, 4, 5, 6, 7, 0}; v *= (int)n + 2; return v[0] + v[6] + v[7];',
    from: '7, 0}',
    to: '7, 9}',
    values: [16, 34],
  },
  {
    name: 'array',
    body: 'long a[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}; return total(a, 9) + n;',
    from: '8, 9}',
    to: '8, 10}',
    values: [45, 46],
  },
  {
    name: 'zeros_filled',
    body: 'long a[9] = {1, 2, 3, 4, 5, 6, 7, 0, 0}; return total(a, 9) + n;',
    from: '0, 0}',
    to: '0, 5}',
    values: [28, 33],
  },
  {
    name: 'zeros_again',
    body: 'long a[9] = {1, 2, 3, 4, 5, 6, 7, 0, 9}; return total(a, 9) + n;',
    from: '0, 9}',
    to: '0, 0}',
    values: [37, 28],
  },
  {
    name: 'characters',
    body: 'struct { char s[20]; int v; } x = {"twelve bytes", 3}; return sum(x.s) * x.v + n;',
    from: '"twelve bytes"',
    to: '"twelve"',
    values: [3738, 1989],
  },
  {
    name: 'list',
    body: 'long t = n; for (int x : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}) t += x; return t;',
    from: '11, 12}',
    to: '11, 13}',
    values: [78, 79],
  },
  {
    name: 'bytes',
    before: 'static const unsigned char T[8] = {1, 2, 3, 4, 5, 6, 7, 8};',
    body: 'return n * 2.5 + T[n & 7] + 1.25 * 4;',
    from: '1.25 * 4',
    to: '1.5 * 4',
    values: [6, 7],
  },
  {
    name: 'bytes_changed',
    before: 'static const unsigned char U[8] = {1, 2, 3, 4, 5, 6, 7, 8};',
    body: 'return n * 2.5 + U[n & 7];',
    from: '{1, 2,',
    to: '{9, 2,',
    values: [1, 9],
  },
  {
    name: 'biased',
    before: 'static const int B[8] = {1, 2, 3, 4, 5, 6, 7, 8};',
    body: 'long t = 0; for (long i = n + 1; i <= 8; i++) t += B[i - 1] * i; return t;',
    from: '7, 8}',
    to: '7, 9}',
    values: [204, 212],
  },
  {
    name: 'of_names',
    before: 'static const char *const names[] = {"one", "two", "three"};',
    body: 'return sum(names[n % 3]);',
    from: '{"one"',
    to: '{"on"',
    values: [322, 221],
  },
  {
    name: 'of_structs',
    before:
      'static const struct { const char *name; long (*f)(long); } ops[] = {{"a", twice}, {"bb", twice}};',
    body: 'return sum(ops[n + 1].name) + ops[n].f(n + 1);',
    from: '"bb"',
    to: '"b"',
    values: [198, 100],
  },
  {
    name: 'in_circle',
    before: `struct node { const node *next; long v; };
      extern const node second;
      static const node first = {&second, 1};
      const node second = {&first, 2};`,
    body: 'return hidden(&first)->next->next->v * 10 + hidden(&second)->next->v + n;',
    from: '&second, 1}',
    to: '&second, 3}',
    values: [11, 33],
  },
  {
    name: 'labels',
    body: 'static const void *const at[] = {&&one, &&two}; goto *at[n & 1]; one: return sum("1"); two: return sum("22");',
    from: '"1"',
    to: '"11"',
    values: [49, 98],
  },
  {
    name: 'switched',
    body: `switch (n) { case 0: return sum("zero"); case 1: return sum("a") * 3; case 2: return sum("b") * 4;
      case 3: return sum("c") * 5; case 4: return sum("d") * 6; case 5: return sum("e") * 7; } return 0;`,
    from: '"zero"',
    to: '"zer"',
    values: [448, 337],
  },
  {
    name: 'like_a_jump',
    body: 'return sum(hidden("\\x41\\x0c\\x22\\x33\\x44\\x55"));',
    from: 'x41',
    // The byte that a jump begins with.
    to: 'xe9',
    values: [315, 227],
  },
  {
    name: 'looked_up',
    body: `const char *s; switch (n) { case 0: s = "x0"; break; case 1: s = "y1"; break; case 2: s = "z2"; break;
      case 3: s = "w3"; break; case 4: s = "v4"; break; default: s = "?"; } return sum(s);`,
    from: '"x0"',
    to: '"x"',
    values: [168, 120],
  },
];

const source = `#include <map>
#include <stdexcept>
#include <string>
#include <vector>
template <class T> __attribute__((noinline)) long sum(const T *s) { long t = 0; while (*s) t += *s++; return t; }
template <class T> __attribute__((noinline)) const T *hidden(const T *p) { asm volatile("" : "+r"(p)); return p; }
__attribute__((noinline)) long total(const long *a, long n) { long t = 0; while (n--) t += *a++; return t; }
__attribute__((noinline)) long twice(long n) { return 2 * n; }
${shapes.map(({ name, body, before = '' }) => `${before}\nlong ${name}(long n) { ${body} }`).join('\n')}
static long (*const all[])(long) = {${shapes.map(({ name }) => name).join(', ')}};
long value(long n) { return all[n](0); }
`;

const builds: { compiler: string; flags: string[] }[] = [
  { compiler: 'g++', flags: ['-O0'] },
  { compiler: 'g++', flags: ['-O2'] },
  { compiler: 'g++', flags: ['-O2', '-fno-pie', '-no-pie'] },
  { compiler: 'g++', flags: ['-O2', '-fmerge-all-constants'] },
  { compiler: 'g++', flags: ['-O0', '-fno-merge-constants'] },
  { compiler: 'clang++', flags: ['-O2', '-fmerge-all-constants'] },
  { compiler: 'clang++', flags: ['-O0'] },
  { compiler: 'clang++', flags: ['-O2'] },
];

/** Neighbours in the file, whose constants share sections, are not edited by one save. */
const GROUPS = 6;

/** Edits the shapes by and by, looks at all of them each time, and undoes everything. */
async function tryAll(session: Session, unit: Unit): Promise<void> {
  const now = shapes.map(({ values }) => values[0]);
  const see = async (what: string): Promise<void> => {
    for (const [i, { name }] of shapes.entries())
      assert.equal(await unit.value(i), now[i], `${name} ${what}`);
  };
  await see('at first');
  await session.patch(unit.file, 'unchanged');
  for (let group = 0; group < GROUPS; group++) {
    const edited = shapes.filter((_, i) => i % GROUPS === group);
    for (const { name, from, to, before = '', body } of edited) {
      const whole = `${before}\nlong ${name}(long n) { ${body} }`;
      session.edit(unit.file, whole, whole.replace(from, to));
    }
    const result = await session.patch(unit.file);
    const patched = result.processes[0]!.functions.map((fn) => fn.name.replace(/\(.*$/, ''));
    assert.deepEqual(patched.sort(), edited.map(({ name }) => name).sort());
    for (const shape of edited) now[shapes.indexOf(shape)] = shape.values[1];
    await see(`after group ${group}`);
  }
  session.write(unit.file, source);
  await session.patch(unit.file, 'reverted');
  now.splice(0, now.length, ...shapes.map(({ values }) => values[0]));
  await see('when all is undone');
}

describe('constants', () => {
  for (const { compiler, flags } of builds)
    it(
      `of every shape are carried and compared whole (${compiler} ${flags.join(' ')})`,
      inSession(async (session) => {
        await tryAll(session, await Unit.start(session, source, { compiler, flags: ['-g', ...flags] }));
      }),
    );
});
