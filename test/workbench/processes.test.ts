// Several processes of one program: chosen in the picker, patched one or all; the history leads back; a program that
// is started again gets its patches.
import { strict as assert } from 'node:assert';
import type { Program } from '../support/program';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/workbench';

const UNIT = `/* The lens of a function on the first line may be scrolled out of sight. */

long factor(void) { return 2; }

long value(long n) {
  return n * factor();
}
`;

describe('two processes of one program', () => {
  let first: Program;
  let second: Program;
  const world = useWorkbench(async (session) => {
    session.copySample('driver');
    session.write('unit.c', UNIT);
    session.write('other.c', 'long other(long n) { return n; }\n');
    await session.build({ sources: ['main.c', 'unit.c', 'other.c'], flags: ['-g', '-O0'] });
    first = await session.start();
    second = await session.start();
  });
  const values = async () => [await first.ask('10'), await second.ask('10')];

  it('are both patched by a save', async () => {
    const { workbench } = world;
    await workbench.openFile('unit.c');
    await workbench.status('2 × program');
    await workbench.replace('return 2', 'return 3');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.deepEqual(await values(), ['30', '30']);
    await shows(workbench.lens(/Version 1 live in \d+ ms in 2 processes/));
  });

  it('are listed in the picker, and a save is for the chosen one', async () => {
    const { workbench } = world;
    await workbench.command('Hot Patch: Select Process');
    await shows(
      workbench.page.locator('.quick-input-list .monaco-list-row', { hasText: 'All matching processes' }),
    );
    await shows(
      workbench.page.locator('.quick-input-list .monaco-list-row', { hasText: `pid ${second.pid}` }),
    );
    await workbench.screenshot('picker');
    await workbench.pick(`pid ${second.pid}`);
    await workbench.replace('return 3', 'return 4');
    await workbench.save();
    await shows(workbench.lens(/Version 1 and 2/));
    assert.deepEqual(await values(), ['30', '40']);
    await workbench.showView();
    await workbench.row(new RegExp(`pid ${second.pid} · selected`));
  });

  it('are all meant again when all are chosen', async () => {
    const { workbench } = world;
    await workbench.command('Hot Patch: Select Process');
    await workbench.pick('All matching processes');
    await workbench.replace('return 4', 'return 5');
    await workbench.save();
    await shows(workbench.lens(/Version 2 and 3/));
    assert.deepEqual(await values(), ['50', '50']);
  });

  it('go back to an earlier state from the history', async () => {
    const { workbench } = world;
    const entries = workbench.page.locator('.pane', { hasText: 'History' }).locator('.monaco-list-row');
    await entries.nth(2).hover();
    await entries.nth(2).locator('[aria-label*="Go Back to This State"]').click();
    await shows(entries.filter({ hasText: 'Went back' }));
    await workbench.status(/went back in \d+ ms/);
    await shows(workbench.lens(/Version 1 live/));
    assert.deepEqual(await values(), ['30', '30']);
    await workbench.screenshot('history');
  });

  it('run their original code after Revert All', async () => {
    const { workbench } = world;
    await workbench.command('Hot Patch: Revert All');
    await isGone(workbench.lens(/Version/));
    assert.deepEqual(await values(), ['20', '20']);
    assert.equal(await workbench.offers('Hot Patch: Revert All'), false);
  });

  it('take one function by the command, which saves the file when the user agrees', async () => {
    const { workbench } = world;
    await workbench.replace('return 5', 'return 6');
    await workbench.command('Hot Patch: Hot Patch Function');
    await workbench.page
      .locator('.monaco-dialog-box .monaco-button', { hasText: 'Save and Hot Patch' })
      .click();
    await workbench.status(/live in \d+ ms/);
    assert.deepEqual(await values(), ['60', '60']);
  });

  it('are one patch when Save All writes several files', async () => {
    const { workbench } = world;
    await workbench.replace('return 6', 'return 7');
    await workbench.openFile('other.c');
    await workbench.replace('return n', 'return n + 1');
    await workbench.command('File: Save All');
    await workbench.row(/factor and other|other and factor/);
    assert.deepEqual(await values(), ['70', '70']);
    await workbench.openFile('unit.c');
  });

  it('are followed as they end, and the patches brought over to a new one', async () => {
    const { workbench, session } = world;
    await first.stop();
    await isGone(workbench.page.locator('.sidebar .monaco-list-row', { hasText: `pid ${first.pid}` }));
    await second.stop();
    first = await session.start();
    assert.equal(await first.ask('10'), '20');
    await workbench.answer('started again from the same binary', 'Bring Over');
    await workbench.status(/live in \d+ ms/);
    assert.equal(await first.ask('10'), '70');
    await workbench.screenshot('brought-over');
  });
});
