// Compiling a unit with the build's own command: what comes out, and how failures are told. With the real compiler.
import { strict as assert } from 'node:assert';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createCompiler } from '../../extension/engine/compile/compiler';
import { CompileError, type CompilerLimits } from '../../extension/engine/compile/run_compiler';
import { createCompileDatabases } from '../../extension/engine/compile/compile_database';
import type { CompileRequest } from '../../extension/engine/context';
import { ElfFile } from '../../extension/engine/elf/file';
import { inSession, type Session } from '../support/session';
import { until } from '../support/until';

/** Compiles unit.cc of the workspace as the engine would. */
function compilerOf(session: Session, limits?: CompilerLimits) {
  const temporaryDirectory = session.path('temporary');
  mkdirSync(temporaryDirectory);
  const { compileUnit } = createCompiler({ temporaryDirectory, log: () => undefined }, limits);
  const { entriesFor } = createCompileDatabases({ roots: [session.directory] });
  return (request?: CompileRequest) => compileUnit(entriesFor(session.path('unit.cc'))[0]!, request);
}

function record(session: Session, command: string, directory = session.directory): void {
  session.writeDatabase([{ directory, file: session.path('unit.cc'), command }]);
}

function script(session: Session, commands: string): void {
  chmodSync(session.write('wrapper', `#!/bin/sh\n${commands}\n`), 0o755);
}

