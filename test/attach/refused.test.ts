// Each reason for which a process is not attached to, by its real cause. What every test shows besides: the process
// goes on as if nobody had come.
import { strict as assert } from 'node:assert';
import {
  chmodSync,
  closeSync,
  cpSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { attach, attachIsRefused, attachProgram, runAttach, type AttachOptions } from '../support/attach';
import { Program } from '../support/program';
import { runtimeLibrary } from '../support/runtime_process';
import { useSession } from '../support/session';
import { until } from '../support/until';

const isRoot = process.getuid?.() === 0;
/** Somebody who owns nothing. */
const NOBODY = 65534;
const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

const use = useSession(async (session) => {
  session.copySample('attach_refused');
  await session.build({ sources: ['refused.c'], flags: ['-O1', '-pthread'] });
});

const start = (...args: string[]): Promise<Program> => use.session.startPlain('program', args);

async function isUnharmed(program: Program): Promise<void> {
  assert.equal(await program.ask('hello'), 'hello');
  program.endInput();
  assert.equal(await program.exit(), 0);
}

async function refused(program: Program, code: string, options?: AttachOptions): Promise<string> {
  const { error } = await attachIsRefused(program.pid, code, options);
  await isUnharmed(program);
  return error!.message;
}

/** Compiles refused.c in another way, and starts it. */
async function startBuilt(name: string, compiler: string, ...flags: string[]): Promise<Program> {
  await use.session.run(compiler, ['refused.c', '-o', name, ...flags]);
  return use.session.startPlain(name);
}

describe('attaching is refused', () => {
  it('for a process that has ended', async () => {
    const program = await start();
    program.endInput();
    await program.exit();
    await attachIsRefused(program.pid, 'ended');
  });

  it('for one that is stopped', async () => {
    const program = await start();
    process.kill(program.pid, 'SIGSTOP');
    await attachIsRefused(program.pid, 'stopped');
    process.kill(program.pid, 'SIGCONT');
    await isUnharmed(program);
  });

  it('for one that a debugger has, which is named', async () => {
    const program = await start();
    const gdb = await use.session.startCommand('gdb', ['-q', '-nx', '-p', String(program.pid)]);
    gdb.send('echo attached\\n');
    await gdb.line(/attached/);
    const { error } = await attachIsRefused(program.pid, 'debugged');
    assert.match(error!.message, /^gdb \(process \d+\)/);
    await gdb.stop();
    await isUnharmed(program);
  });

  it('for a program that is linked statically', async () => {
    await refused(await startBuilt('static', 'gcc', '-static', '-pthread'), 'static');
  });

  it('for a program that uses musl', async () => {
    await refused(
      await startBuilt(
        'musl',
        'musl-gcc',
        '-idirafter',
        '/usr/include',
        '-idirafter',
        '/usr/include/x86_64-linux-gnu',
      ),
      'musl',
    );
  });

  it('for a program without a C library', async () => {
    const loop =
      'void _start(void) { for (;;) __asm__ volatile("syscall" : : "a"(34) : "rcx", "r11", "memory"); }';
    use.session.write('bare.c', loop);
    const flags = ['-nostdlib', '-pie', '-fpie', '-Wl,--dynamic-linker=/lib64/ld-linux-x86-64.so.2'];
    await use.session.run('gcc', ['bare.c', '-o', 'bare', ...flags]);
    const program = await use.session.startCommand(use.session.path('bare'), []);
    await attachIsRefused(program.pid, 'old-libc');
    assert.ok(program.running);
  });

  it('for a 32-bit program', async () => {
    const loop = 'void _start(void) { for (;;) __asm__ volatile("int $0x80" : : "a"(29) : "memory"); }';
    use.session.write('small.c', loop);
    await use.session.run('gcc', ['-m32', '-nostdlib', '-static', 'small.c', '-o', 'small']);
    const program = await use.session.startCommand(use.session.path('small'), []);
    await attachIsRefused(program.pid, 'architecture');
    assert.ok(program.running);
  });

  it('for one that filters its system calls', async () => {
    await refused(await start('seccomp'), 'seccomp');
  });

  it('for one that gets no more memory', async () => {
    await refused(await start('no-memory'), 'no-memory');
  });

  it('for one that may not make memory executable', async function () {
    const program = await Program.start(use.session.path('program'), ['no-exec']);
    if ((await program.line()) !== 'ready') this.skip();
    await refused(program, 'no-exec');
  });

  it('for one whose threads all wait for locks', async () => {
    const program = await start('no-safe-point');
    await attachIsRefused(program.pid, 'no-safe-point', { within: 300 });
    assert.ok(program.running);
  });

  it('when the loader does not accept the library, with its words', async () => {
    const library = use.session.write('libwrong.so', 'this is not a library\n'.repeat(100));
    const message = await refused(await start(), 'not-loaded', { library });
    assert.match(message, /libwrong\.so.*invalid ELF header/);
  });

  it('in time when the loader is busy, and works when it no longer is', async () => {
    const { session } = use;
    await session.run('gcc', ['-shared', '-fPIC', 'slow.c', '-o', 'slow.so']);
    await session.run('mkfifo', ['fifo']);
    const program = await session.startPlain('program', ['late', session.path('slow.so')], {
      SLOW_FIFO: session.path('fifo'),
    });
    // Opening it for writing waits for the reader: the constructor holds the lock now.
    const fifo = await new Promise<number>((resolve) =>
      setImmediate(() => resolve(openSync(session.path('fifo'), 'w'))),
    );
    await attachIsRefused(program.pid, 'late', { within: 400 });
    assert.equal(await program.ask('hello'), 'hello');
    writeFileSync(fifo, 'x');
    closeSync(fifo);
    await until(
      async () => (await runAttach(program.pid)).document?.outcome,
      (outcome) => outcome === 'ready',
    );
    await isUnharmed(program);
  });
});

describe('attaching with other rights', () => {
  /** Where everybody may read: the workspace of a test is its own. */
  let shared = '';
  before(function () {
    if (!isRoot) this.skip();
    shared = mkdtempSync('/tmp/hot-patch-rights-');
    chmodSync(shared, 0o755);
    cpSync(use.session.path('program'), join(shared, 'program'));
    cpSync(attachProgram, join(shared, 'hot_fix_attach'));
  });
  after(() => shared !== '' && rmSync(shared, { recursive: true }));

  const startAs = async (wrapper: string[], ...args: string[]): Promise<Program> => {
    const [command, ...rest] = [...wrapper, join(shared, 'program'), ...args];
    const program = await use.session.startCommand(command!, rest);
    await program.line('ready');
    return program;
  };
  const byNobody: AttachOptions = {
    get wrapper() {
      return asNobody;
    },
    get program() {
      return join(shared, 'hot_fix_attach');
    },
  };

  it("is refused for another user's process", async () => {
    await refused(await startAs([]), 'other-user', byNobody);
  });

  it('is refused for a process that is not dumpable', async () => {
    await refused(await startAs(asNobody, 'not-dumpable'), 'not-dumpable', byNobody);
  });

  it('is refused for a process with capabilities that its user has not', async () => {
    const capable = [...asNobody, '--inh-caps=+net_raw', '--ambient-caps=+net_raw'];
    await refused(await startAs(capable), 'file-capability', byNobody);
  });

  describe('is refused by Yama', () => {
    before(() => use.session.run('gcc', ['yama.c', '-o', 'yama']));
    const byYama = (scope: string, capable: boolean): AttachOptions => ({
      wrapper: [use.session.path('yama'), scope, ...(capable ? [] : asNobody)],
      program: join(shared, 'hot_fix_attach'),
    });
    const isYama = (scope: string) => new RegExp(`kernel\\.yama\\.ptrace_scope is ${scope}\\)$`);

    for (const [scope, ofOwner, ofCapable] of [
      // Whatever denied it then was not Yama.
      ['', 'not-dumpable', 'not-dumpable'],
      ['0', 'not-dumpable', 'not-dumpable'],
      ['1', 'yama', 'not-dumpable'],
      ['2', 'yama', 'not-dumpable'],
      ['3', 'yama', 'yama'],
    ] as const)
      it(`where its scope is ${scope || 'not there'}: ${ofOwner} for the owner, ${ofCapable} for root`, async () => {
        for (const [code, capable] of [
          [ofOwner, false],
          [ofCapable, true],
        ] as const) {
          const message = await refused(await startAs(asNobody), code, byYama(scope, capable));
          assert.equal(isYama(scope).test(message), code === 'yama', message);
        }
      });

    it('not for a process that may not even be read, which Yama has no say in', async () => {
      const ofOtherGroup = ['setpriv', `--reuid=${NOBODY}`, '--regid=1', '--clear-groups'];
      await refused(await startAs(ofOtherGroup), 'not-dumpable', byYama('1', false));
    });
  });

  it('is refused for one that may not start a thread', async () => {
    await refused(await startAs(asNobody, 'no-thread'), 'no-thread');
  });

  it('works for root on a process that is not dumpable', async () => {
    const program = await startAs(asNobody, 'not-dumpable');
    await attach(program.pid);
    await isUnharmed(program);
  });

  it('works for the owner of a process', async () => {
    const library = join(shared, 'libhot_fix.so');
    cpSync(runtimeLibrary, library);
    const program = await startAs(asNobody);
    await attach(program.pid, { ...byNobody, library });
    await isUnharmed(program);
  });

  it('works for a process that sees other files, and other process numbers', async () => {
    const hidden = `mount -t tmpfs none ${dirname(runtimeLibrary)} && exec "$0"`;
    const { pid } = await startAs(['unshare', '--mount-proc', '--pid', '--fork', 'sh', '-c', hidden]);
    const inner = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    await attach(Number(inner));
    assert.match(readFileSync(`/proc/${inner}/maps`, 'utf8'), /memfd:hot_fix_attach/);
  });
});
