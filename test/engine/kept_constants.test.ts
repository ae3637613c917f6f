// Constants whose address the process may have kept: an edit gives the code a new object, and the kept pointers lead to
// the old one. That is said, and only where an address is given away.
import { strict as assert } from 'node:assert';
import { hostArchitecture } from '../../extension/engine/arch/choose';
import { inSession, Unit } from '../support/session';

const ops = `struct ops { const char *name; long (*f)(long); };
static long f(long n) { return n + 1; }
static const struct ops file_ops = {"files", f};
`;

/** Each gives the address of file_ops away in another way. */
const givenAway: [how: string, source: string][] = [
  [
    'stored by code',
    `static const struct ops *kept;
long value(long n) { if (!kept) kept = &file_ops; return kept->name[0] * 100 + kept->f(n); }`,
  ],
  [
    'passed to a function',
    `static const struct ops *kept;
__attribute__((noinline, noclone)) static void enter(const struct ops *o) { __asm__ volatile("" ::: "memory"); kept = o; }
long value(long n) { if (!kept) enter(&file_ops); return kept->name[0] * 100 + kept->f(n); }`,
  ],
  [
    'passed in tail position',
    `static const struct ops *kept;
__attribute__((noinline, noclone)) static long enter(const struct ops *o) { kept = o; __asm__ volatile("" ::: "memory"); return 7; }
long value(long n) { return kept ? kept->name[0] * 100 + kept->f(n) : enter(&file_ops); }`,
  ],
  [
    'chosen and stored',
    `static const struct ops others = {"others", f};
static const struct ops *volatile kept;
long value(long n) { if (!kept) kept = n > 1 ? &file_ops : &others; return kept->name[0] * 100 + kept->f(n); }`,
  ],
  [
    'returned',
    `__attribute__((noinline, noclone)) static const struct ops *current(void) { __asm__ volatile("" ::: "memory"); return &file_ops; }
static const struct ops *volatile kept;
long value(long n) { if (!kept) kept = current(); return kept->name[0] * 100 + kept->f(n); }`,
  ],
];

/** None of these keeps an address. */
const used: [how: string, source: string, from: string, to: string][] = [
  [
    'a member that is read',
    `${ops}long value(long n) { return file_ops.name[0] * 100 + file_ops.f(n); }`,
    '"files"',
    '"pipes"',
  ],
  [
    'a table that is indexed',
    `static const int table[] = {1, 2, 3, 4};
long value(long n) { return table[n & 3] + n * 10; }`,
    '{1, 2',
    '{1, 7',
  ],
  [
    'a table that is walked',
    `static const struct { const char *name; int v; } table[] = {{"a", 1}, {"b", 2}, {0, 0}};
long value(long n) { long s = n; for (int i = 0; table[i].name; i++) s += table[i].v * table[i].name[0]; return s; }`,
    '"b", 2',
    '"b", 5',
  ],
  [
    'text that is passed on',
    `static const char text[] = "hello";
__attribute__((noinline)) static long first(const char *s) { __asm__ volatile("" ::: "memory"); return s[0]; }
long value(long n) { return first(text) + n; }`,
    '"hello"',
    '"world"',
  ],
];

