// What is packed: how programs get the runtime into their build (the CMake package, its source tree, pkg-config), that
// it asks for nothing but libc, that its two builds are one, that a build gives the same files anywhere, and that the
// licences of others come with their code.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import {
  constants,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { dist, root } from '../support/paths';
import { inRuntimeSession, runtimeLibrary, type RuntimeSession } from '../support/runtime_process';

const native = join(root, 'native');
const source = `
#include <hot_fix.h>
#include <stdio.h>
__attribute__((noipa)) int value(int n) { return n; }
int main(void) {
  char line[8];
  setvbuf(stdout, 0, _IOLBF, 0);
  if (init_hot_fix_signal() != 0) return 1;
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d\\n", value(1));
  return 0;
}`;

/** A CMake project that uses the runtime; returns its program. */
function buildProject(session: RuntimeSession, name: string, text: string, ...args: string[]): string {
  const directory = session.path(name);
  mkdirSync(directory);
  writeFileSync(join(directory, 'main.c'), source);
  writeFileSync(join(directory, 'CMakeLists.txt'), text);
  const build = join(directory, 'build');
  execFileSync('cmake', ['-S', directory, '-B', build, '-DCMAKE_C_FLAGS=-Wl,--build-id', ...args]);
  execFileSync('cmake', ['--build', build, '--target', 'program', '-j2']);
  return join(build, 'program');
}

async function isPatchable(session: RuntimeSession, executable: string): Promise<void> {
  const process = await session.start(executable, { runtime: 'embedded' });
  await process.patch('int new_value(int n) { return n + 41; }', { value: 'new_value' });
  assert.equal(await process.ask(''), '42');
  await process.revert('value', 0);
  assert.equal(await process.ask(''), '1');
}

const program = (find: string, languages: string) => `
cmake_minimum_required(VERSION 3.14)
project(sample ${languages})
${find}
add_executable(program main.c)
target_link_libraries(program PRIVATE hot_fix::hot_fix hot_fix::ready)`;

