// An edit that needs a shared library which the compiler links every program with by itself, and which the linker left out
// of this one because it used nothing of it (`--as-needed`): it is loaded with the save, and the save says so.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { PatchResult } from '../../extension/engine/model/result';
import { exitStatus, patch } from '../support/hot_patch';
import { cli } from '../support/paths';
import type { Program } from '../support/program';
import { inSession, type Session } from '../support/session';

const builds = [
  ['g++', '-O0'],
  ['g++', '-O2'],
  ['clang++', '-O0'],
  ['clang++', '-O2'],
] as const;

/** Files of a library that the process has mapped. */
const filesOf = (program: Program, library: string): string[] => [
  ...new Set(
    readFileSync(`/proc/${program.pid}/maps`, 'utf8')
      .split('\n')
      .flatMap((line) => / (\/.+)$/.exec(line)?.[1] ?? [])
      .filter((path) => basename(path).startsWith(library)),
  ),
];

const loaded = (program: Program, library: string): number => filesOf(program, library).length;

const warnings = ({ warnings: all }: PatchResult): string[] =>
  all.map(({ code, message }) => `${code} ${message.split(' ')[0]}`).sort();

/** A program of one unit, whose `main` is C's: it needs nothing of the library of C++. */
async function start(
  session: Session,
  source: string,
  compiler: string,
  flags: readonly string[],
  linkFlags: readonly string[] = [],
): Promise<Program> {
  session.copySample('driver');
  session.write('unit.cc', source);
  const command = [compiler, ...flags, '-g', '-c', 'unit.cc', '-o', 'unit.cc.o'];
  await session.run(command[0]!, command.slice(1));
  await session.run('gcc', ['-g', '-c', 'main.c', '-o', 'main.c.o']);
  await session.run(compiler, ['-Wl,--as-needed', 'main.c.o', 'unit.cc.o', '-o', 'program', ...linkFlags]);
  session.writeDatabase([{ directory: session.directory, file: 'unit.cc', arguments: command }]);
  return session.start();
}

const PLAIN = `#include <stdexcept>
#include <string>
thread_local long calls;
extern "C" __attribute__((noinline)) long inner(long n) { return n < -1000 ? -1000 : n + 1; }
extern "C" __attribute__((noinline)) long value(long n) { calls++; return inner(n) + calls - calls; }
`;

for (const [compiler, optimise] of builds)
  describe(`A program that was linked without the library of C++ (${compiler} ${optimise})`, () => {
    it(
      'gets it for a string, once, and keeps it through the undo',
      inSession(async (session) => {
        const program = await start(session, PLAIN, compiler, [optimise]);
        assert.equal(loaded(program, 'libstdc++'), 0);
        const plain = session.edit(
          'unit.cc',
          'return n < -1000 ? -1000 : n + 1;',
          'std::string text(n % 100, 120); text += std::to_string(n); return static_cast<long>(text.size());',
        );
        const result = await session.patch('unit.cc');
        assert.deepEqual(
          warnings(result).filter((text) => text.includes('libstdc++')),
          ['library-loaded libstdc++.so.6'],
        );
        assert.equal(await program.ask('42'), '44');
        assert.deepEqual([loaded(program, 'libstdc++'), loaded(program, 'libgcc_s')], [1, 1]);
        session.edit('unit.cc', 'text.size()', 'text.size() * 2');
        assert.deepEqual(warnings(await session.patch('unit.cc')), []);
        assert.equal(await program.ask('42'), '88');
        session.write('unit.cc', plain);
        await session.patch('unit.cc', 'reverted');
        assert.equal(await program.ask('42'), '43');
        assert.equal(loaded(program, 'libstdc++'), 1);
        program.endInput();
        assert.equal(await program.exit(), 0);
      }),
    );

    it(
      'has thread-local variables of it, in code that would have counted on their place in each thread',
      inSession(async (session) => {
        const program = await start(session, PLAIN, compiler, [optimise]);
        session.edit('unit.cc', '#include <stdexcept>', '#include <mutex>\n#include <stdexcept>');
        const called =
          'static std::once_flag once; static long first; std::call_once(once, [&] { first = n; });';
        session.edit('unit.cc', 'calls++;', `calls++; ${called} if (n > 5) return first * 10;`);
        await session.patch('unit.cc');
        assert.deepEqual([await program.ask('7'), await program.ask('8')], ['70', '70']);
        await session.patch('unit.cc', 'unchanged');
        session.edit('unit.cc', 'first * 10', 'first * 100');
        assert.deepEqual(warnings(await session.patch('unit.cc')), []);
        assert.deepEqual([await program.ask('8'), await program.ask('3')], ['700', '4']);
        await session.revert('--pid', String(program.pid));
        assert.equal(await program.ask('8'), '9');
      }),
    );

    it(
      'throws through its old frames, and catches',
      inSession(async (session) => {
        const program = await start(session, PLAIN, compiler, [optimise]);
        session.edit('unit.cc', 'n + 1; }', '(n > 5 ? throw std::runtime_error("more") : n + 1); }');
        session.edit(
          'unit.cc',
          'return inner(n) + calls - calls;',
          'try { return inner(n); } catch (const std::exception &e) { return e.what()[0] + calls; }',
        );
        await session.patch('unit.cc');
        assert.deepEqual([await program.ask('3'), await program.ask('8')], ['4', '111']);
        await session.revert('--pid', String(program.pid));
        assert.equal(await program.ask('8'), '9');
      }),
    );

    it(
      'prints with std::cout, which is ready before it is used',
      inSession(async (session) => {
        const program = await start(session, PLAIN, compiler, [optimise]);
        session.edit('unit.cc', '#include <stdexcept>', '#include <iostream>\n#include <stdexcept>');
        session.edit('unit.cc', 'calls++;', 'calls++; std::cout << "n is " << n << std::endl;');
        await session.patch('unit.cc');
        program.send('6');
        assert.equal(await program.line(), 'n is 6');
        assert.equal(await program.line(), '7');
      }),
    );
  });