for (const [compiler, optimise] of [
  ['gcc', '-O0'],
  ['gcc', '-O2'],
  ['clang', '-O0'],
  ['clang', '-O2'],
] as const)
  describe(`a changed constant (${compiler} ${optimise})`, () => {
    const options = { language: 'c', compiler, flags: [optimise, '-g'] as string[] } as const;
    for (const [how, source] of givenAway)
      it(
        `whose address was ${how} is said to be kept`,
        inSession(async (session) => {
          const unit = await Unit.start(session, ops + source, options);
          await unit.value(2);
          const { warnings } = await unit.editAndPatch('"files"', '"pipes"');
          assert.deepEqual(
            warnings.map(({ code, symbol }) => [code, symbol]),
            [['constant-kept', 'file_ops']],
          );
        }),
      );

    it(
      'is said to be kept as often as the code takes another, and not when other code is edited',
      inSession(async (session) => {
        const { 1: source } = givenAway[0]!;
        const unit = await Unit.start(session, `${ops}${source}`, options);
        const kept = async (from: string, to: string): Promise<string[]> =>
          (await unit.editAndPatch(from, to)).warnings.map(({ code }) => code);
        assert.deepEqual(await kept('"files"', '"pipes"'), ['constant-kept']);
        assert.deepEqual(await kept('* 100', '* 200'), []);
        session.edit(unit.file, '"pipes"', '"files"');
        session.edit(unit.file, '* 200', '* 100');
        const undone = await session.patch(unit.file, 'reverted');
        assert.deepEqual(
          undone.warnings.map(({ code }) => code),
          ['constant-kept'],
        );
        // The object is in the process already, from the first edit.
        assert.deepEqual(await kept('"files"', '"pipes"'), ['constant-kept']);
      }),
    );

    for (const [how, source, from, to] of used)
      it(
        `is new without a word where it is ${how}`,
        inSession(async (session) => {
          const unit = await Unit.start(session, source, options);
          await unit.value(1);
          assert.deepEqual((await unit.editAndPatch(from, to)).warnings, []);
        }),
      );
  });

describe('an entry of an array that the linker puts together', () => {
  for (const compiler of ['gcc', 'clang'] as const)
    it(
      `is said to be missing when it is new (${compiler} -O2)`,
      inSession(async (session) => {
        const entry = (name: string): string =>
          `static const struct command ${name} __attribute__((section("commands"), used)) = {"${name}", 1};`;
        const unit = await Unit.start(
          session,
          `struct command { const char *name; long weight; };
${entry('first')}
extern const struct command __start_commands[], __stop_commands[];
long value(long n) {
  long sum = n;
  for (const struct command *c = __start_commands; c < __stop_commands; c++) sum += c->weight * 100 + c->name[0];
  return sum;
}
`,
          { language: 'c', compiler, flags: ['-O2', '-g'] },
        );
        const missing = ({ warnings }: { warnings: { code: string; symbol?: string }[] }) =>
          warnings.flatMap(({ code, symbol }) => (code === 'entry-missing' ? [symbol] : []));
        assert.equal(await unit.value(1), 101 + 'f'.charCodeAt(0));
        assert.deepEqual(missing(await unit.editAndPatch('sum = n', 'sum = n + 1')), []);
        session.edit(unit.file, entry('first'), `${entry('first')} ${entry('second')}`);
        assert.deepEqual(missing(await session.patch(unit.file, 'unchanged')), ['second']);
      }),
    );
});

describe('An address that code gives away', () => {
  it('is seen behind data at the entry that looks like code', () => {
    // The distance reads as the begin of a test of four bytes, which would reach into the instruction behind it.
    const entry = [0xeb, 0x06, 0x76, 0x32, 0x00, 0x00, 0x48, 0xa9];
    const lea = [0x48, 0x8d, 0x05, 0, 0, 0, 0];
    const store = [0x48, 0x89, 0x05, 0, 0, 0, 0];
    const code = Uint8Array.from([...entry, ...lea, ...store, 0xc3]);
    assert.equal(hostArchitecture().escapeOf(code, entry.length + 3), 'stored');
  });

  it('is seen on either way of a conditional jump', () => {
    const lea = [0x48, 0x8d, 0x05, 0, 0, 0, 0];
    const skip = [0x74, 0x01];
    const back = [0xc3];
    const store = [0x48, 0x89, 0x05, 0, 0, 0, 0];
    const code = Uint8Array.from([...lea, ...skip, ...back, ...store, 0xc3]);
    assert.equal(hostArchitecture().escapeOf(code, 3), 'stored');
  });
});
