// Several processes of one program: chosen in the picker, patched one or all; the history leads back; a program that
// is started again gets its patches.
import { strict as assert } from 'node:assert';
import type { Program } from '../support/program';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';

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
    first = await session.start('program', ['north']);
    second = await session.start('program', ['south']);
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
    await shows(
      workbench.page.locator('.quick-input-list .monaco-list-row', { hasText: `south, pid ${second.pid}` }),
    );
    await workbench.pick(`pid ${second.pid}`);
    await workbench.replace('return 3', 'return 4');
    await workbench.save();
    await shows(workbench.lens(/Version 1 and 2/));
    assert.deepEqual(await values(), ['30', '40']);
    await workbench.showView();
    await workbench.row(new RegExp(`selected · south · pid ${second.pid}`));
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

  it('go back to an earlier state from the history, by the keyboard alone', async () => {
    const { workbench } = world;
    const entries = workbench.page.locator('.pane', { hasText: 'History' }).locator('.monaco-list-row');
    await workbench.command('Hot Patch: Focus on History View');
    for (const key of ['Home', 'ArrowDown', 'ArrowDown']) await workbench.page.keyboard.press(key);
    await workbench.page.locator('.pane .monaco-list-row.focused[aria-posinset="3"]').waitFor();
    await workbench.chooseByKeyboard('Go Back to This State');
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

  it('take one function by Ctrl+K H, which saves the file when the user agrees', async () => {
    const { workbench } = world;
    await workbench.replace('return 5', 'return 6');
    // The chord of the command; its first key is other commands' too.
    await workbench.page.keyboard.press('Control+K');
    await workbench.page.keyboard.press('h');
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

  it('are shown alike in two windows: what the one makes live, the other knows', async () => {
    const { workbench, session } = world;
    second = await session.start('program', ['south']);
    await workbench.row(new RegExp(`south · pid ${second.pid}`));
    const other = await workbench.openWindow(session.directory);
    await other.openFile('unit.c');
    await other.showView();
    await other.status('2 × program');
    await shows(other.lens(/Version 1 is live/));
    await workbench.replace('return 7', 'return 8');
    await workbench.save();
    await shows(workbench.lens(/Version 1 and 2 live in \d+ ms/));
    assert.deepEqual(await values(), ['80', '80']);
    // It has the text from the disk, and what runs from the processes.
    await shows(other.lens(/Version 1 and 2 is live in 2 processes/));
    await other.readsAnew(/return\s8/, () => session.write('unit.c', session.read('unit.c')));
    await other.marks('live', 1);
    await other.marks('differs', 0);
    await other.replace('return 8', 'return 9');
    await other.save();
    await other.status(/live in \d+ ms/);
    assert.deepEqual(await values(), ['90', '90']);
    await shows(workbench.lens(/Version 2 and 3 is live in 2 processes/));
    await workbench.command('Hot Patch: Revert All');
    await isGone(workbench.lens(/Version/));
    await isGone(other.lens(/Version/));
    assert.deepEqual(await values(), ['20', '20']);
    // The file is not what runs any more, in both.
    for (const window of [workbench, other]) await window.marks('differs', 1);
    // Nor does either say of its last save that it is live.
    await workbench.status(/original in \d+ ms/);
    await other.status(/2 × program/);
    await other.screenshot('second-window');
    await other.page.close();
  });

  it('are those of one folder of a workspace with several, each of which has its own state', async () => {
    const { session } = world;
    await Promise.all([first.stop(), second.stop()]);
    const started = async (name: string): Promise<Program> => {
      const compile = ['gcc', '-g', '-O0', '-c', `${name}.c`, '-o', `${name}.o`];
      session.write(`${name}/${name}.c`, UNIT);
      session.writeDatabase(
        [{ directory: session.path(name), file: `${name}.c`, arguments: compile, output: `${name}.o` }],
        name,
      );
      await session.run('gcc', compile.slice(1), session.path(name));
      await session.run('gcc', ['-g', '../main.c', `${name}.o`, '-o', name], session.path(name));
      return session.start(`${name}/${name}`);
    };
    const [client, server] = [await started('client'), await started('server')];
    const folders = ['client', 'server'].map((path) => ({ path }));
    const window = await world.workbench.openWindow(
      session.write('both.code-workspace', JSON.stringify({ folders })),
    );
    await window.openFile('client.c');
    await window.showView();
    await window.status(`client (${client.pid})`);
    await window.row(new RegExp(`server.*pid ${server.pid}`, 's'));
    await window.replace('return 2', 'return 3');
    await window.save();
    await window.status(/live in \d+ ms/);
    await window.row(/factor.*version 1 · verified/s);
    assert.deepEqual([await client.ask('10'), await server.ask('10')], ['30', '20']);
    await window.openFile('server.c');
    await shows(window.lens('⚡ Hot Patch'));
    await isGone(window.lens(/Version/));
    await window.replace('return 2', 'return 4');
    await window.save();
    await shows(window.lens(/Version 1 live in \d+ ms\s*$/));
    assert.deepEqual([await client.ask('10'), await server.ask('10')], ['30', '40']);
    const patched = window.page.locator('.sidebar .monaco-list-row', { hasText: /factor.*version 1/s });
    await patched.nth(1).waitFor();
    await window.screenshot('multi-root');
    await server.stop();
    await isGone(window.lens(/Version|Hot Patch/));
    await window.openFile('client.c');
    await shows(window.lens(/Version 1 live in \d+ ms\s*$/));
  });
});
