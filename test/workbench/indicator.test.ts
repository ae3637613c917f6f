// States of the status bar by their real causes, and left again: those that have to do with the compiler, with builds
// and with a process that is held. The others: no database, no process, no runtime, restricted (welcome.test.ts);
// compile errors, refused, stopped, ended, flags differ, no command, rebuilt (problems.test.ts); live, original
// (save.test.ts); several processes, went back (processes.test.ts); patched, after a reload (reload.test.ts). Linux
// only: nothing on Linux leads there (status_bar.test.ts).
import { strict as assert } from 'node:assert';
import { chmodSync, rmSync } from 'node:fs';
import { gdbSignalName } from '../../extension/debug/signal_pass';
import { Gdb } from '../support/debuggers';
import type { Program } from '../support/program';
import type { Session } from '../support/session';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';

/** A compiler that waits as long as there is a file `held`, and fails without a word while there is one `broken`. */
const COMPILER = `#!/bin/sh
while [ -e held ]; do sleep 0.05; done
[ -e broken ] && exit 1
exec gcc "$@"
`;

const unit = (name: string) => `long ${name}(long n) {\n  return n * 2;\n}\n`;

describe('the status bar', () => {
  let program: Program;
  let gdb: Gdb | undefined;
  const world = useWorkbench(async (session) => {
    session.copySample('driver');
    const compiler = session.write('cc', COMPILER);
    chmodSync(compiler, 0o755);
    session.write('unit.c', unit('value'));
    session.write('edited.c', unit('edited'));
    session.write('wrong.c', unit('wrong'));
    const sources = ['main.c', 'unit.c', 'edited.c', 'wrong.c'];
    await session.build({ compiler, sources, flags: ['-g', '-O0'] });
    program = await session.start();
  });
  after(() => gdb?.end());
  const value = async () => Number(await program.ask('10'));
  const isReady = () => world.workbench.status(new RegExp(`program \\(${program.pid}\\)\\s*$`));

  it('says that a file is being checked, and what came of it', async () => {
    const { workbench, session } = world;
    session.write('held', '');
    await workbench.openFile('unit.c');
    await workbench.status(`program (${program.pid}) · checking…`);
    await workbench.screenshot('checking');
    rmSync(session.path('held'));
    await isReady();
    await workbench.statusTooltip('reproduces the running code');
    await workbench.unhover();
  });

  it('says that a file differs from what runs, until it is saved', async () => {
    const { workbench, session } = world;
    session.edit('edited.c', 'n * 2', 'n * 3');
    await workbench.openFile('edited.c');
    await isReady();
    await workbench.statusTooltip('differs from the running code; save it');
    await workbench.unhover();
    await workbench.marks('differs', 1);
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    await workbench.marks('live', 1);
  });

  it('says before the first save that a file does not compile, until it does', async () => {
    const { workbench, session } = world;
    session.edit('wrong.c', 'n * 2', 'm * 2');
    await workbench.openFile('wrong.c');
    await workbench.status('does not compile');
    await shows(workbench.lens('does not compile'));
    await workbench.replace('m * 2', 'n * 2');
    await workbench.save();
    await workbench.status('unchanged');
    await isGone(workbench.lens('does not compile'));
  });

  it('says that a save is being compiled', async () => {
    const { workbench, session } = world;
    await workbench.openFile('unit.c');
    session.write('held', '');
    await workbench.replace('n * 2', 'n * 3');
    await workbench.save();
    await workbench.status('Compiling…');
    assert.equal(await value(), 20);
    rmSync(session.path('held'));
    await workbench.status(/live in \d+ ms/);
    assert.equal(await value(), 30);
  });

  it('gives up a save that is being compiled when it is clicked, and takes the next one', async () => {
    const { workbench, session } = world;
    session.write('held', '');
    await workbench.replace('n * 3', 'n * 7');
    await workbench.save();
    await (await workbench.status('Compiling…')).click();
    await workbench.status(new RegExp(`program \\(${program.pid}\\)`));
    assert.equal(await value(), 30);
    await workbench.marks('differs', 1);
    await workbench.replace('n * 7', 'n * 3');
    rmSync(session.path('held'));
    await workbench.save();
    await workbench.status('unchanged');
    await workbench.marks('differs', 0);
  });

  it('says that the compiler failed, also when it gives no reason', async () => {
    const { workbench, session } = world;
    session.write('broken', '');
    await workbench.replace('n * 3', 'n * 4');
    await workbench.save();
    await workbench.status('does not compile');
    rmSync(session.path('broken'));
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.equal(await value(), 40);
  });

  it('says that a debugger holds the process, and the save is applied when it goes on', async () => {
    const { workbench, session } = world;
    gdb = await attach(session, program);
    await workbench.replace('n * 4', 'n * 5');
    await workbench.save();
    await workbench.status('Waiting for the debugger to continue');
    await workbench.screenshot('debugger');
    await gdb.resume();
    await workbench.status(/live in \d+ ms/);
    assert.equal(await value(), 50);
    await gdb.end();
    gdb = undefined;
  });

  it('says that a breakpoint is in the way, and the save is applied when it is removed', async () => {
    const { workbench, session } = world;
    await workbench.openFile('wrong.c');
    gdb = await attach(session, program);
    await gdb.run('break *wrong');
    await gdb.resume();
    await workbench.replace('n * 2', 'n * 6');
    await workbench.save();
    await workbench.status('Waiting until the breakpoint at the entry is removed');
    await gdb.interrupt();
    await gdb.run('delete');
    await gdb.resume();
    await workbench.status(/live in \d+ ms/);
    await shows(workbench.lens(/Version 1 live/));
    await gdb.end();
    gdb = undefined;
  });

  it('says that the runtime does not answer, until it does', async () => {
    const { workbench } = world;
    process.kill(program.pid, 'SIGSTOP');
    await workbench.command('Hot Patch: Count Threads in Old Code');
    await workbench.status('program does not answer');
    await workbench.showView();
    await workbench.row(new RegExp(`does not answer · pid ${program.pid}`));
    await workbench.screenshot('silent');
    process.kill(program.pid, 'SIGCONT');
    await workbench.status(/live in \d+ ms/);
    await isGone(workbench.page.locator('.sidebar .monaco-list-row', { hasText: 'does not answer' }));
    assert.equal(await value(), 50);
  });
});

