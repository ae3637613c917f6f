// The library that stands in LD_PRELOAD of terminals: which programs get the runtime by it, and that every other one
// starts as it would without, whatever it is. Real programs, without VS Code.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  GATE_VARIABLE,
  gateValue,
  isPreloadable,
  putGate,
  type Gate,
} from '../../extension/workbench/session/terminal_gate';
import { dist } from '../support/paths';
import type { Program } from '../support/program';
import { useSession } from '../support/session';
import { until } from '../support/until';

const lib = join(dist, 'native', 'lib');
let gate: Gate;
let terminal: NodeJS.ProcessEnv;

const use = useSession(async (session) => {
  session.copySample('driver');
  session.write('unit.c', 'long value(long n) {\n  return n * 2;\n}\n');
  mkdirSync(session.path('project/build'), { recursive: true });
  mkdirSync(session.path('project/node_modules/tool'), { recursive: true });
  mkdirSync(session.path('project-2'));
  await session.build({
    sources: ['main.c', 'unit.c'],
    flags: ['-g', '-O2'],
    output: 'project/build/program',
  });
  symlinkSync('project', session.path('link'));
  gate = await putGate(session.path('storage'), lib, lib);
  // A workspace may have been opened by a link.
  const value = await gateValue(gate.runtime, ['/nowhere', session.path('link')]);
  terminal = { LD_PRELOAD: `${gate.library}:`, [GATE_VARIABLE]: value };
});

const maps = ({ pid }: Program): string => readFileSync(`/proc/${pid}/maps`, 'utf8');
const isReady = async (program: Program): Promise<boolean> => {
  const { stdout } = await use.session.hotPatch('ps', '--json');
  const listed = JSON.parse(stdout) as { pid: number; state: string }[];
  return listed.some(({ pid, state }) => pid === program.pid && state === 'ready');
};

/** Starts the program as a terminal would, to its end. It must say nothing that it would not say without the gate. */
function runsAsAlways(program: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): string {
  const base = { ...use.session.environment, ...env };
  const plain = spawnSync(program, args, { encoding: 'utf8', env: base, input: '' });
  const gated = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...base, ...terminal, ...env },
    input: '',
  });
  assert.deepEqual([gated.status, gated.stderr], [plain.status, plain.stderr]);
  assert.equal(gated.status, 0, gated.stderr + String(gated.error));
  return gated.stdout;
}

describe('a program that is started in a terminal', () => {
  it('has the runtime when its file is in a folder of the workspace, and is patched', async () => {
    const { session } = use;
    const program = await session.startPlain('project/build/program', [], terminal);
    await until(() => isReady(program), Boolean);
    session.edit('unit.c', 'n * 2', 'n * 3');
    await session.patch(['unit.c', '--pid', String(program.pid)]);
    assert.equal(await program.ask('7'), '21');
    await program.stop();
  });

  it('is untouched when its file is elsewhere, of packages, or the folder is only named alike', async () => {
    const { session } = use;
    for (const place of ['outside', 'project/node_modules/tool/program', 'project-2/program']) {
      await session.run('cp', ['project/build/program', place]);
      const program = await session.startPlain(place, [], terminal);
      assert.match(maps(program), /libhot_fix_gate\.so/);
      assert.doesNotMatch(maps(program), /libhot_fix\.so/, place);
      assert.equal(await program.ask('7'), '14');
      program.endInput();
      assert.equal(await program.exit(), 0);
    }
  });

  it('has the runtime too when something outside started it', async () => {
    const { session } = use;
    const shell = await session.startCommand(
      'sh',
      ['-c', `${session.path('project/build/program')}; :`],
      terminal,
    );
    await shell.line('ready');
    assert.doesNotMatch(maps(shell), /libhot_fix\.so/);
    const [pid] = readFileSync(`/proc/${shell.pid}/task/${shell.pid}/children`, 'utf8').split(' ');
    await until(() => isReady({ pid: Number(pid) } as Program), Boolean);
    shell.endInput();
    assert.equal(await shell.exit(), 0);
  });

  it('has one runtime when it is started by hot-patch run there', async () => {
    const { session } = use;
    const program = await session.start('project/build/program', [], {
      [GATE_VARIABLE]: terminal[GATE_VARIABLE],
      LD_PRELOAD: `${gate.library}:${join(lib, 'libhot_fix.so')}`,
    });
    await until(() => isReady(program), Boolean);
    const tasks = await session.run('sh', ['-c', `cat /proc/${program.pid}/task/*/comm`]);
    assert.equal(tasks.split('\n').filter((name) => name === 'hot_fix').length, 1);
    await program.stop();
  });

  it('starts without the runtime when that is gone', () => {
    const { session } = use;
    renameSync(gate.runtime, `${gate.runtime}.away`);
    try {
      runsAsAlways(session.path('project/build/program'));
    } finally {
      renameSync(`${gate.runtime}.away`, gate.runtime);
    }
  });
});

