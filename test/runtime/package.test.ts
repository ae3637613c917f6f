// How programs get the runtime into their build: the CMake package, its source tree, pkg-config; and that it asks
// for nothing but libc.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
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
    'is found by pkg-config',
    inRuntimeSession(async (session) => {
      const env = { ...process.env, PKG_CONFIG_PATH: join(dist, 'native', 'lib', 'pkgconfig') };
      const flags = execFileSync('pkg-config', ['--cflags', '--libs', 'hot_fix'], { env, encoding: 'utf8' });
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
      'capset',
      'hot_fix_attach',
      'hot_fix_init',
      'init_hot_fix_signal',
      'prctl',
      'pthread_sigmask',
      'sigprocmask',
    ]);
    const used = execFileSync('nm', ['-D', '-u', '--format=just-symbols', runtimeLibrary], {
      encoding: 'utf8',
    });
    assert.doesNotMatch(used, /^(_Z|__cxa_(?!atexit|finalize)|__gxx|_Unwind)/m);
    assert.doesNotMatch(used, /^(exit|_exit|abort|__assert_fail|malloc|printf|puts)(@|$)/m);
  });
});
