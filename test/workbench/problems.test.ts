// What goes wrong appears where it belongs, and goes away: compile errors and refusals at their lines, a process that
// ends or does not answer, a compile command that is not that of the running code.
import { strict as assert } from 'node:assert';
import { chmodSync } from 'node:fs';
import type { Program } from '../support/program';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';

const UNIT = `struct Account {
  long balance;
  long limit;
};

static struct Account account = {100, 500};

long value(long n) {
  account.balance += n;
  return account.balance;
}
`;

describe('trouble', () => {
  let program: Program;
  const world = useWorkbench(async (session) => {
    session.copySample('driver');
    session.write('unit.c', UNIT);
    await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O2'] });
    program = await session.start();
  });
  const value = async (n: number) => Number(await program.ask(String(n)));

  it('with the compiler is shown at its place and gone with the next good save', async () => {
    const { workbench } = world;
    await workbench.openFile('unit.c');
    await workbench.status(`program (${program.pid})`);
    await workbench.page.keyboard.press('Control+B');
    await workbench.showProblems();
    await workbench.replace('+= n', '+= m');
    await workbench.save();
    await workbench.status('1 compile error');
    await shows(workbench.problem(/‘m’ undeclared.*Ln 9, Col 22/s));
    assert.equal(await value(1), 101);
    await workbench.screenshot('compile-error');
    await workbench.replace('+= m', '+= 2 * n');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    await isGone(workbench.problem('undeclared'));
    assert.equal(await value(1), 103);
  });

  it('with a layout is refused at the line that causes it, with the way to its explanation', async () => {
    const { workbench } = world;
    await workbench.replace('long limit;', 'long limit, fee;');
    await workbench.save();
    await workbench.status('refused');
    const problem = workbench.problem(/Account/);
    await shows(problem);
    assert.equal(await value(1), 105);
    await shows(workbench.lens(/Version 1 live/));
    await workbench.screenshot('refusal');
    await workbench.page.locator('.markers-panel a', { hasText: 'layout-changed' }).click();
    // Its section, not only its tab: the page takes the focus when it has been drawn.
    await shows(workbench.preview().getByRole('heading', { name: 'layout-changed' }));
    await workbench.openFile('unit.c');
    await workbench.replace('long limit, fee;', 'long limit;');
    await workbench.save();
    await workbench.status('unchanged');
    await isGone(workbench.problem(/Account/));
  });

  it('with a new initialiser is a warning: the value is kept', async () => {
    const { workbench } = world;
    await workbench.replace('100, 500', '100, 700');
    await workbench.save();
    await shows(workbench.problem(/initialiser.*kept/s));
    await workbench.replace('100, 700', '100, 500');
    await workbench.save();
    await isGone(workbench.problem(/initialiser.*kept/s));
  });

  it('with a process that is stopped is said, and the save is applied when it goes on', async () => {
    const { workbench } = world;
    process.kill(program.pid, 'SIGSTOP');
    await workbench.replace('2 * n', '3 * n');
    await workbench.save();
    await workbench.status('Waiting for the stopped process to continue');
    await workbench.screenshot('stopped');
    process.kill(program.pid, 'SIGCONT');
    await workbench.status(/live in \d+ ms/);
    assert.equal(await value(1), 108);
  });

  it('with a process that has ended is said, and gone when it runs again', async () => {
    const { workbench, session } = world;
    await program.stop();
    await workbench.status('program has ended');
    await isGone(workbench.lens(/Version/));
    await workbench.screenshot('ended');
    program = await session.start();
    await workbench.status(`program (${program.pid})`);
  });
});

