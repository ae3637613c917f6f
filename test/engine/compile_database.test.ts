// Compile databases as build systems really write them. Each form is put in the place of the plain one after the
// build; the edit must be patched all the same.
import { strict as assert } from 'node:assert';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { samples } from '../support/paths';
import type { Program } from '../support/program';
import { inSession, Unit, type CompileCommand, type Session } from '../support/session';

const source = `#ifndef SCALE
#define SCALE 2
#endif
#ifdef TEXT
#include <string.h>
long text_length(void) { return strlen(TEXT); }
#else
long text_length(void) { return 0; }
#endif
long area(long n) { return n * n * SCALE; }
long value(long n) { return n * SCALE + text_length(); }
`;

/** Builds and starts the unit, replaces its database by `entries`, edits, and expects the patch to be live. */
async function patchedThrough(
  session: Session,
  flags: string[],
  entries: (session: Session) => CompileCommand[],
): Promise<void> {
  const unit = await Unit.start(session, source, { flags });
  session.writeDatabase(entries(session));
  await session.patch('unit.cc', 'unchanged');
  const before = await unit.value(10);
  await unit.editAndPatch('return n * SCALE', 'return 1000 + n * SCALE');
  assert.equal(await unit.value(10), 1000 + before);
}

const entry = (session: Session, change: Partial<CompileCommand>): CompileCommand => ({
  directory: session.directory,
  file: 'unit.cc',
  ...change,
});