describe('the runtime in a build', () => {
  it(
    'is found by find_package, also from a project in C alone',
    inRuntimeSession(async (session) => {
      const [build, prefix] = [session.path('build'), session.path('prefix')];
      execFileSync('cmake', ['-S', native, '-B', build, `-DCMAKE_INSTALL_PREFIX=${prefix}`]);
      execFileSync('cmake', ['--build', build, '-j2']);
      execFileSync('cmake', ['--install', build]);
      const find = 'find_package(hot_fix 0.1 REQUIRED)';
      const executable = buildProject(session, 'found', program(find, 'C'), `-DCMAKE_PREFIX_PATH=${prefix}`);
      await isPatchable(session, executable);
    }),
  );

  it(
    'is a subdirectory of another project',
    inRuntimeSession(async (session) => {
      const find = `add_subdirectory(${native} hot_fix)`;
      await isPatchable(session, buildProject(session, 'inside', program(find, 'C CXX')));
    }),
  );

  it(
    'is found by pkg-config, wherever its folder was moved to',
    inRuntimeSession(async (session) => {
      const moved = session.path('moved');
      for (const folder of ['lib', 'include'])
        cpSync(join(dist, 'native', folder), join(moved, folder), { recursive: true });
      const env = { ...process.env, PKG_CONFIG_PATH: join(moved, 'lib', 'pkgconfig') };
      const flags = execFileSync('pkg-config', ['--cflags', '--libs', 'hot_fix'], { env, encoding: 'utf8' });
      const folders = [...flags.matchAll(/-[IL](\S+)/g)].map((match) => realpathSync(match[1]!));
      assert.deepEqual(
        folders,
        [join(moved, 'include'), join(moved, 'lib')].map((path) => realpathSync(path)),
      );
      writeFileSync(session.path('main.c'), source);
      const executable = session.path('program');
      const fixed = [
        '-g',
        '-falign-functions=16',
        '-Wl,--build-id',
        session.path('main.c'),
        '-o',
        executable,
      ];
      execFileSync('gcc', [...fixed, ...flags.trim().split(/\s+/)]);
      await isPatchable(session, executable);
    }),
  );

  it('asks for no library but libc, and defines nothing but its interface', () => {
    const needed = execFileSync('readelf', ['-d', runtimeLibrary], { encoding: 'utf8' });
    const libraries = [...needed.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map((match) => match[1]!);
    assert.ok(
      libraries.every((name) => /^(libc|libdl|libpthread|ld-linux-x86-64)\.so/.test(name)),
      libraries.join(),
    );
    const exported = execFileSync('nm', ['-D', '--defined-only', '--format=just-symbols', runtimeLibrary]);
    assert.deepEqual(exported.toString().trim().split('\n').sort(), [
      'hot_fix_add_hooks',
      'hot_fix_add_migration',
      'hot_fix_attach',
      'hot_fix_can_patch_now',
      'hot_fix_init',
      'hot_fix_remove_hooks',
      'hot_fix_remove_migration',
      'hot_fix_use_sync_points',
      'init_hot_fix_signal',
      'pthread_sigmask',
      'sigaction',
      'signal',
      'sigprocmask',
    ]);
    const used = execFileSync('nm', ['-D', '-u', '--format=just-symbols', runtimeLibrary], {
      encoding: 'utf8',
    });
    assert.doesNotMatch(used, /^(_Z|__cxa_(?!atexit|finalize)|__gxx|_Unwind)/m);
    assert.doesNotMatch(used, /^(exit|_exit|abort|__assert_fail|printf|puts)(@|$)/m);
    // A thread that is parked may hold malloc's lock: only a migration asks for memory there, for the program's objects.
    const members = execFileSync('nm', ['-A', '-u', join(dist, 'native', 'lib', 'libhot_fix.a')], {
      encoding: 'utf8',
    });
    const users = [...members.matchAll(/(\w+)\.o: +U (?:malloc|calloc|realloc)$/gm)].map(
      (match) => match[1]!,
    );
    assert.deepEqual([...new Set(users)].sort(), ['freed_memory', 'migration']);
  });

  it('has a variant that asks for nothing that came after glibc 2.17', () => {
    const variant = join(dist, 'native', 'lib', 'old_libc', 'libhot_fix.so');
    const used = execFileSync('nm', ['-D', '-u', variant], { encoding: 'utf8' });
    const versions = [...used.matchAll(/@GLIBC_2\.(\d+)/g)].map((match) => Number(match[1]));
    assert.ok(versions.length > 50);
    assert.equal(Math.max(...versions), 17, used);
    const exported = (library: string) =>
      execFileSync('nm', ['-D', '--defined-only', '--format=just-symbols', library], { encoding: 'utf8' });
    assert.equal(exported(variant), exported(runtimeLibrary));
  });

  it(
    'is compiled with the same flags by make and by CMake, and every warning is an error',
    inRuntimeSession((session) => {
      const flags = readFileSync(join(native, 'compile_flags.txt'), 'utf8').trim().split('\n');
      assert.ok(flags.includes('-Wconversion') && flags.includes('-Werror'));
      const build = session.path('build');
      execFileSync('cmake', ['-S', native, '-B', build, '-DCMAKE_EXPORT_COMPILE_COMMANDS=ON']);
      const database = JSON.parse(readFileSync(join(build, 'compile_commands.json'), 'utf8')) as {
        command: string;
      }[];
      const make = execFileSync('make', ['-n', '-C', native, `OUT=${session.path('out')}`], {
        encoding: 'utf8',
      });
      const commands = [
        ...database.map(({ command }) => command),
        ...make.split('\n').filter((line) => line.includes('.cc -o ')),
      ];
      assert.ok(commands.length > 2 * 40, `${commands.length} commands`);
      for (const command of commands) {
        const words = command.split(' ');
        assert.deepEqual(
          flags.filter((flag) => !words.includes(flag)),
          [],
          command,
        );
      }
      return Promise.resolve();
    }),
  );
});

/** The files that a build leaves for the package, by their path in dist/; what tests build for themselves lies beside. */
function packed(folder: string): Map<string, Buffer> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !/^(test|native\/obj|native-\w+)(\/|$)/.test(name) && !name.endsWith('.lock'),
  );
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  return new Map(files.sort().map((name) => [name, readFileSync(join(folder, name))]));
}

describe('the package', () => {
  it(
    'has the same files wherever it is built',
    inRuntimeSession((session) => {
      const copy = session.path('elsewhere');
      mkdirSync(copy);
      for (const name of ['extension', 'native', 'esbuild.mjs', 'package.json', 'tsconfig.json'])
        cpSync(join(root, name), join(copy, name), { recursive: true });
      cpSync(join(root, 'node_modules'), join(copy, 'node_modules'), {
        recursive: true,
        mode: constants.COPYFILE_FICLONE,
      });
      execFileSync('node', ['esbuild.mjs'], { cwd: copy });
      const [here, there] = [packed(dist), packed(join(copy, 'dist'))];
      assert.deepEqual([...there.keys()], [...here.keys()]);
      for (const [name, content] of there) assert.ok(content.equals(here.get(name)!), `${name} differs`);
      return Promise.resolve();
    }),
  );

  it('comes with the licence of every package that is in it', () => {
    const notices = readFileSync(join(dist, 'THIRD_PARTY_NOTICES.txt'), 'utf8');
    const maps = readdirSync(dist).filter((name) => name.endsWith('.js.map'));
    const sources = maps.flatMap(
      (name) => (JSON.parse(readFileSync(join(dist, name), 'utf8')) as { sources: string[] }).sources,
    );
    const names = new Set(
      sources.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []),
    );
    assert.ok(names.size >= 4, [...names].join());
    for (const name of [...names, 'koffi', '@koromix/koffi-linux-x64', 'tree-sitter-c', 'tree-sitter-cpp']) {
      const { version } = JSON.parse(
        readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'),
      ) as {
        version: string;
      };
      assert.ok(notices.includes(`${name} ${version} (`), name);
    }
    assert.match(notices, /Permission is hereby granted/);
    assert.match(readFileSync(join(root, '.vscodeignore'), 'utf8'), /^!dist\/THIRD_PARTY_NOTICES.txt$/m);
  });
});
