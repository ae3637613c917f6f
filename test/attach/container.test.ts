// A program in a container, patched by somebody outside of it, who has the sources: its root, its process numbers and its
// user are its own. No container engine is needed for that: test/samples/container asks the kernel for the same.
import { strict as assert } from 'node:assert';
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PatchableProcess } from '../../extension/engine/model/result';
import type { Program } from '../support/program';
import { includeDirectory } from '../support/runtime_process';
import { useSession } from '../support/session';

const VALUE = 'long value(long n) {\n  return n * 2;\n}\n';
const HAND_WRITTEN = `#include <hot_fix.h>
extern long value(long n);
static long new_value(long n) { return n + 100; }
FIXTABLE fix_table = {(void *)new_value, (void *)value};`;
const isRoot = process.getuid?.() === 0;
/** Somebody who owns nothing. */
const NOBODY = 65534;

const use = useSession(async (session) => {
  session.copySample('family');
  session.copySample('container');
  session.write('unit.c', VALUE);
  await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O2'], linkFlags: ['-rdynamic'] });
  await session.run('gcc', ['enter.c', '-o', 'enter']);
  await makeRoot(session.path('root'));
});

beforeEach(() => use.session.write('unit.c', VALUE));

/** What the program needs and nothing else: no shell, no compiler, no sources. */
async function makeRoot(root: string): Promise<void> {
  const { session } = use;
  for (const name of ['proc', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  const libraries = (await session.run('ldd', ['program'])).match(/\/\S+/g) ?? [];
  cpSync(session.path('program'), join(root, 'program'));
  for (const library of libraries) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    cpSync(library, join(root, library), { dereference: true });
  }
  // Whoever the program becomes may come in; the workspace itself is for its owner alone.
  for (const directory of [root, session.directory]) chmodSync(directory, 0o711);
}

/** The program in the container: how to talk to it, and its number outside. */
async function start(how: string): Promise<{ program: Program; pid: number; word: string }> {
  const { session } = use;
  const program = await session.startCommand(session.path('enter'), [session.path('root'), how, '/program']);
  await program.line('ready');
  let pid = program.pid;
  for (let inner = how === 'chroot' ? 0 : 2; inner > 0; inner--)
    pid = Number(await session.run('cat', [`/proc/${pid}/task/${pid}/children`]));
  return { program, pid, word: String(pid) };
}

async function succeeds(...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await use.session.hotPatch(...words);
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

async function listed(pid: number): Promise<PatchableProcess & { attachable?: boolean }> {
  const processes = JSON.parse(await succeeds('ps', '--all', '--json')) as PatchableProcess[];
  return processes.find((entry) => entry.pid === pid)!;
}

const edit = (text: string): string => use.session.write('unit.c', VALUE.replace('n * 2', text));

async function ends(program: Program): Promise<void> {
  program.endInput();
  assert.equal(await program.exit(), 0);
}

describe('a program in a container is patched from outside', () => {
  const ways: Record<string, { how: string; root: boolean }> = {
    'with its own root, process numbers and mounts': { how: 'plain', root: false },
    'as another user than the engine': { how: `uid=${NOBODY}`, root: true },
    'whose root is another user outside': { how: `map=${NOBODY}`, root: true },
    'which is nothing but another root': { how: 'chroot', root: true },
  };
  for (const [name, { how, root }] of Object.entries(ways))
    it(name, async function () {
      if (root && !isRoot) this.skip();
      const { session } = use;
      const { program, pid, word } = await start(how);
      assert.equal((await listed(pid)).attachable, true);
      assert.match(await succeeds('attach', word), /attached: process/);
      assert.equal((await listed(pid)).state, 'ready');
      edit('n * 3');
      await session.patch(['unit.c', '--pid', word]);
      assert.equal(await program.ask('7'), '21');
      // The second save is compared with what the first one loaded, whose file is inside.
      edit('n * 3 + 1');
      await session.patch(['unit.c', '--pid', word]);
      assert.equal(await program.ask('7'), '22');
      const [status] = await session.status(word);
      assert.equal(status!.pid, pid);
      assert.deepEqual(
        status!.functions.map(({ version, verifiedFromMemory }) => [version, verifiedFromMemory]),
        [[2, true]],
      );
      await succeeds('revert', '--pid', word);
      assert.equal(await program.ask('7'), '14');
      assert.match(await succeeds('detach', word), /detached/);
      await ends(program);
      assert.deepEqual(readdirSync(session.path('root', 'tmp')), []);
    });

  it('in the go of a save', async () => {
    const { program, word } = await start('plain');
    edit('n * 5');
    await use.session.patch(['unit.c', '--attach', '--pid', word]);
    assert.equal(await program.ask('7'), '35');
    await ends(program);
  });

  it('with a patch that was written by hand', async () => {
    const { session } = use;
    session.write('hand.c', HAND_WRITTEN);
    await session.run('gcc', ['-shared', '-fPIC', 'hand.c', '-o', 'hand.so', `-I${includeDirectory}`]);
    const { program, word } = await start('plain');
    await succeeds('attach', word);
    await succeeds('load', word, 'hand.so');
    assert.equal(await program.ask('7'), '107');
    await ends(program);
  });
});

describe('a container that is not to be trusted', () => {
  it('leads no file of the engine to another place', async () => {
    const { session } = use;
    const { program, word, pid } = await start('plain');
    await succeeds('attach', word);
    const { controlDirectory } = (await listed(pid)).runtime!;
    const elsewhere = session.path('elsewhere');
    mkdirSync(elsewhere, { mode: 0o700 });
    rmSync(join(controlDirectory, 'patches'), { recursive: true });
    symlinkSync(elsewhere, join(controlDirectory, 'patches'));
    edit('n * 3');
    const refused = await session.hotPatch('patch', 'unit.c', '--pid', word);
    assert.equal(refused.status, 1, refused.stdout + refused.stderr);
    assert.match(refused.stderr, /\[cannot-write\]/);
    assert.deepEqual(readdirSync(elsewhere), []);
    assert.equal(await program.ask('7'), '14');
    await ends(program);
  });
});

describe('a program with process numbers of its own and the /proc of others', () => {
  it('is not attached to, with the reason', async () => {
    const { session } = use;
    const container = ['--user', '--map-root-user', '--mount', '--pid', '--fork'];
    const program = await session.startCommand('unshare', [...container, session.path('program')]);
    await program.line('ready');
    const pid = (await session.run('cat', [`/proc/${program.pid}/task/${program.pid}/children`])).trim();
    const refused = await session.hotPatch('attach', pid);
    assert.equal(refused.status, 3, refused.stdout);
    assert.match(refused.stderr, /sees no \/proc with its own process numbers \[no-proc\]/);
    assert.equal(await program.ask('7'), '14');
    await ends(program);
  });
});
