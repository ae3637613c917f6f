// Processes as they start, fork, run another program and end: the tree, the lens and the status bar follow.
import { strict as assert } from 'node:assert';
import type { Program } from '../support/program';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';

describe('a program that forks', () => {
  let program: Program;
  let child = 0;
  const world = useWorkbench(async (session) => {
    session.copySample('family');
    session.write('unit.c', 'long value(long n) {\n  return n * 2;\n}\n');
    await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O0'] });
    program = await session.start();
  });
  const rowOf = (pid: number) =>
    world.workbench.page.locator('.sidebar .monaco-list-row', { hasText: new RegExp(`pid ${pid}\\b`) });
  after(() => {
    if (child) process.kill(child, 'SIGKILL');
  });

  it('is shown with its child, which has the patches that it was born with', async () => {
    const { workbench } = world;
    await workbench.openFile('unit.c');
    await workbench.showView();
    await workbench.status(`program (${program.pid})`);
    const beforeTheFirst = workbench.welcome('Each patch is listed here');
    await shows(beforeTheFirst);
    await workbench.replace('n * 2', 'n * 3');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    await isGone(beforeTheFirst);
    child = Number(await program.ask('fork'));
    await shows(rowOf(program.pid));
    await shows(rowOf(child));
    await shows(workbench.lens(/Version 1 .*in 2 processes/));
    assert.equal(await program.ask('10'), '30');
  });

  it('is patched together with its child', async () => {
    const { workbench } = world;
    await workbench.replace('n * 3', 'n * 4');
    await workbench.save();
    await shows(workbench.lens(/Version 2 .*in 2 processes/));
    assert.equal(await program.ask('10'), '40');
    await workbench.screenshot('forked');
  });

  it('may end before its child, which is followed on, patched, and until its own end', async () => {
    const { workbench } = world;
    process.kill(program.pid, 'SIGKILL');
    await isGone(rowOf(program.pid));
    await shows(rowOf(child));
    await workbench.replace('n * 4', 'n * 5');
    await workbench.save();
    await shows(workbench.lens(/Version 3 live in \d+ ms\s*$/));
    await workbench.row(/value.*version 3 · verified/s);
    process.kill(child, 'SIGKILL');
    child = 0;
    await isGone(workbench.lens(/Version/));
    await shows(workbench.welcome('No process of this workspace is running'));
  });
});

describe('a program that runs another one in its place', () => {
  let program: Program;
  const world = useWorkbench(async (session) => {
    session.copySample('family');
    session.write('unit.c', 'long value(long n) {\n  return n * 2;\n}\n');
    session.write('other.c', 'long value(long n) {\n  return n + 1;\n}\n');
    await session.build({ sources: ['main.c', 'other.c'], output: 'second', flags: ['-g', '-O0'] });
    const first = session.read('compile_commands.json');
    await session.build({ sources: ['main.c', 'unit.c'], output: 'first', flags: ['-g', '-O0'] });
    const all = [first, session.read('compile_commands.json')];
    session.writeDatabase(all.flatMap((text) => JSON.parse(text) as []));
    program = await session.start('first');
  });

  it('is shown as what it is now, without the patches of what it was', async () => {
    const { workbench, session } = world;
    await workbench.openFile('unit.c');
    await workbench.showView();
    await workbench.status(`first (${program.pid})`);
    await workbench.replace('n * 2', 'n * 3');
    await workbench.save();
    await workbench.row(/value.*version 1 · verified/s);
    assert.equal(await program.ask(`exec ${session.path('second')}`), 'ready');
    await workbench.row(new RegExp(`second.*pid ${program.pid}`, 's'));
    await workbench.row('No patches yet');
    await isGone(workbench.lens(/Version|Hot Patch/));
    await workbench.status('first has ended');
    await workbench.screenshot('executed');
  });

  it('is patched as what it is now', async () => {
    const { workbench } = world;
    await workbench.openFile('other.c');
    await shows(workbench.lens('⚡ Hot Patch'));
    await workbench.replace('n + 1', 'n + 2');
    await workbench.save();
    await shows(workbench.lens(/Version 1 live in \d+ ms/));
    await workbench.row(/value.*version 1 · verified/s);
    assert.equal(await program.ask('10'), '12');
  });

  it('is shown as not attached when the other one has no runtime', async () => {
    const { workbench, session } = world;
    assert.equal(await program.ask(`exec-plain ${session.path('first')}`), 'ready');
    await isGone(workbench.lens(/Version|Hot Patch/));
    await workbench.row(new RegExp(`first.*not attached · pid ${program.pid}`, 's'));
    await workbench.status('second has ended');
    await workbench.openFile('unit.c');
    await workbench.command('Hot Patch: Select Process');
    await shows(workbench.page.locator('.quick-input-list .monaco-list-row', { hasText: 'attach' }));
    await workbench.page.keyboard.press('Escape');
    await workbench.status(`first (${program.pid}) · not attached`);
  });
});