describe('A watched program that was linked without the library of C++', () => {
  it(
    'gets it with first light, and is told so once',
    inSession(async (session) => {
      const source = `extern "C" long value(long n);
static long calls;
long value(long n) { calls++; return n + 1; }\n`;
      const program = await start(session, source, 'g++', ['-O0']);
      const words = [cli, 'watch', '--verbose', '--json', session.directory];
      const watch = await session.startCommand(process.execPath, words);
      await watch.errorLine(/^watching/);
      const saved = async (from: string, to: string): Promise<PatchResult> => {
        session.edit('unit.cc', from, to);
        return JSON.parse(await watch.line()) as PatchResult;
      };
      assert.equal((await saved('static long', '\nstatic long')).outcome, 'unchanged');
      const first = await saved('return n + 1', 'return *new long(n + 2)');
      assert.equal(first.firstLight?.outcome, 'confirmed', watch.errorLines.join('\n'));
      assert.deepEqual(
        warnings(first).filter((text) => text.includes('libstdc++')),
        ['library-loaded libstdc++.so.6'],
      );
      assert.equal(await program.ask('4'), '6');
      const second = await saved('n + 2', 'n + 3');
      assert.deepEqual([second.firstLight?.outcome, warnings(second)], ['confirmed', []]);
      assert.equal(await program.ask('4'), '7');
    }),
  );
});

describe('A program with directories of its own for libraries', () => {
  it(
    'gets the library from there',
    inSession(async (session) => {
      const real = (await session.run('g++', ['-print-file-name=libstdc++.so.6'])).trim();
      await session.run('mkdir', ['lib']);
      await session.run('cp', [real, 'lib/libstdc++.so.6']);
      const program = await start(session, PLAIN, 'g++', ['-O0'], ['-Wl,-rpath,$ORIGIN/lib']);
      session.edit('unit.cc', 'n + 1; }', 'static_cast<long>(std::to_string(n).size()); }');
      await session.patch('unit.cc');
      assert.equal(await program.ask('42'), '2');
      assert.deepEqual(filesOf(program, 'libstdc++'), [session.path('lib', 'libstdc++.so.6')]);
    }),
  );
});

