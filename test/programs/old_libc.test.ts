// Programs with the C library of Debian 11 (glibc 2.31), in a root of their own: threads and dlopen are in libraries of
// their own there, which a program may not have loaded. Skipped where the archive no longer has that release.
import { strict as assert } from 'node:assert';
import { chmodSync, cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { attach } from '../support/attach';
import type { Program } from '../support/program';
import { useSession } from '../support/session';
import { debianPackages } from './debian_source';

const SUITE = 'bullseye';
const LIBRARIES = join('usr', 'lib', 'x86_64-linux-gnu');
const VALUE = 'long value(long n) {\n  return n * 2;\n}\n';

describe('a program with a glibc from before 2.34', () => {
  let packages: string | undefined;
  before(function () {
    if (process.getuid?.() !== 0) this.skip(); // another root
    try {
      packages = debianPackages(SUITE, ['libc6', 'libc6-dev', 'linux-libc-dev', 'libcrypt-dev']);
    } catch (error) {
      console.log(`      no glibc 2.31: the archive of this system has no ${SUITE}\n${String(error)}`);
      this.skip();
    }
  });

  const use = useSession(async (session) => {
    if (packages === undefined) return;
    const root = session.path('root');
    cpSync(packages, root, { recursive: true, verbatimSymlinks: true });
    // In the package it is a path from the root, which the linker does not follow into another one.
    const loader = join(root, 'lib64', 'ld-linux-x86-64.so.2');
    rmSync(loader);
    symlinkSync('../lib/x86_64-linux-gnu/ld-2.31.so', loader);
    for (const name of ['proc', 'tmp', 'dev/shm']) mkdirSync(join(root, name), { recursive: true });
    chmodSync(join(root, 'tmp'), 0o1777);
    session.copySample('family');
    session.copySample('container');
    session.write('unit.c', VALUE);
    await session.run('gcc', ['enter.c', '-o', 'enter']);
    const threads = ['libpthread.so.0', 'libdl.so.2'].map((name) =>
      join(root, 'lib', 'x86_64-linux-gnu', name),
    );
    const flags = [`--sysroot=${root}`, '-g', '-O2'];
    const linkFlags = [
      ...[`--sysroot=${root}`, `-B${join(root, LIBRARIES)}/`, `-L${join(root, LIBRARIES)}`],
      ...['-static-libgcc', '-Wl,--no-as-needed'],
    ];
    await session.build({ sources: ['main.c', 'unit.c'], flags, linkFlags, output: 'root/plain' });
    await session.run('gcc', [...['main.c.o', 'unit.c.o', '-o', 'root/threads', ...linkFlags, ...threads]]);
    session.copySample('attach');
    await session.run('gcc', [
      ...['kinds.c', 'value.c', ...flags, '-o', 'root/kinds', ...linkFlags, ...threads],
    ]);
  });

  async function start(...words: string[]): Promise<Program> {
    const { session } = use;
    const program = await session.startCommand(session.path('enter'), [
      ...[session.path('root'), 'chroot', ...words],
    ]);
    assert.equal(await program.line(), 'ready', program.errorLines.join('\n'));
    return program;
  }

  async function ends(program: Program): Promise<void> {
    program.endInput();
    assert.equal(await program.exit(), 0, program.errorLines.join('\n'));
  }

  for (const [name, description] of Object.entries({
    plain: 'no thread',
    threads: 'its library for threads',
  })) {
    it(`and ${description} is attached to, patched, reverted and detached from`, async () => {
      const { session } = use;
      session.write('unit.c', VALUE);
      const program = await start(`/${name}`);
      const pid = String(program.pid);
      const succeeds = async (...words: string[]) => {
        const { status, stdout, stderr } = await session.hotPatch(...words);
        assert.equal(status, 0, stdout + stderr);
      };
      await succeeds('attach', pid);
      for (const [text, expected] of Object.entries({ 'n * 3': '21', 'n * 3 + 1': '22' })) {
        session.write('unit.c', VALUE.replace('n * 2', text));
        await session.patch(['unit.c', '--pid', pid]);
        assert.equal(await program.ask('7'), expected);
      }
      await succeeds('revert', '--pid', pid);
      assert.equal(await program.ask('7'), '14');
      await succeeds('detach', pid);
      await ends(program);
    });
  }

  for (const kind of [
    'poll',
    'epoll',
    'futex',
    'small-stacks',
    'allocate',
    'load',
    'compute',
    'signals',
    'masked',
  ])
    it(`is attached to in the state "${kind}", and sees nothing wrong`, async () => {
      const program = await start('/kinds', kind);
      const { pause } = await attach(program.pid);
      assert.ok(pause > 0);
      assert.equal(await program.ask('bad'), '0', program.errorLines.join('\n'));
      await ends(program);
    });
});