async function attach(session: Session, program: Program): Promise<Gdb> {
  const listed = JSON.parse((await session.hotPatch('ps', '--json')).stdout) as {
    pid: number;
    runtime?: { signal: number };
  }[];
  const { signal } = listed.find(({ pid }) => pid === program.pid)!.runtime!;
  return Gdb.attach(program.pid, `handle ${gdbSignalName(signal)} nostop noprint pass`);
}

describe('the status bar, for a program that cannot be patched', () => {
  const library = ['-g', '-O0', '-fPIC'];
  let program: Program;
  const buildLibrary = async (session: Session) => {
    await session.run('gcc', [...library, '-c', 'part.c', '-o', 'part.o']);
    await session.run('gcc', ['-shared', 'part.o', '-o', 'libpart.new']);
    await session.run('mv', ['libpart.new', 'libpart.so']);
  };
  const world = useWorkbench(async (session) => {
    session.copySample('driver');
    session.write('part.c', unit('value'));
    await buildLibrary(session);
    const linkFlags = ['-L.', '-lpart', '-Wl,-rpath,$ORIGIN'];
    await session.build({ sources: ['main.c'], flags: ['-g', '-O0'], linkFlags });
    const { directory } = session;
    session.writeDatabase([{ directory, file: 'part.c', arguments: ['gcc', ...library, '-c', 'part.c'] }]);
    program = await session.start();
  });

  it('says that its library is of another build, until it is started again', async () => {
    const { workbench, session } = world;
    session.edit('part.c', 'n * 2', 'n * 3');
    await buildLibrary(session);
    await workbench.openFile('part.c');
    await workbench.status('other build');
    await shows(workbench.lens('of another build'));
    await workbench.screenshot('other-build');
    await program.stop();
    program = await session.start();
    await workbench.status(`program (${program.pid})`);
    await isGone(workbench.lens('of another build'));
  });
});
