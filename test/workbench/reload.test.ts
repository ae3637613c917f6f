// A window that is reloaded while its program runs patched: everything on the screen is as it was, and what the running
// versions were compiled from is still known.
import { strict as assert } from 'node:assert';
import type { Program } from '../support/program';
import { until } from '../support/until';
import { processesOf } from './host/processes_of';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';

// A lens above the first line may be drawn out of sight.
const UNIT = `

long factor(void) { return 2; }

long value(long n) {
  return n * factor();
}
`;

describe('a reloaded window', () => {
  let program: Program;
  const world = useWorkbench(async (session) => {
    session.copySample('driver');
    session.write('unit.c', UNIT);
    await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O0'] });
    program = await session.start();
  });
  after(() => {
    for (const pid of processesOf(world.session.path('program'))) process.kill(pid, 'SIGKILL');
  });
  const history = () =>
    world.workbench.page.locator('.pane', { hasText: 'History' }).locator('.monaco-list-row');

  it('shows in status bar, lens, margin, tree and history that the process runs patched', async () => {
    const { workbench, session } = world;
    await workbench.openFile('unit.c');
    await workbench.status(`program (${program.pid})`);
    await workbench.showView();
    for (const [from, to] of [
      ['return 2', 'return 3'],
      ['return 3', 'return 4'],
    ] as const) {
      await workbench.replace(from, to);
      await workbench.save();
      await workbench.row(new RegExp(`factor.*version ${Number(to.slice(-1)) - 2} · verified`, 's'));
    }
    await workbench.replace('return 4', 'return x4');
    await workbench.save();
    await workbench.status('1 compile error');
    await workbench.replace('return x4', 'return 4');
    await workbench.save();
    await workbench.status('unchanged');
    const lens = workbench.lens(/Version 2 live in \d+ ms/);
    await shows(lens);
    const said = await lens.first().innerText();
    // Another program writes the file, so that what runs is written nowhere but in the extension's storage.
    session.edit('unit.c', 'return 4', 'return 8');
    await workbench.reload();
    await workbench.status(new RegExp(`program \\(${program.pid}\\) · 1 patched`));
    await shows(workbench.lens(said));
    await workbench.marks('differs', 1);
    await workbench.showView();
    await workbench.row(/factor.*version 2 · verified/s);
    await shows(history().filter({ hasText: /factor/ }));
    // The one that did not compile is part of what happened.
    await shows(history().filter({ hasText: 'failed' }));
    assert.equal(await history().count(), 3);
    assert.equal(await program.ask('10'), '40');
    await workbench.screenshot('reloaded');
  });

  it('compares the source that runs with the file', async () => {
    const { workbench } = world;
    const diff = workbench.page.locator('.monaco-diff-editor');
    await workbench.clickLens('Compare', diff.locator('.line-delete'));
    await shows(diff.locator('.original .view-line', { hasText: 'return 4' }));
    await shows(diff.locator('.modified .view-line', { hasText: 'return 8' }));
    await workbench.page.keyboard.press('Control+W');
    await isGone(diff);
  });

  it('leads back to what ran before', async () => {
    const { workbench } = world;
    await history().nth(2).hover();
    await history().nth(2).locator('[aria-label*="Go Back to This State"]').click();
    await workbench.status(/went back in \d+ ms/);
    assert.equal(await program.ask('10'), '30');
    await shows(workbench.lens(/Version 1 live in \d+ ms/));
  });

  it('says that a task runs since before, shows its terminal, and starts another one when asked', async () => {
    const { workbench, session } = world;
    const tasks = () => processesOf(session.path('program')).filter((pid) => pid !== program.pid);
    const start = async () => {
      await workbench.command('Hot Patch: Start Program with Hot Patch');
      await workbench.pick(/^program/);
    };
    await workbench.showView();
    await start();
    const [pid] = await until(tasks, (pids) => pids.length === 1);
    await workbench.row(new RegExp(`pid ${pid}`));
    await workbench.reload();
    // At once: the window is told of its tasks and terminals seconds later.
    await start();
    const panel = workbench.page.locator('.part.panel');
    const runs = `program (${pid}) runs already`;
    await workbench.notified(runs);
    await workbench.screenshot('runs-already');
    await workbench.answer(runs, 'Show Terminal');
    await shows(panel.locator('.terminal-wrapper.active'));
    assert.deepEqual(tasks(), [pid]);
    await start();
    await workbench.answer(runs, 'Start Another');
    const two = await until(tasks, (pids) => pids.length === 2);
    await workbench.row(new RegExp(`pid ${two.find((one) => one !== pid)}`));
  });
});
