// Programs that were started in one way or another, and attached to as a user does it: by hand in a debugger, with workers
// that were forked before, behind a limit. And what is of them afterwards: children, other programs.
import { strict as assert } from 'node:assert';
import type { PatchableProcess } from '../../extension/engine/model/result';
import { passCommand, USUAL_SIGNAL } from '../../extension/debug/signal_pass';
import { Gdb, Lldb } from '../support/debuggers';
import { cli } from '../support/paths';
import type { Program } from '../support/program';
import { useSession } from '../support/session';
import { until } from '../support/until';

const VALUE = 'long value(long n) {\n  return n * 2;\n}\n';

const use = useSession(async (session) => {
  session.copySample('family');
  session.write('unit.c', VALUE);
  await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O2'] });
});

beforeEach(() => use.session.write('unit.c', VALUE));

type Listed = PatchableProcess & { attachable?: boolean };

async function listed(pid: number): Promise<Listed | undefined> {
  const { stdout } = await use.session.hotPatch('ps', '--all', '--json');
  return (JSON.parse(stdout) as Listed[]).find((entry) => entry.pid === pid);
}

async function attach(...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await use.session.hotPatch('attach', ...words);
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

async function patch(factor: number, ...target: string[]): Promise<void> {
  use.session.write('unit.c', VALUE.replace('n * 2', `n * ${factor}`));
  await use.session.patch(['unit.c', ...target]);
}

async function fork(program: Program): Promise<number> {
  return Number(await program.ask('fork'));
}

describe('a program that a debugger has', () => {
  const debuggers = {
    gdb: (pid: number) => Gdb.attach(pid),
    lldb: (pid: number) => Lldb.attach(use.session.path('program'), pid),
  };
  for (const [name, start] of Object.entries(debuggers))
    it(`is refused by the name of ${name}, with the way out, and can be attached to when that has let go`, async () => {
      const program = await use.session.startPlain();
      const debug = await start(program.pid);
      const refused = await use.session.hotPatch('attach', String(program.pid));
      assert.equal(refused.status, 3, refused.stdout);
      assert.match(
        refused.stderr,
        new RegExp(`${name}.* debugs process ${program.pid} \\[debugged\\]\n +Detach`),
      );
      await debug.end();
      await attach(String(program.pid));
      await patch(3, '--pid', String(program.pid));
      assert.equal(await program.ask('7'), '21');
      await program.stop();
    });
});

describe('a program that a debugger has gets the runtime by what the refusal says', () => {
  /** The commands that stand below the hint. */
  const commandsFor = async (pid: number): Promise<string[]> => {
    const { status, stderr } = await use.session.hotPatch('attach', String(pid));
    assert.equal(status, 3);
    return [...stderr.matchAll(/^ {4}(\S.*)$/gm)].map(([, command]) => command!);
  };
  const isPatched = async (program: Program) => {
    const word = String(program.pid);
    await until(
      () => listed(program.pid),
      (entry) => entry?.state === 'ready',
    );
    await patch(3, '--pid', word);
    assert.equal(await program.ask('7'), '21');
    await patch(4, '--pid', word);
    assert.equal(await program.ask('7'), '28');
  };

  it('in lldb, at a breakpoint', async () => {
    const program = await use.session.startPlain();
    const lldb = await Lldb.attach(use.session.path('program'), program.pid);
    try {
      await lldb.run('breakpoint set --name value');
      await lldb.resume();
      const answer = program.ask('7');
      assert.match(await lldb.stop(), /stop reason = breakpoint/);
      const [command, ...others] = await commandsFor(program.pid);
      assert.deepEqual(others, []);
      assert.match(await lldb.run(command!), /\(void \*\) \$0 = 0x0*[1-9a-f]/);
      await lldb.run('breakpoint delete --force');
      await lldb.run(passCommand('lldb', USUAL_SIGNAL));
      await lldb.resume();
      assert.equal(await answer, '14');
      await isPatched(program);
    } finally {
      await lldb.end();
    }
    assert.equal(await program.ask('7'), '28');
    await program.stop();
  });

  it('in gdb, which lets go for a moment and keeps its breakpoints', async () => {
    const program = await use.session.startPlain();
    const gdb = await Gdb.attach(program.pid);
    try {
      await gdb.run('break value');
      const environment = `env XDG_RUNTIME_DIR=${use.session.path('run')} ${process.execPath} ${cli}`;
      for (const command of await commandsFor(program.pid))
        await gdb.run(command.replace('hot-patch', environment));
      await gdb.run(passCommand('gdb', USUAL_SIGNAL));
      await gdb.resume();
      const answer = program.ask('7');
      assert.equal((await gdb.stop()).reason, 'breakpoint-hit');
      await gdb.run('delete');
      await gdb.resume();
      assert.equal(await answer, '14');
      await isPatched(program);
    } finally {
      await gdb.end();
    }
    await program.stop();
  });
});

describe('a program that runs as systemd runs services', () => {
  // PrivateTmp, ProtectSystem=strict, NoNewPrivileges, PrivateDevices and a clean environment, as systemd.exec(5) has them
  // done. The workspace may lie below /tmp, and stays in sight.
  const service = `
    mount --make-rprivate /
    mount --bind "$PWD" /mnt
    mount -t tmpfs none /tmp && mkdir -p "$PWD" && mount --bind /mnt "$PWD" && cd "$PWD"
    umount /mnt
    mount --bind /usr /usr && mount -o remount,bind,ro /usr
    mount -t tmpfs none /dev/shm
    exec env -i PATH=/usr/bin setpriv --no-new-privs --bounding-set=-all "$PWD/program"`;
  const namespaces = process.getuid!() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user'];

  it('is attached to and patched', async () => {
    const { session } = use;
    const program = await session.startCommand('unshare', [...namespaces, 'sh', '-ec', service]);
    await program.line('ready');
    const word = String(program.pid);
    assert.match(await session.run('cat', [`/proc/${word}/status`]), /^NoNewPrivs:\s*1$/m);
    assert.equal((await listed(program.pid))?.attachable, true);
    await attach(word);
    assert.match((await listed(program.pid))!.runtime!.controlDirectory, /^\/proc\/\d+\/root\/tmp\//);
    for (const factor of [3, 4]) {
      await patch(factor, '--pid', word);
      assert.equal(await program.ask('7'), String(7 * factor));
    }
    await session.hotPatch('detach', word);
    assert.equal(await program.ask('7'), '14');
    program.endInput();
    assert.equal(await program.exit(), 0);
  });
});

describe('a program that forks', () => {
  const forked: number[] = [];
  afterEach(() => {
    for (const pid of forked.splice(0).reverse()) process.kill(pid, 'SIGKILL');
  });

  it('is attached to with all workers that it has forked before', async () => {
    const program = await use.session.startPlain();
    const child = await fork(program);
    forked.push(child, await fork(program));
    const said = await attach('./program');
    for (const pid of [program.pid, ...forked]) assert.match(said, new RegExp(`attached: process ${pid} `));
    await patch(3, '--all');
    // The youngest reads the lines.
    assert.equal(await program.ask('7'), '21');
    for (const pid of [program.pid, ...forked]) {
      const [status] = await use.session.status(String(pid));
      assert.deepEqual(
        status!.functions.map(({ version }) => version),
        [1],
      );
    }
  });

  it('has children that can be patched when it was attached to before it forked', async () => {
    const program = await use.session.startPlain();
    await attach(String(program.pid));
    await patch(3, '--pid', String(program.pid));
    forked.push(await fork(program));
    await until(
      () => listed(forked[0]!),
      (child) => child?.state === 'ready',
    );
    assert.equal(await program.ask('7'), '21');
    await patch(4, '--pid', String(forked[0]));
    assert.equal(await program.ask('7'), '28');
  });
});

describe('a program that runs another in its place', () => {
  it('is not attached to any more, and can be again', async () => {
    const program = await use.session.startPlain();
    const word = String(program.pid);
    await attach(word);
    await patch(3, '--pid', word);
    assert.equal(await program.ask(`exec ${use.session.path('program')}`), 'ready');
    assert.equal(await program.ask('7'), '14');
    assert.equal((await listed(program.pid))?.attachable, true);
    await attach(word);
    await patch(4, '--pid', word);
    assert.equal(await program.ask('7'), '28');
    await program.stop();
  });
});

describe('a program that may open no more files', () => {
  it('is refused in the words of its loader, and attached to when it may', async () => {
    const program = await use.session.startPlain();
    const limit = (files: string) =>
      use.session.run('prlimit', ['--pid', String(program.pid), `--nofile=${files}`]);
    await limit('3:1024');
    const refused = await use.session.hotPatch('attach', String(program.pid));
    assert.equal(refused.status, 3, refused.stdout);
    assert.match(refused.stderr, /Too many open files|[Ee]rror 24.*\[not-loaded\]/);
    assert.equal(await program.ask('7'), '14');
    await limit('1024:1024');
    await attach(String(program.pid));
    await patch(3, '--pid', String(program.pid));
    assert.equal(await program.ask('7'), '21');
    await program.stop();
  });

  it('says what is in the way when it reaches its limit afterwards', async () => {
    const program = await use.session.startPlain();
    await attach(String(program.pid));
    await use.session.run('prlimit', ['--pid', String(program.pid), '--nofile=3:1024']);
    use.session.write('unit.c', VALUE.replace('n * 2', 'n * 3'));
    const refused = await use.session.hotPatch('patch', 'unit.c', '--pid', String(program.pid));
    assert.equal(refused.status, 4, refused.stdout);
    assert.match(refused.stderr, /open files|descriptor/);
    assert.equal(await program.ask('7'), '14');
    await program.stop();
  });
});
