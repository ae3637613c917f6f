// From a recorded command to the one that makes the patch object: what stays, what goes, what is never touched.
import { strict as assert } from 'node:assert';
import {
  commandKind,
  compilerIndex,
  expandResponseFiles,
  includeOptions,
  objectCommand,
  outputOf,
  splitResponseFile,
} from '../../extension/engine/compile/command';
import type { CompileEntry } from '../../extension/engine/context';
import { HotPatchError } from '../../extension/engine/model/errors';

const OURS = [
  '-fmerge-constants',
  '-ffunction-sections',
  '-fdata-sections',
  '-Wno-ignored-optimization-argument',
  '-fdiagnostics-color=never',
  '-fmessage-length=0',
];

function entryOf(command: string, change: Partial<CompileEntry> = {}): CompileEntry {
  const words = command.split(' ');
  return {
    source: '/w/unit.cc',
    spelledSource: 'unit.cc',
    directory: '/w',
    arguments: words,
    output: outputOf(words, '/w'),
    database: '/w/compile_commands.json',
    ...change,
  };
}

function flagsOf(
  command: string,
  files: Record<string, string> = {},
  change: Partial<CompileEntry> = {},
): string {
  const made = objectCommand(entryOf(command, change), '/t/unit.o', [], (path) => files[path]);
  const tail = ['-c', '-o', '/t/unit.o', change.spelledSource ?? 'unit.cc'];
  assert.deepEqual(made.slice(-tail.length), tail);
  const rest = made.slice(0, -tail.length);
  return rest.filter((word) => !OURS.includes(word)).join(' ');
}

