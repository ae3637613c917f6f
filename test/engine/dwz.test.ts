// Debug information that dwz made smaller: entries that several units have in common are in units of their own, which
// may be in another file. What they say counts as if each unit had them itself.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ElfFile } from '../../extension/engine/elf/file';
import { samples } from '../support/paths';
import { inSession, type Session } from '../support/session';

const header = `#include <string>
struct pair { int first, second; };
struct node { node *next; pair value; std::string name; };
inline int sum(const pair &p) { return p.first + p.second; }
`;
const text = (name: string): string => `#include "part.h"
static long count = 5;
pair kept_${name} = {1, 2};
long ${name}(long n) {
  static long calls;
  auto add = [n](int k) { return n + k; };
  node last = {nullptr, kept_${name}, "last"};
  return add(sum(last.value)) * 2 + 0 + count++ * 100 + ++calls * 10000;
}
`;

/** Two programs of the same units, so that dwz finds what they have in common. */
async function build(session: Session, compiler: string, flags: string[]): Promise<void> {
  session.write('part.h', header);
  session.write('unit.cc', text('value'));
  session.write('other.cc', text('other'));
  session.write('main.cc', readFileSync(join(samples, 'driver', 'main.cc'), 'utf8'));
  await session.build({ sources: ['main.cc', 'other.cc', 'unit.cc'], flags: ['-g', ...flags], compiler });
  await session.run('cp', ['program', 'twin']);
}

const ways: [string, (session: Session) => Promise<unknown>][] = [
  ['in the program itself', (session) => session.run('dwz', ['program'])],
  [
    'in a file of its own',
    (session) => session.run('dwz', ['--multifile', 'common.debug', 'program', 'twin']),
  ],
];

const isInstalled = spawnSync('dwz', ['--version']).status === 0;

describe('what units have in common, found by dwz', () => {
  if (!isInstalled) {
    it('not run: dwz not installed');
    return;
  }
  for (const [where, make] of ways)
    for (const [compiler, ...flags] of [
      ['g++', '-O2'],
      ['clang++', '-O0', '-gdwarf-4'],
    ] as const)
      it(
        `${where}, is compared as before: ${compiler} ${flags.join(' ')}`,
        inSession(async (session) => {
          await build(session, compiler, flags);
          await make(session);
          const program = await session.start();
          assert.equal(await program.ask('1'), '10508');
          const unedited = await session.patch('unit.cc', 'unchanged');
          assert.deepEqual(unedited.warnings, []);
          session.edit('unit.cc', '* 2 + 0', '* 2 + 1');
          const result = await session.patch('unit.cc');
          assert.deepEqual(result.warnings, []);
          assert.equal(await program.ask('1'), '20609');
          const before = session.edit('part.h', 'first, second;', 'first, between, second;');
          await session.refused('unit.cc', 'layout-changed');
          session.write('part.h', before);
          session.edit('unit.cc', '* 2 + 1', '* 2 + 0');
          await session.patch('unit.cc', 'reverted');
          assert.equal(await program.ask('1'), '30708');
        }),
      );

  it(
    'in a file of its own, is found from a debug file, and missed by a warning where it is not there',
    inSession(async (session) => {
      await build(session, 'g++', ['-O0']);
      // As distributions ship it: the debug file is known by its build id, and counts its relative link from there.
      const id = ElfFile.parse('program', readFileSync(session.path('program'))).buildId()!;
      const debugFile = join('roots', '.build-id', id.slice(0, 2), `${id.slice(2)}.debug`);
      await session.run('mkdir', ['-p', dirname(debugFile), 'roots/.dwz']);
      await session.run('objcopy', ['--only-keep-debug', 'program', debugFile]);
      const common = ['--multifile=roots/.dwz/common.debug', '--multifile-name=../../.dwz/common.debug'];
      await session.run('dwz', [...common, debugFile, 'twin']);
      await session.run('strip', ['program']);
      await session.run('mv', ['roots/.dwz/common.debug', 'away.debug']);
      await session.start();
      const target = ['--debug-directory', 'roots', 'unit.cc'];
      session.edit('unit.cc', '* 2 + 0', '* 2 + 1');
      const { warnings } = await session.patch(target);
      assert.deepEqual(
        warnings.map(({ code }) => code),
        ['layout-unchecked'],
      );
      assert.match(warnings[0]!.message, /are in another file, which was not found/);
      await session.run('mv', ['away.debug', 'roots/.dwz/common.debug']);
      session.edit('part.h', 'first, second;', 'first, between, second;');
      await session.refused(target, 'layout-changed');
    }),
  );
});