describe('every other kind of program that is started in a terminal', () => {
  const build = async (compiler: string, flags: string[], output: string): Promise<string> => {
    await use.session.run(compiler, [...flags, '-g', 'main.c', 'unit.c', '-o', output]);
    return use.session.path(output);
  };

  for (const [compiler, sanitizer] of [
    ['gcc', 'address'],
    ['clang', 'address'],
    ['gcc', 'thread'],
    ['gcc', 'undefined'],
    ['gcc', 'leak'],
    ['clang', 'memory'],
  ] as const)
    it(`starts: ${compiler} -fsanitize=${sanitizer}, outside and with the runtime`, async () => {
      const flags = [`-fsanitize=${sanitizer}`];
      runsAsAlways(await build(compiler, flags, `outside-${sanitizer}`));
      // Options of one's own change nothing about it.
      runsAsAlways(use.session.path(`outside-${sanitizer}`), [], { ASAN_OPTIONS: 'detect_leaks=0' });
      const inside = await build(compiler, flags, `project/${sanitizer}`);
      runsAsAlways(inside);
      const program = await use.session.startPlain(`project/${sanitizer}`, [], terminal);
      await until(() => isReady(program), Boolean);
      assert.equal(await program.ask('7'), '21');
      program.endInput();
      assert.equal(await program.exit(), 0, program.errorLines.join('\n'));
    });

  it('starts: 32-bit', async () => {
    const { session } = use;
    session.write('small.c', 'void exit(int); void _start(void) { exit(0); }');
    const link = ['-Wl,-dynamic-linker,/lib/ld-linux.so.2', '-L/lib32', '-l:libc.so.6', '-Wl,-rpath,/lib32'];
    await session.run('gcc', ['-m32', '-nostdlib', '-no-pie', 'small.c', ...link, '-o', 'project/small']);
    runsAsAlways(session.path('project/small'));
  });

  it('starts: musl, and linked statically', async () => {
    runsAsAlways(await build('musl-gcc', [], 'project/musl'));
    runsAsAlways(await build('gcc', ['-static'], 'project/static'));
  });

  it('starts: with the rights of its file, which the loader does not let it into', async function () {
    if (process.getuid!() !== 0) this.skip();
    const { session } = use;
    await session.run('cp', ['project/build/program', 'project/privileged']);
    const path = session.path('project/privileged');
    chownSync(path, 1, 1);
    chmodSync(path, 0o6755);
    runsAsAlways(path);
    const program = await session.startPlain('project/privileged', [], terminal);
    assert.doesNotMatch(maps(program), /hot_fix/);
    await program.stop();
  });

  it('goes on: one of the workspace that gives up the rights of root step by step', async function () {
    if (process.getuid!() !== 0) this.skip();
    const { session } = use;
    // What it starts then is another user's program, whose loader looks for the library too.
    chmodSync(session.directory, 0o755);
    const path = session.path('project/setpriv');
    await session.run('sh', ['-c', `cp "$(command -v setpriv)" ${path}`]);
    const rights = [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      '--inh-caps=-all',
      '--bounding-set=-all',
    ];
    for (let round = 0; round < 10; round++) runsAsAlways(path, [...rights, 'true']);
    // And in programs without the runtime the calls mean what they always do.
    runsAsAlways('setpriv', [...rights, 'true']);
  });

  it('starts: one that clears its environment, and has nothing of it', () => {
    assert.equal(runsAsAlways('env', ['-i', 'cat', '/proc/self/maps']).includes('hot_fix'), false);
    assert.match(runsAsAlways('cat', ['/proc/self/maps']), /libhot_fix_gate\.so/);
  });
});

describe('the gate', () => {
  it('stays where it is, and as it is for those that have it, when another is put there', async () => {
    const { session } = use;
    const folder = session.path('storage-2');
    const first = await putGate(folder, lib, lib);
    const runs = await session.startPlain('outside', [], { LD_PRELOAD: first.library });
    await session.run('cp', ['-r', lib, 'newer']);
    await session.run('sh', ['-c', 'cat newer/libhot_fix.so >> newer/libhot_fix_gate.so']);
    const second = await putGate(folder, session.path('newer'), session.path('newer'));
    assert.deepEqual(second, first);
    assert.match(maps(runs), /libhot_fix_gate\.so \(deleted\)/);
    assert.equal(readFileSync(first.runtime).equals(readFileSync(session.path('newer/libhot_fix.so'))), true);
    rmSync(session.path('newer'), { recursive: true });
    assert.equal(await runs.ask('7'), '14');
    await runs.stop();
  });

  it('is told of folders without links, once, and not of those that it could not be told of', async () => {
    const { session } = use;
    const folders = [
      session.path('link'),
      session.path('project'),
      session.path('project/build'),
      '/with:colon',
    ];
    assert.equal(await gateValue('/runtime', folders), `/runtime:${session.path('project')}`);
  });

  it('is put only where the loader can be told of it', () => {
    assert.deepEqual(
      ['/home/ann/.vscode-server/data', '/home/ann/.config/Code - Insiders', '/a:b', '/$x'].map(
        isPreloadable,
      ),
      [true, false, false, false],
    );
  });
});