describe('the command for a patch object', () => {
  const cases: [title: string, recorded: string, expected: string][] = [
    ['keeps the flags in order', 'g++ -O2 -g -DX=1 -Iinc -c unit.cc -o unit.o', 'g++ -O2 -g -DX=1 -Iinc'],
    ['adds -g when there is none', 'g++ -O2 -c unit.cc', 'g++ -O2 -g'],
    ['adds -g after -g0', 'g++ -g -g0 -c unit.cc', 'g++ -g -g0 -g'],
    ['adds -g after a level without types', 'g++ -g1 -c unit.cc', 'g++ -g1 -g'],
    ['adds -g after lines alone', 'clang++ -gline-tables-only -c unit.cc', 'clang++ -gline-tables-only -g'],
    ['drops what leaves structures out', 'g++ -g -femit-struct-debug-baseonly -c unit.cc', 'g++ -g'],
    ['keeps a stronger debug level', 'g++ -ggdb3 -c unit.cc', 'g++ -ggdb3'],
    ['takes -gdwarf-4 for a level, -gz for none', 'g++ -gdwarf-4 -gz=zstd -c unit.cc', 'g++ -gdwarf-4'],
    ['drops split debug information', 'g++ -gsplit-dwarf -c unit.cc', 'g++ -g'],
    ['drops LTO', 'g++ -g -flto=auto -ffat-lto-objects -fuse-linker-plugin -c unit.cc', 'g++ -g'],
    [
      'drops dependency output, however it is asked for',
      'g++ -g -MD -MMD -MP -MF d/unit.d -MT unit.o -MQ q -Wp,-MMD,d/x.d -c unit.cc',
      'g++ -g',
    ],
    [
      'keeps what else goes to the preprocessor',
      'g++ -g -Wp,-D_FORTIFY_SOURCE=2 -c unit.cc',
      'g++ -g -Wp,-D_FORTIFY_SOURCE=2',
    ],
    ['drops stages and intermediate files', 'g++ -g -save-temps=obj -S unit.cc -o unit.s', 'g++ -g'],
    [
      'drops what is for the linker, and other inputs',
      'g++ -g main.cc unit.cc lib/x.o libz.a -o program -Wl,-rpath,x -L. -L lib -lpthread -l z -Xlinker -z -rdynamic -s',
      'g++ -g',
    ],
    [
      'keeps modes that compilers derive the code model from',
      'g++ -g -static -no-pie unit.cc',
      'g++ -g -static -no-pie',
    ],
    ['keeps -pthread and -pipe', 'g++ -g -pthread -pipe -c unit.cc', 'g++ -g -pthread -pipe'],
    [
      'turns errors back into warnings',
      'g++ -g -Wall -Werror -Werror=format=2 -pedantic-errors -Wno-error=x -c unit.cc',
      'g++ -g -Wall -Wformat=2 -pedantic -Wno-error=x',
    ],
    [
      'keeps precompiled headers',
      'g++ -g -Winvalid-pch -include pch.hxx -c unit.cc',
      'g++ -g -Winvalid-pch -include pch.hxx',
    ],
    ['keeps the language', 'g++ -g -x c++ -c unit.cc', 'g++ -g -x c++'],
    [
      'keeps what decides names and paths in the object',
      'g++ -g -frandom-seed=a -fdebug-prefix-map=/w=. -ffile-prefix-map=/w=. -c unit.cc',
      'g++ -g -frandom-seed=a -fdebug-prefix-map=/w=. -ffile-prefix-map=/w=.',
    ],
    [
      'keeps gcov, which counts otherwise without its notes, but not where these go',
      'g++ -g --coverage -fprofile-note=notes -c unit.cc',
      'g++ -g --coverage',
    ],
    [
      'keeps values that look like inputs',
      'g++ -g -include x.c -iquote a.o -D A.o --param x.c -c unit.cc',
      'g++ -g -include x.c -iquote a.o -D A.o --param x.c',
    ],
    ['drops an output joined to its option', 'g++ -g -ounit.o -c unit.cc', 'g++ -g'],
    ['drops diagnostics for machines', 'g++ -g -fdiagnostics-format=json -c unit.cc', 'g++ -g'],
    ['drops listings', 'g++ -g -Wa,-adhlns=unit.lst -c unit.cc', 'g++ -g'],
    [
      'drops the clang options that need LTO',
      'clang++ -g -flto=thin -fwhole-program-vtables -c unit.cc',
      'clang++ -g',
    ],
    ['keeps launchers', 'env A=b ccache g++ -g -c unit.cc', 'env A=b ccache g++ -g'],
    ['keeps a wrapper script', '/opt/wrap.sh g++ -g -c unit.cc', '/opt/wrap.sh g++ -g'],
  ];
  for (const [title, recorded, expected] of cases) it(title, () => assert.equal(flagsOf(recorded), expected));

  it('spells the source as the build did', () => {
    const made = objectCommand(
      entryOf('g++ -g -c ../src/unit.cc', { spelledSource: '../src/unit.cc' }),
      'o',
      [],
      () => undefined,
    );
    assert.equal(made.at(-1), '../src/unit.cc');
  });

  it('puts extra flags behind all others', () => {
    const made = objectCommand(entryOf('g++ -g -c unit.cc'), 'o', ['-fno-ipa-ra'], () => undefined);
    assert.deepEqual(made, ['g++', '-g', ...OURS, '-fno-ipa-ra', '-c', '-o', 'o', 'unit.cc']);
  });

  it('leaves -fmerge-all-constants in effect where it is what the build ends with', () => {
    const made = (flags: string) =>
      objectCommand(entryOf(`g++ ${flags} -c unit.cc`), 'o', [], () => undefined).includes(
        '-fmerge-constants',
      );
    assert.equal(made('-fmerge-all-constants'), false);
    assert.equal(made('-fno-merge-constants -fmerge-all-constants'), false);
    assert.equal(made('-fmerge-all-constants -fno-merge-constants'), true);
    assert.equal(made('-fmerge-all-constants -fmerge-constants'), true);
  });

  it('finds the profile of the build although the object lies elsewhere', () => {
    assert.equal(
      flagsOf('g++ -g -fprofile-use -c unit.cc -o obj/unit.cc.o'),
      'g++ -g -fprofile-use=/w/obj/unit.cc.gcda',
    );
  });

  it('takes flags from response files', () => {
    assert.equal(
      flagsOf('g++ @a.rsp -c unit.cc', { '/w/a.rsp': '-O2 -g -MD "-DT=\\"a b\\""' }),
      'g++ -O2 -g -DT="a b"',
    );
  });

  it('is refused for a unit that uses C++ modules', () => {
    const isRefusal = (error: unknown) =>
      error instanceof HotPatchError && error.code === 'unsupported-construct';
    assert.throws(() => flagsOf('g++ -g -fmodules-ts -c unit.cc'), isRefusal);
    const map = { '/w/u.modmap': '$root .\nother gcm.cache/other.gcm\n' };
    assert.throws(() => flagsOf('g++ -g -fmodules-ts -fmodule-mapper=u.modmap -c unit.cc', map), isRefusal);
  });

  it('is an ordinary one when CMake passed a module map that names none', () => {
    const command = 'g++ -g -fmodules-ts -fmodule-mapper=u.modmap -fdeps-format=p1689r5 -c unit.cc';
    assert.equal(
      flagsOf(command, { '/w/u.modmap': '$root .\n' }),
      'g++ -g -fmodules-ts -fmodule-mapper=u.modmap',
    );
  });
});

