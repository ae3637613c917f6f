// A program is started again the way it was started: in its terminal, as its task, from its debug session, or, where
// something else started it, with the same arguments, environment and folder.
import { strict as assert } from 'node:assert';
import { readFileSync, readlinkSync } from 'node:fs';
import type { Program } from '../support/program';
import { until } from '../support/until';
import { processesOf } from './host/processes_of';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/workbench';

const UNIT = `struct Account {
  long balance;
};

static struct Account account = {100};

long value(long n) {
  return account.balance * n;
}
`;

describe('Restart Program', () => {
  let program: Program;
  const world = useWorkbench(async (session) => {
    session.copySample('driver');
    session.write('unit.c', UNIT);
    await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O0'] });
    program = await session.start('program', ['--level', 'a b'], { GREETING: 'hello' });
  });
  after(() => {
    for (const pid of processesOf(world.session.path('program'))) process.kill(pid, 'SIGKILL');
  });
  const next = async (before: number): Promise<number> => {
    const others = () => processesOf(world.session.path('program')).filter((pid) => pid !== before);
    return (await until(others, (pids) => pids.length > 0))[0]!;
  };

  it('is offered at a refusal, beside its explanation and the way back', async () => {
    const { workbench, session } = world;
    await workbench.openFile('unit.c');
    await workbench.status(`program (${program.pid})`);
    await workbench.replace('balance * n', 'balance * n + 1');
    await workbench.save();
    // The text is known to be what runs once the whole file was.
    await workbench.status(/live in \d+ ms(?!.*confirming)/);
    const live = session.read('unit.c');
    await workbench.replace('long balance;', 'long balance, fee;');
    await workbench.save();
    await workbench.status('refused');
    await workbench.select('balance, fee');
    const list = await workbench.quickFixes('Explain layout-changed');
    await shows(list.getByText('Restart the program'));
    await workbench.screenshot('quick-fixes');
    await list.getByText('Show both layouts').click();
    const diff = workbench.page.locator('.monaco-diff-editor');
    await shows(diff.locator('.original .view-line', { hasText: /8\sbytes/ }));
    await shows(diff.locator('.modified .view-line', { hasText: /8\s+8\s+long\sint\sfee/ }));
    await workbench.screenshot('layouts');
    await workbench.page.keyboard.press('Control+W');
    await isGone(diff);
    await workbench.openFile('unit.c');
    await workbench.select('balance, fee');
    const again = await workbench.quickFixes('Undo this edit');
    await again.getByText('Undo this edit').click();
    await workbench.save();
    await workbench.status('unchanged');
    assert.equal(session.read('unit.c'), live);
  });

  it('starts what another program had started with its arguments, environment and folder', async () => {
    const { workbench, session } = world;
    await workbench.showView();
    const row = await workbench.row(new RegExp(`program.*pid ${program.pid}`, 's'));
    await workbench.clickAction(row, 'Restart Program');
    const pid = await next(program.pid);
    await workbench.row(new RegExp(`program.*pid ${pid}`, 's'));
    assert.equal(
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, 3).join('|'),
      '--level|a b',
    );
    assert.match(readFileSync(`/proc/${pid}/environ`, 'utf8'), /(^|\0)GREETING=hello\0/);
    assert.equal(readlinkSync(`/proc/${pid}/cwd`), session.directory);
    // A restart by hand brings the patches along without a question.
    await workbench.status(/live in \d+ ms/);
    await workbench.row(/Brought over value/);
  });

  it('starts its task again, which is ready for the next save', async () => {
    const { workbench, session } = world;
    const [before] = processesOf(session.path('program'));
    await workbench.openFile('unit.c');
    await workbench.command('Hot Patch: Restart Program');
    const pid = await next(before!);
    await workbench.row(new RegExp(`program.*pid ${pid}`, 's'));
    await workbench.row(/value.*version 1 · verified/s);
    await workbench.replace('balance * n + 1', 'balance * n + 2');
    await workbench.save();
    await workbench.row(/value.*version 2 · verified/s);
  });

  it('starts one that has ended, from the status bar', async () => {
    const { workbench, session } = world;
    const [before] = processesOf(session.path('program'));
    process.kill(before!, 'SIGKILL');
    const item = await workbench.status('program has ended');
    await item.click();
    const pid = await next(before!);
    await workbench.row(new RegExp(`program.*pid ${pid}`, 's'));
  });

  it('types the command again into the terminal where it was typed', async () => {
    const { workbench, session } = world;
    const [before] = processesOf(session.path('program'));
    process.kill(before!, 'SIGKILL');
    // The task's terminal has no shell.
    await workbench.command('Terminal: Create New Terminal');
    await workbench.runInTerminal(`cd ${session.directory} && ./program "one two"`);
    const first = await next(before!);
    const row = await workbench.row(new RegExp(`program.*pid ${first}`, 's'));
    await workbench.clickAction(row, 'Restart Program');
    const pid = await next(first);
    const parent = (of: number) => /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${of}/status`, 'utf8'))![1];
    await workbench.row(new RegExp(`program.*pid ${pid}`, 's'));
    assert.equal(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1], 'one two');
    assert.notEqual(parent(pid), '1');
    await workbench.screenshot('restarted-in-its-terminal');
    process.kill(pid, 'SIGKILL');
    await until(
      () => processesOf(session.path('program')),
      (pids) => pids.length === 0,
    );
  });
});