describe('A program that the library of C++ is not loaded into', () => {
  const edit = (session: Session): void => {
    session.edit('unit.cc', 'return n < -1000 ? -1000 : n + 1;', 'return std::to_string(n).size();');
  };

  it(
    'has one in a directory of its own, which is another version',
    inSession(async (session) => {
      session.write('other.c', 'int nothing_of_cpp;\n');
      await session.run('mkdir', ['lib']);
      const soname = '-Wl,-soname,libstdc++.so.6';
      await session.run('gcc', ['-shared', '-fPIC', soname, 'other.c', '-o', 'lib/libstdc++.so.6']);
      const program = await start(session, PLAIN, 'g++', ['-O0'], ['-Wl,-rpath,$ORIGIN/lib']);
      edit(session);
      const { refusals } = await session.refused('unit.cc', 'unresolved-symbol');
      assert.match(
        refusals[0]!.message,
        /not in the one that the program would load \(.*\/lib\/libstdc\+\+\.so\.6\)/,
      );
      assert.deepEqual([await program.ask('4'), loaded(program, 'libstdc++')], ['5', 0]);
    }),
  );

  it(
    'has one in a directory of its own that is no library',
    inSession(async (session) => {
      session.write('lib/libstdc++.so.6', 'nothing of the kind\n');
      const program = await start(session, PLAIN, 'g++', ['-O0'], ['-Wl,-rpath,$ORIGIN/lib']);
      edit(session);
      const result = await session.refused('unit.cc', 'unresolved-symbol');
      assert.match(result.refusals[0]!.message, /lib\/libstdc\+\+\.so\.6/);
      assert.deepEqual(warnings(result), []);
      assert.deepEqual([await program.ask('4'), loaded(program, 'libstdc++')], ['5', 0]);
    }),
  );

  it(
    'has one that its loader cannot load: the save fails, and nothing changed',
    inSession(async (session) => {
      const rest = ['-shared', '-fPIC', '-Wl,--no-as-needed'];
      session.write('gone.c', 'int gone;\n');
      session.write(
        'other.c',
        'void *_Znwm(unsigned long n) { return 0; }\nvoid _ZdlPvm(void *p, unsigned long n) {}\n',
      );
      await session.run('mkdir', ['lib']);
      await session.run('gcc', [...rest, 'gone.c', '-o', 'libgone.so']);
      const soname = '-Wl,-soname,libstdc++.so.6';
      await session.run('gcc', [...rest, soname, 'other.c', '-L.', '-lgone', '-o', 'lib/libstdc++.so.6']);
      const program = await start(session, PLAIN, 'g++', ['-O0'], ['-Wl,-rpath,$ORIGIN/lib']);
      session.edit('unit.cc', 'return n < -1000 ? -1000 : n + 1;', 'return *new long(n);');
      const failed = await patch(['unit.cc'], session.options, exitStatus.runtimeFailed);
      const { refusals } = failed;
      assert.deepEqual(refusals[0]!.code, 'library-not-loaded');
      assert.deepEqual(warnings(failed), []);
      assert.match(refusals[0]!.message, /libgone\.so: cannot open shared object file/);
      assert.deepEqual([await program.ask('4'), loaded(program, 'libstdc++')], ['5', 0]);
    }),
  );

  it(
    'would have thread-local variables where code for the start of the program cannot find them',
    inSession(async (session) => {
      const program = await start(session, PLAIN, 'g++', ['-O2', '-ftls-model=initial-exec']);
      session.edit('unit.cc', '#include <stdexcept>', '#include <mutex>\n#include <stdexcept>');
      session.edit(
        'unit.cc',
        'calls++;',
        'calls++; static std::once_flag once; std::call_once(once, [] {});',
      );
      const result = await session.refused('unit.cc', 'unsupported-construct');
      assert.match(result.refusals[0]!.message, /__once_call.* counts on a place in each thread/);
      assert.deepEqual(warnings(result), []);
      assert.deepEqual([await program.ask('4'), loaded(program, 'libstdc++')], ['5', 0]);
    }),
  );

  it(
    'has it linked statically',
    inSession(async (session) => {
      const source = `${PLAIN}extern "C" long thrower(long n) { if (n > 5) throw std::runtime_error("more"); return n; }\n`;
      const program = await start(session, source, 'g++', ['-O0'], ['-static-libstdc++', '-Wl,-u,thrower']);
      session.edit('unit.cc', '#include <stdexcept>', '#include <sstream>\n#include <stdexcept>');
      session.edit('unit.cc', 'n + 1; }', 'static_cast<long>((std::ostringstream() << n).tellp()) + n; }');
      const { refusals } = await session.refused('unit.cc', 'unresolved-symbol');
      assert.match(refusals[0]!.message, /program has a copy of __cxa_throw of its own/);
      assert.equal(await program.ask('4'), '5');
    }),
  );

  it(
    'is written in C',
    inSession(async (session) => {
      session.copySample('driver');
      session.write(
        'unit.c',
        'long _Znwm(long);\nlong value(long n) { return n < -1000 ? -1000 : n + 1; }\n',
      );
      await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g'] });
      const program = await session.start();
      session.edit('unit.c', 'return n', 'return n > 1000 ? _Znwm(n) : n');
      const { refusals } = await session.refused('unit.c', 'unresolved-symbol');
      assert.match(
        refusals[0]!.message,
        /operator new\(unsigned long\) is in libstdc\+\+\.so\.6, which the process has not loaded/,
      );
      assert.deepEqual([await program.ask('4'), loaded(program, 'libstdc++')], ['5', 0]);
    }),
  );
});

describe('A program of C', () => {
  it(
    'gets the unwinder that its compiler links, though the C library has loaded it for itself',
    inSession(async (session) => {
      session.copySample('driver');
      session.write(
        'unit.c',
        `#include <unwind.h>
__attribute__((unused)) static _Unwind_Reason_Code count(struct _Unwind_Context *context, void *frames) {
  (void)context;
  ++*(long *)frames;
  return _URC_NO_REASON;
}
long value(long n) { return n < -1000 ? -1000 : n + 1; }
`,
      );
      await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g'] });
      const program = await session.start();
      // The runtime tells the unwinder of the patch, and loads it for that.
      session.edit('unit.c', 'n + 1', 'n + 2');
      await session.patch('unit.c');
      assert.equal(loaded(program, 'libgcc_s'), 1);
      session.edit(
        'unit.c',
        'return n',
        'long frames = 0; _Unwind_Backtrace(count, &frames); return frames < 3 ? frames : n',
      );
      await session.patch('unit.c');
      assert.equal(await program.ask('4'), '6');
    }),
  );
});