describe('a compile database', () => {
  const forms: Record<string, { flags?: string[]; entries: (session: Session) => CompileCommand[] }> = {
    'with a command string': {
      entries: (session) => [entry(session, { command: 'g++ -O2 -g -c unit.cc -o unit.cc.o' })],
    },
    'with quotes and escapes in a command string': {
      flags: ['-O2', '-g', '-DTEXT="a b\\"c#*"'],
      entries: (session) => [
        entry(session, { command: String.raw`g++ -O2 -g "-DTEXT=\"a b\\\"c#*\"" -c unit.cc -o unit.cc.o` }),
      ],
    },
    'with shell-escaped spaces in a command string': {
      flags: ['-O2', '-g', '-DTEXT="one two"'],
      entries: (session) => [
        entry(session, { command: String.raw`g++ -O2 -g -DTEXT=\"one\ two\" -c unit.cc -o unit.cc.o` }),
      ],
    },
    'with an arguments list': {
      flags: ['-O2', '-g', '-DTEXT="x y"'],
      entries: (session) => [
        entry(session, {
          arguments: ['g++', '-O2', '-g', '-DTEXT="x y"', '-c', 'unit.cc', '-o', 'unit.cc.o'],
        }),
      ],
    },
    'with several entries for the file, of which the last made the program': {
      flags: ['-O2', '-g', '-DSCALE=5'],
      entries: (session) =>
        [3, 4, 5].map((scale) =>
          entry(session, {
            arguments: ['g++', '-O2', '-g', `-DSCALE=${scale}`, '-c', 'unit.cc', '-o', `unit${scale}.o`],
          }),
        ),
    },
    'with several entries for the file, of which the first made the program': {
      flags: ['-O2', '-g', '-DSCALE=3'],
      entries: (session) =>
        [3, 4, 5].map((scale) =>
          entry(session, {
            arguments: ['g++', '-O2', '-g', `-DSCALE=${scale}`, '-c', 'unit.cc', '-o', `unit${scale}.o`],
          }),
        ),
    },
    'whose entry compiles and links in one command': {
      entries: (session) => [
        entry(session, {
          arguments: ['g++', '-O2', '-g', 'main.cc', 'unit.cc', '-o', 'program', '-lpthread'],
        }),
      ],
    },
    'without an output': {
      entries: (session) => [entry(session, { arguments: ['g++', '-O2', '-g', '-c', 'unit.cc'] })],
    },
    'with paths relative to a build directory': {
      entries: (session) => {
        mkdirSync(session.path('build'));
        return [
          {
            directory: session.path('build'),
            file: '../unit.cc',
            command: 'g++ -O2 -g -I.. -o unit.o -c ../unit.cc',
          },
        ];
      },
    },
    'with -Werror and all warnings': {
      flags: ['-O2', '-g', '-Wall', '-Wextra', '-Werror', '-pedantic', '-Wunused-macros'],
      entries: (session) => [
        entry(session, {
          command: 'g++ -O2 -g -Wall -Wextra -Werror -pedantic -Wunused-macros -c unit.cc -o unit.cc.o',
        }),
      ],
    },
    'with a compiler launcher before the compiler': {
      entries: (session) => {
        session.write('launcher', '#!/bin/sh\nexec "$@"\n');
        chmodSync(session.path('launcher'), 0o755);
        return [
          entry(session, { arguments: [session.path('launcher'), 'g++', '-O2', '-g', '-c', 'unit.cc'] }),
        ];
      },
    },
    'with the flags in a response file': {
      flags: ['-O2', '-g', '-DTEXT="r s"'],
      entries: (session) => {
        session.write('flags.rsp', '-O2 -g "-DTEXT=\\"r s\\""\n');
        return [entry(session, { arguments: ['g++', '@flags.rsp', '-c', 'unit.cc', '-o', 'unit.cc.o'] })];
      },
    },
    'with a preprocess-only and a dependency-only entry beside the real one': {
      entries: (session) => [
        entry(session, { arguments: ['g++', '-O2', '-g', '-E', 'unit.cc', '-o', 'unit.ii'] }),
        entry(session, { arguments: ['g++', '-M', 'unit.cc', '-o', 'unit.d'] }),
        entry(session, { arguments: ['g++', '-O2', '-g', '-c', 'unit.cc', '-o', 'unit.cc.o'] }),
      ],
    },
    'with dependency output that the build writes beside the object': {
      entries: (session) => [
        entry(session, {
          command: 'g++ -O2 -g -MD -MT unit.cc.o -MF deps/unit.d -MP -c unit.cc -o unit.cc.o',
        }),
      ],
    },
    'with the directory missing in front of an absolute file': {
      entries: (session) => [
        entry(session, {
          file: session.path('unit.cc'),
          command: `g++ -O2 -g -c ${session.path('unit.cc')}`,
        }),
      ],
    },
  };
  for (const [form, { flags = ['-O2', '-g'], entries }] of Object.entries(forms)) {
    it(
      form,
      inSession((session) => patchedThrough(session, flags, entries)),
    );
  }

  it(
    'leaves no file of ours in the workspace, nor changes one of the build',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const listing = () =>
        session.run('find', ['.', '-path', './run', '-prune', '-o', '-type', 'f', '-printf', '%p %T@\n']);
      session.edit('unit.cc', 'return n * SCALE', 'return 1 + n * SCALE');
      const before = await listing();
      await session.patch('unit.cc');
      assert.equal(await listing(), before);
      assert.equal(await unit.value(10), 21);
    }),
  );

  it(
    'is the one of the build directory named with -p, when there are several',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const at = (directory: string, scale: number): CompileCommand[] => [
        entry(session, {
          directory: session.path(directory),
          file: '../unit.cc',
          arguments: ['g++', '-O2', '-g', `-DSCALE=${scale}`, '-c', '../unit.cc'],
        }),
      ];
      for (const [directory, scale] of [
        ['debug', 7],
        ['release', 2],
      ] as const) {
        mkdirSync(session.path(directory));
        session.writeDatabase(at(directory, scale), directory);
      }
      await session.run('rm', ['compile_commands.json']);
      session.edit('unit.cc', 'return n * SCALE', 'return 1000 + n * SCALE');
      await session.patch(['unit.cc', '-p', 'release']);
      assert.equal(await unit.value(10), 1020);
    }),
  );

  it(
    'is found above the file, in the build directory of a parent',
    inSession(async (session) => {
      session.write('src/deep/part.cc', 'long part(long n) { return n + 1; }\n');
      const unit = await Unit.start(session, 'long part(long);\nlong value(long n) { return part(n); }\n', {
        sources: ['src/deep/part.cc'],
      });
      mkdirSync(session.path('build'));
      await session.run('mv', ['compile_commands.json', 'build/']);
      session.edit('src/deep/part.cc', 'n + 1', 'n + 2');
      await session.patch(session.path('src/deep/part.cc'));
      assert.equal(await unit.value(1), 3);
    }),
  );
});

