// Addresses of functions and data of other modules, as code and data of a patch have them: each is the one that the rest
// of the process has for the same name, so that pointers from before a save and from after it compare equal. In programs
// that are not position-independent that is an entry of the program's own PLT (psABI, "Function Addresses").
import { strict as assert } from 'node:assert';
import { inSession, type Session } from '../support/session';
import type { Program } from '../support/program';

/** What is pointed to: what the program names before the save, and what only the new code does. */
const used = ['free', 'memcpy', 'callback', '&environ', '&stdout'];
const functions = ['strverscmp', 'strcspn', 'other'];
const data = ['&optind', '&stderr', '&shared'];
const all = [...used, ...functions, ...data];

const HEADER = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
extern char **environ;
extern int shared;
long callback(long n);
long other(long n);
void *view_of_library(int i);
void *view_of_program(int i);
void nowhere(void) __attribute__((weak));
`;

const view = (name: string, subjects: readonly string[]): string =>
  `${HEADER}void *${name}(int i) {
  switch (i) {
${subjects.map((subject, i) => `  case ${i}: return (void *)${subject};`).join('\n')}
  }
  return 0;
}
`;

const LIBRARY = `${view('view_of_library', all)}
int shared = 7;
long other(long n) { return n + 40; }
`;

const UNIT = `${HEADER}
void *kept[${used.length}];
static void *const table[] = {${used.map((subject) => `(void *)${subject}`).join(', ')}};
long callback(long n) { return n + 1; }
long value(long n) {
  if (!kept[0]) { ${used.map((subject, i) => `kept[${i}] = (void *)${subject};`).join(' ')} }
  long wrong = nowhere != 0;
  for (int i = 0; i < ${used.length}; i++) if (kept[i] != view_of_library(i) || table[i] != kept[i]) wrong |= 2L << i;
  return n < 0 ? callback(n) : wrong;
}
`;

/** Compares what code holds, what a new constant and a new variable hold, what was kept, and what others say. */
const edited = (subjects: readonly string[], increment: number): string =>
  UNIT.replace('n + 1;', `n + ${increment};`).replace(
    /^long value[^]*/m,
    `static void *const constants[] = {${subjects.map((subject) => `(void *)${subject}`).join(', ')}};