describe('trouble with a header', () => {
  const SHAPE = 'struct shape {\n  long width;\n};\n';
  let program: Program;
  const world = useWorkbench(async (session) => {
    session.copySample('driver');
    session.write('shape.h', SHAPE);
    session.write(
      'unit.c',
      '#include "shape.h"\nextern struct shape s;\nlong value(long n) {\n  return n * s.width;\n}\n',
    );
    session.write(
      'more.c',
      '#include "shape.h"\nstruct shape s = {2};\nlong more(long n) {\n  return n;\n}\n',
    );
    session.write('plain.c', 'long plain(long n) {\n  return n;\n}\n');
    await session.build({ sources: ['main.c', 'unit.c', 'more.c', 'plain.c'], flags: ['-g', '-O0'] });
    program = await session.start();
  });

  it('that two units include is counted and listed once', async () => {
    const { workbench } = world;
    await workbench.openFile('shape.h');
    await workbench.status(`program (${program.pid})`);
    await workbench.showProblems();
    await workbench.replace('long width;', 'lung width, height;');
    await workbench.save();
    await workbench.status('1 compile error');
    await shows(workbench.problem('lung'));
    assert.equal(await workbench.problem('lung').count(), 1);
    await workbench.replace('lung width', 'long width');
    await workbench.save();
    await workbench.status('refused');
  });

  it('is no part of the result of another save, and stays in Problems', async () => {
    const { workbench } = world;
    await workbench.openFile('plain.c');
    await workbench.replace('return n', 'return n + 1');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    await shows(workbench.problem(/shape/));
    await workbench.statusTooltip('An earlier save of shape.h did not succeed');
    await workbench.screenshot('older-problem');
    await workbench.unhover();
  });

  it('is gone when the header is as it was, without a save', async () => {
    const { workbench, session } = world;
    await workbench.openFile('shape.h');
    await workbench.status('refused');
    session.write('shape.h', SHAPE);
    await isGone(workbench.problem(/shape/));
    await workbench.status(`program (${program.pid})`);
    await workbench.screenshot('header-restored');
  });
});

describe('a compile command that is not that of the running code', () => {
  const others = Array.from(
    { length: 12 },
    (_, i) =>
      `long other_${i}(long n) {\n  for (long i = 0; i < n; i++) account.limit += i * ${i};\n  return n;\n}\n`,
  ).join('');
  let program: Program;
  const world = useWorkbench(async (session) => {
    session.copySample('driver');
    session.write('unit.c', UNIT + others);
    await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O0'] });
    program = await session.start();
  });

  const command = (world: { session: { directory: string } }, optimise: string) => [
    {
      directory: world.session.directory,
      file: 'unit.c',
      arguments: ['gcc', '-g', optimise, '-c', 'unit.c'],
    },
  ];

  it('is said before the first save, and no longer once it is right', async () => {
    const { workbench, session } = world;
    session.writeDatabase(command(world, '-O3'));
    await workbench.openFile('unit.c');
    await workbench.status('flags differ');
    await shows(workbench.lens('built with other flags'));
    await workbench.screenshot('flags-differ');
    session.writeDatabase(command(world, '-O0'));
    await workbench.status(`program (${program.pid})`);
    await isGone(workbench.lens('built with other flags'));
  });

  it('is said when there is none for the file', async () => {
    const { workbench, session } = world;
    session.writeDatabase([
      { directory: session.directory, file: 'main.c', arguments: ['gcc', '-c', 'main.c'] },
    ]);
    await workbench.status('no compile command');
    session.writeDatabase(command(world, '-O0'));
    await workbench.status(`program (${program.pid})`);
  });

  it('is accepted by its directory, by the keyboard, where somebody else could have written it', async () => {
    const { workbench, session } = world;
    chmodSync(session.path('compile_commands.json'), 0o666);
    // What was read before is not read again until it is written.
    session.writeDatabase(command(world, '-O0'));
    chmodSync(session.path('compile_commands.json'), 0o666);
    await workbench.replace('balance += n', 'balance += 2 * n');
    await workbench.save();
    await workbench.status('refused');
    await workbench.goToProblem('can be trusted');
    const offered = await workbench.quickFixes(`Accept ${session.directory}`);
    assert.equal(await offered.getByText('Restart the program').count(), 0);
    await workbench.screenshot('accept');
    await workbench.chooseQuickFix(`Accept ${session.directory}`);
    await workbench.status(/program \(\d+\)(?!.*checking)/);
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.equal(Number(await program.ask('1')), 102);
  });

  it('is said when the program was built again since it started', async () => {
    const { workbench, session } = world;
    await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O1'] });
    await workbench.status('rebuilt since it started');
    await program.stop();
    program = await session.start();
    await workbench.status(`program (${program.pid})`);
  });
});