describe('a compile database in a directory of any name', () => {
  /** Sources here, the build in a directory beside them, as CMake does it; the program runs. */
  async function outOfTree(session: Session): Promise<Program> {
    session.write('sources/unit.cc', source);
    session.write('sources/main.cc', readFileSync(join(samples, 'driver', 'main.cc'), 'utf8'));
    const place = session.path('any-name-at-all');
    mkdirSync(place);
    const commands = ['unit', 'main'].map((name) => {
      const file = session.path('sources', `${name}.cc`);
      const output = `${name}.o`;
      return { directory: place, file, output, arguments: ['g++', '-O2', '-g', '-c', file, '-o', output] };
    });
    for (const {
      arguments: [compiler, ...args],
    } of commands)
      await session.run(compiler!, args, place);
    await session.run('g++', ['unit.o', 'main.o', '-o', 'program'], place);
    session.writeDatabase(commands, 'any-name-at-all');
    return session.start('any-name-at-all/program');
  }

  it(
    'is found where the running code was compiled',
    inSession(async (session) => {
      const program = await outOfTree(session);
      const [report] = await session.check('sources/unit.cc');
      assert.equal(report!.verdict, 'ready');
      session.edit('sources/unit.cc', 'return n * SCALE', 'return 7000 + n * SCALE');
      await session.patch('sources/unit.cc');
      assert.ok(Number(await program.ask('1')) > 7000);
    }),
  );

  it(
    'goes before one beside the sources that is of another build',
    inSession(async (session) => {
      const program = await outOfTree(session);
      const text = session.read('any-name-at-all/compile_commands.json');
      const here = JSON.stringify(session.path('any-name-at-all'));
      const debug = text.replaceAll(here, JSON.stringify(session.path('build'))).replaceAll('"-O2"', '"-O0"');
      mkdirSync(session.path('build'));
      session.write('build/compile_commands.json', debug);
      const [report] = await session.check('sources/unit.cc');
      assert.equal(report!.directory, session.path('any-name-at-all'));
      assert.equal(report!.verdict, 'ready');
      assert.ok(program.running);
    }),
  );
});

describe('hot-patch check', () => {
  it(
    'says that an unedited file is ready and which process runs it',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const [report] = await session.check('unit.cc');
      assert.equal(report!.verdict, 'ready');
      assert.equal(report!.pid, unit.program.pid);
      assert.deepEqual(report!.functions, { compared: 3, unchanged: 3, changed: 0 });
    }),
  );

  it(
    'says that a file was edited, and which functions differ',
    inSession(async (session) => {
      await Unit.start(session, source);
      session.edit('unit.cc', 'return n * SCALE', 'return 5 + n * SCALE');
      const [report] = await session.check('unit.cc');
      assert.equal(report!.verdict, 'edited');
      assert.deepEqual(
        report!.changed!.map(({ symbol }) => symbol),
        ['_Z5valuel'],
      );
    }),
  );

  it(
    'says that the flags differ from those of the running program',
    inSession(async (session) => {
      const functions = Array.from(
        { length: 12 },
        (_, i) =>
          `long f${i}(long n) { long t = 0; for (long k = 0; k < n; k++) t += k * ${i + 3} ^ n; return t; }`,
      );
      await Unit.start(session, `${functions.join('\n')}\n${source}`);
      session.write('compile_commands.json', session.read('compile_commands.json').replaceAll('-O2', '-O0'));
      const [report] = await session.check('unit.cc');
      assert.equal(report!.verdict, 'flags-differ');
    }),
  );

  it(
    'says that no command is known for a file, and that no process runs it',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const database = session.read('compile_commands.json');
      session.writeDatabase([]);
      const [unknown] = await session.check('unit.cc');
      assert.equal(unknown!.verdict, 'no-command');
      session.write('compile_commands.json', database);
      await unit.program.stop();
      const [stopped] = await session.check('unit.cc');
      assert.equal(stopped!.verdict, 'no-process');
    }),
  );
});