static void *variables_${increment}[] = {${subjects.map((subject) => `(void *)${subject}`).join(', ')}};
static __attribute__((noinline)) int is(void *pointer, int i) {
  switch (i) {
${subjects.map((subject, i) => `  case ${i}: return pointer == (void *)${subject};`).join('\n')}
  }
  return 0;
}
static __attribute__((noinline)) void *taken(int i) {
  switch (i) {
${subjects.map((subject, i) => `  case ${i}: { void *pointer = (void *)${subject}; asm volatile("" : "+r"(pointer)); return pointer; }`).join('\n')}
  }
  return 0;
}
static void *by_name(int i) {
  const char *names[] = {${subjects.map((subject) => `"${subject.replace('&', '')}"`).join(', ')}};
  return dlsym(RTLD_DEFAULT, names[i]);
}
long value(long n) {
  long wrong = nowhere != 0;
  for (int i = 0; i < ${subjects.length}; i++) {
    void *seen = view_of_library(i);
    int ways = (seen != taken(i)) | (seen != constants[i]) << 1 | (seen != variables_${increment}[i]) << 2 | !is(seen, i) << 3;
    if (i < ${used.length}) ways |= (seen != kept[i]) << 4 | (seen != table[i]) << 5 | (seen != view_of_program(i)) << 6;
    if (i != 2) ways |= (seen != by_name(i)) << 7;
    if (ways) wrong |= 2L << i;
  }
  char text[8];
  if (strcspn("abc", "c") != 2 || strverscmp("a9", "a10") >= 0 || other(2) != 42 || memcpy(text, "ok", 3) != text) wrong |= 1L << 40;
  return n < 0 ? callback(n) : wrong;
}
`,
  );

interface Kind {
  name: string;
  /** Of the program's own units, and for linking it. */
  flags: string[];
  /** The edited unit is a library, linked with these. */
  library?: string[];
}

const STATIC = ['-fno-pic', '-no-pie'];
const kinds: Kind[] = [
  { name: '-pie', flags: ['-fPIE', '-pie'] },
  { name: '-pie -fno-plt', flags: ['-fPIE', '-pie', '-fno-plt'] },
  { name: '-no-pie', flags: STATIC },
  { name: '-no-pie -fno-plt', flags: [...STATIC, '-fno-plt'] },
  { name: '-no-pie -fPIE', flags: ['-fPIE', '-no-pie'] },
  { name: '-no-pie -mcmodel=large', flags: [...STATIC, '-mcmodel=large'] },
  { name: 'a library of a -pie program', flags: ['-fPIE', '-pie'], library: [] },
  { name: 'a library of a -no-pie program', flags: STATIC, library: [] },
  {
    name: 'a -Bsymbolic-functions library of a -pie program',
    flags: ['-fPIE', '-pie'],
    library: ['-Wl,-Bsymbolic-functions'],
  },
];

async function start(
  session: Session,
  compiler: string,
  level: string,
  { flags, library }: Kind,
): Promise<Program> {
  session.copySample('driver');
  session.write('library.c', LIBRARY);
  session.write('program.c', view('view_of_program', used));
  session.write('unit.c', UNIT);
  const unitFlags = library
    ? ['-fPIC']
    : flags.filter((flag) => flag.startsWith('-f') || flag.startsWith('-m'));
  const compile = [compiler, level, '-g', ...unitFlags, '-c', 'unit.c', '-o', 'unit.o'];
  await session.run(compiler, [level, '-fPIC', '-shared', 'library.c', '-o', 'libview.so']);
  await session.run(compile[0]!, compile.slice(1));
  const rest = ['-L.', '-lview', '-Wl,-rpath,$ORIGIN', '-ldl'];
  if (library) await session.run(compiler, ['-shared', 'unit.o', '-o', 'libunit.so', ...library]);
  const unit = library ? ['-lunit'] : ['unit.o'];
  await session.run(compiler, [
    level,
    ...flags,
    'main.c',
    'program.c',
    '-o',
    'program',
    '-L.',
    ...unit,
    ...rest,
    '-rdynamic',
  ]);
  session.writeDatabase([{ directory: session.directory, file: 'unit.c', arguments: compile }]);
  return session.start();
}

/** [how the library is linked, is another's definition meant, in data too] */
const bindings: [string[], boolean, boolean][] = [
  [[], true, true],
  [['-Wl,-Bsymbolic'], false, false],
  [['-Wl,-Bsymbolic-functions'], false, true],
];

describe('A library of a program that is not position-independent, of which new code names its own exports', () => {
  for (const [linkFlags, ofFunction, ofData] of bindings)
    it(
      `means what a build would: ${linkFlags.join(' ') || 'as linkers do by default'}`,
      inSession(async (session) => {
        session.copySample('driver');
        const program = `int callback(void); extern int level;
          void *seen_callback(void) { return (void *)callback; }
          int *seen_level(void) { return &level; }\n`;
        // Named by nothing of the library: neither by its code nor by the loader's tables.
        const unit = `int level = 3;
          int callback(void) { return 1; }
          void *seen_callback(void);
          int *seen_level(void);
          int other(void) { return 2; }
          ${ofFunction ? '' : 'int caller(void) { return other() + 1; }'}
          long value(long n) { long sum = 0; for (long i = 0; i < n; i++) sum += i * n; return sum; }\n`;
        session.write('program.c', program);
        session.write('unit.c', unit);
        const compile = ['-g', '-O0', '-fPIC', '-c', 'unit.c', '-o', 'unit.o'];
        await session.run('gcc', compile);
        await session.run('gcc', ['-shared', 'unit.o', '-o', 'libunit.so', ...linkFlags]);
        const rest = ['-L.', '-lunit', '-Wl,-rpath,$ORIGIN', '-rdynamic'];
        await session.run('gcc', ['-fno-pic', '-no-pie', 'main.c', 'program.c', '-o', 'program', ...rest]);
        const command = ['gcc', ...compile];
        session.writeDatabase([{ directory: session.directory, file: 'unit.c', arguments: command }]);
        const running = await session.start();
        session.edit(
          'unit.c',
          'return sum;',
          'return (seen_callback() == (void *)callback) + 2 * (seen_level() == &level);',
        );
        await session.patch('unit.c');
        assert.equal(Number(await running.ask('1')), (ofFunction ? 1 : 0) + (ofData ? 2 : 0));
      }),
    );
});

for (const [compiler, level] of [
  ['gcc', '-O2'],
  ['clang', '-O0'],
] as const)
  describe(`A pointer to a function or a variable of another module (${compiler} ${level})`, () => {
    for (const kind of kinds)
      it(
        `is the same before and after a save: ${kind.name}`,
        inSession(async (session) => {
          const program = await start(session, compiler, level, kind);
          assert.deepEqual([await program.ask('1'), await program.ask('-5')], ['0', '-4']);
          for (const [subjects, increment] of [
            [used, 2],
            [[...used, ...functions], 3],
            [all, 4],
          ] as const) {
            session.write('unit.c', edited(subjects, increment));
            await session.patch('unit.c');
            assert.deepEqual([await program.ask('1'), await program.ask('-5')], ['0', String(increment - 5)]);
            await session.patch('unit.c', 'unchanged');
          }
          session.write('unit.c', UNIT);
          await session.patch('unit.c', 'reverted');
          assert.deepEqual([await program.ask('1'), await program.ask('-5')], ['0', '-4']);
        }),
      );
  });