describe('a recorded command', () => {
  it('has its compiler behind launchers and wrappers', () => {
    const at = (command: string) => compilerIndex(command.split(' '));
    assert.equal(at('g++ -c x.c'), 0);
    assert.equal(at('ccache /usr/bin/x86_64-linux-gnu-gcc-12 -c x.c'), 1);
    assert.equal(at('env -u A B=c sccache clang++-17 -c x.c'), 5);
    assert.equal(at('my-compiler -DX=g++ -c x.c'), 0);
  });

  it('is told apart by what it does', () => {
    const kind = (command: string) => commandKind(command.split(' '));
    assert.equal(kind('g++ -c x.cc'), 'compile');
    assert.equal(kind('g++ -E x.cc -o x.ii'), 'preprocess');
    assert.equal(kind('g++ -MM x.cc'), 'dependencies');
    assert.equal(kind('g++ -MMD -c x.cc'), 'compile');
    assert.equal(kind('g++ -fsyntax-only x.cc'), 'check');
    assert.equal(kind('g++ -D -E -c x.cc'), 'compile');
  });

  it('has an output only when it makes one object', () => {
    const output = (command: string) => outputOf(command.split(' '), '/w');
    assert.equal(output('g++ -c x.cc -o a/x.o'), '/w/a/x.o');
    assert.equal(output('g++ -c x.cc -oa.o'), '/w/a.o');
    assert.equal(output('g++ x.cc -o program'), undefined);
  });
});

describe('response files', () => {
  it('are split as gcc does it', () => {
    assert.deepEqual(splitResponseFile(`-a "b c" 'd e'\n\t-f\\ g "h\\"i" ''`), [
      '-a',
      'b c',
      'd e',
      '-f g',
      'h"i',
      '',
    ]);
  });

  it('may be nested, and stay as they are when they cannot be read', () => {
    const files: Record<string, string> = { '/w/one': '-a @two', '/w/two': '-b @none' };
    assert.deepEqual(
      expandResponseFiles(['@one', '-c'], '/w', (path) => files[path]),
      ['-a', '-b', '@none', '-c'],
    );
  });
});

describe('the search path for included files', () => {
  it('is that of the command, in the order of gcc', () => {
    const command = 'g++ -isystem sys -Ia -I /b -iquote q -include pre.h -idirafter z -c unit.cc';
    assert.deepEqual(
      includeOptions(entryOf(command), () => undefined),
      { quote: ['/w/q'], all: ['/w/a', '/b', '/w/sys', '/w/z'], forced: ['/w/pre.h'] },
    );
  });
});