const failure = async (compile: Promise<unknown>): Promise<CompileError> => {
  const error: unknown = await compile.then(
    () => assert.fail('it compiled'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CompileError, String(error));
  return error;
};

describe('a unit', () => {
  it(
    'becomes an object with a section for each function, and nothing else is written',
    inSession(async (session) => {
      session.write('unit.cc', 'int data = 3;\nint one() { return data; }\nint two() { return 2; }\n');
      mkdirSync(session.path('build'));
      record(
        session,
        'g++ -O1 -MD -MF unit.d -save-temps -o obj/unit.cc.o -c ../unit.cc',
        session.path('build'),
      );
      const unit = await compilerOf(session)();
      const object = ElfFile.open(unit.object);
      for (const name of ['.text._Z3onev', '.text._Z3twov', '.data.data', '.debug_info'])
        assert.ok(object.section(name), `no ${name}`);
      object.close();
      assert.ok(unit.object.endsWith('/unit.cc.o'));
      assert.deepEqual(readdirSync(session.path('build')), []);
      assert.equal(unit.directory, session.path('build'));
      assert.equal(unit.argv.at(-1), '../unit.cc');
    }),
  );

  // With one processor nothing is compiled beside it.
  (availableParallelism() > 1 ? it : it.skip)(
    'keeps its place while it is compiled, however often it is compiled beside that',
    inSession(async (session) => {
      session.write('unit.cc', 'int f() { return 1; }\n');
      // The first compile waits until the others are done.
      script(
        session,
        'if mkdir first 2>/dev/null; then while [ ! -e go ]; do sleep 0.01; done; fi\nexec g++ "$@"',
      );
      record(session, './wrapper -c unit.cc');
      const compile = compilerOf(session);
      const first = compile();
      await until(
        () => existsSync(session.path('first')),
        (exists) => exists,
      );
      for (let i = 0; i < 3; i++) await compile();
      session.write('go', '');
      const { object } = await first;
      assert.ok(existsSync(object));
    }),
  );

  it(
    'that compiles with warnings is a success with diagnostics, also where the build makes them errors',
    inSession(async (session) => {
      session.write('unit.cc', 'int f() { int unused; return 1; }\n');
      record(session, 'g++ -Wall -Werror -Werror=unused-variable -c unit.cc');
      const { diagnostics } = await compilerOf(session)();
      assert.deepEqual(
        diagnostics.map(({ severity, option, line, column, endColumn }) => [
          severity,
          option,
          line,
          column,
          endColumn,
        ]),
        [['warning', '-Wunused-variable', 1, 15, 21]],
      );
    }),
  );

  it(
    'with a precompiled header of the build takes it or leaves it, and compiles',
    inSession(async (session) => {
      session.write('all.h', '#pragma once\n#include <vector>\ninline int header() { return 4; }\n');
      session.write('unit.cc', 'int f() { return header() + (int)std::vector<int>(2).size(); }\n');
      await session.run('g++', ['-O1', '-Winvalid-pch', '-x', 'c++-header', 'all.h', '-o', 'all.h.gch']);
      record(session, 'g++ -O1 -Winvalid-pch -Werror -include all.h -c unit.cc');
      const { object } = await compilerOf(session)();
      assert.ok(existsSync(object));
    }),
  );

  it(
    'takes further flags, which win',
    inSession(async (session) => {
      session.write('unit.cc', 'int f() { return VALUE; }\n');
      record(session, 'g++ -DVALUE=oops -c unit.cc');
      await compilerOf(session)({ extraFlags: ['-UVALUE', '-DVALUE=1'] });
    }),
  );

  it(
    'keeps its last object while the next is made',
    inSession(async (session) => {
      session.write('unit.cc', 'int f() { return 1; }\n');
      record(session, 'g++ -c unit.cc');
      const compile = compilerOf(session);
      const [first, second, third] = [await compile(), await compile(), await compile()];
      assert.deepEqual(
        [first, second, third].map(({ object }) => existsSync(object)),
        [false, true, true],
      );
    }),
  );
});

describe('a compile that fails', () => {
  it(
    'carries the diagnostics, and the place of the first error',
    inSession(async (session) => {
      session.write('part.h', 'int part() { return wrong; }\n');
      session.write('unit.cc', '#include "part.h"\nint f() { return 1 }\n');
      record(session, 'g++ -c unit.cc');
      const error = await failure(compilerOf(session)());
      assert.equal(error.code, 'compile-failed');
      assert.match(error.message, /wrong/);
      assert.deepEqual(
        [error.place.file, error.place.line, error.place.column],
        [session.path('part.h'), 1, 21],
      );
      assert.deepEqual(
        error.diagnostics
          .filter(({ severity }) => severity === 'error')
          .map(({ file, line }) => [file, line]),
        [
          [session.path('part.h'), 1],
          [session.path('unit.cc'), 2],
        ],
      );
    }),
  );

  it(
    'for want of the compiler says which',
    inSession(async (session) => {
      session.write('unit.cc', '');
      record(session, '/opt/no-such/g++ -c unit.cc');
      const error = await failure(compilerOf(session)());
      assert.equal(error.code, 'compiler-not-found');
      assert.match(error.message, /\/opt\/no-such\/g\+\+/);
    }),
  );

  it(
    'for want of the build directory says so',
    inSession(async (session) => {
      session.write('unit.cc', '');
      record(session, 'g++ -c unit.cc', session.path('removed'));
      const error = await failure(compilerOf(session)());
      assert.match(error.message, /removed.*does not exist/);
    }),
  );

  it(
    'in a wrapper has the wrapper’s last word',
    inSession(async (session) => {
      session.write('unit.cc', '');
      script(session, 'echo no licence >&2; exit 9');
      record(session, './wrapper g++ -c unit.cc');
      const error = await failure(compilerOf(session)());
      assert.match(error.message, /status 9: no licence/);
    }),
  );

  it(
    'because it was aborted ends the compiler, and gives the reason',
    inSession(async (session) => {
      session.write('unit.cc', '');
      script(session, 'echo $$ > pid; sleep 60; true');
      record(session, './wrapper g++ -c unit.cc');
      const controller = new AbortController();
      const compile = compilerOf(session)({ signal: controller.signal });
      while (!existsSync(session.path('pid')) || session.read('pid') === '')
        await new Promise((resolve) => setImmediate(resolve));
      controller.abort(new Error('saved again'));
      await assert.rejects(compile, /saved again/);
      assert.throws(() => process.kill(Number(session.read('pid')), 0), /ESRCH/);
    }),
  );
});

describe('a compiler that does not behave', () => {
  const limits = { time: 60_000, grace: 200, output: 100_000 };
  const begin = (session: Session, commands: string, change: Partial<CompilerLimits> = {}) => {
    session.write('unit.cc', 'int unit;\n');
    script(session, commands);
    record(session, './wrapper g++ -c unit.cc');
    return compilerOf(session, { ...limits, ...change });
  };
  const isRunning = (pid: number): boolean => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };

  it(
    'and prints 200 MB leaves the engine its memory, and its object is used',
    inSession(async (session) => {
      const compile = begin(session, 'yes "unit.cc:1:1: warning: no" | head -c 200000000\nexec "$@"');
      const before = process.memoryUsage().rss;
      assert.ok(existsSync((await compile()).object));
      assert.ok(process.memoryUsage().rss - before < 150_000_000);
    }),
  );

  it(
    'and ignores SIGTERM is ended all the same when the save is taken back',
    inSession(async (session) => {
      const compile = begin(session, 'trap "" TERM; echo $$ > pid; while :; do sleep 1; done');
      const controller = new AbortController();
      const compiling = compile({ signal: controller.signal });
      while (!existsSync(session.path('pid')) || session.read('pid') === '')
        await new Promise((resolve) => setImmediate(resolve));
      controller.abort(new Error('saved again'));
      await assert.rejects(compiling, /saved again/);
      assert.equal(isRunning(Number(session.read('pid'))), false);
    }),
  );

  it(
    'and never ends is stopped when its time is over, and told as such',
    inSession(async (session) => {
      const error = await failure(begin(session, 'sleep 600; true', { time: 300 })());
      assert.equal(error.code, 'compile-failed');
      assert.match(error.message, /did not end within 1 s and was stopped/);
    }),
  );

  it(
    'and leaves a process behind that holds its pipes is not waited for',
    inSession(async (session) => {
      const compile = begin(session, 'setsid sh -c "echo \\$\\$ > left; exec sleep 600" & exec "$@"');
      assert.ok(existsSync((await compile()).object));
      while (!existsSync(session.path('left')) || session.read('left') === '')
        await new Promise((resolve) => setImmediate(resolve));
      const left = Number(session.read('left'));
      assert.ok(isRunning(left));
      process.kill(left, 'SIGKILL');
    }),
  );

  const outputs: Record<string, [string, RegExp]> = {
    'and writes no object': [':', /wrote no object/],
    'and writes a directory': ['mkdir', /something else than a file/],
    'and writes a FIFO': ['mkfifo', /something else than a file/],
  };
  for (const [what, [make, message]] of Object.entries(outputs))
    it(
      `${what} is told as such`,
      inSession(async (session) => {
        const compile = begin(session, `while [ "$1" != -o ]; do shift; done\n${make} "$2"`);
        const error = await failure(compile());
        assert.equal(error.code, 'compile-failed');
        assert.match(error.message, message);
      }),
    );

  it(
    'finds its temporary directory again when a clean-up has removed it',
    inSession(async (session) => {
      const compile = begin(session, 'exec "$@"');
      await compile();
      rmSync(session.path('temporary'), { recursive: true });
      assert.ok(existsSync((await compile()).object));
    }),
  );

  it(
    'cannot be started without a place for its object, which is said by name',
    inSession(async (session) => {
      const compile = begin(session, 'exec "$@"');
      rmSync(session.path('temporary'), { recursive: true });
      session.write('temporary', 'a file');
      await assert.rejects(
        compile(),
        /cannot-write|cannot be written: a part of its path is not a directory/,
      );
    }),
  );
});
