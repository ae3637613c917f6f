// As a new user would: open the sample workspace, start its program from the palette, edit a function, press Ctrl+S;
// the running program changes, and everything on the screen says so. Then undo, save: the original is back.
import { strict as assert } from 'node:assert';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/workbench';
import { buildService, Client } from './service';

describe('saving a file of the sample service', () => {
  const world = useWorkbench((session) => buildService(session), {
    folder: 'service',
    size: { width: 1400, height: 860 },
  });
  let pid = 0;
  let client: Client;
  after(() => {
    client?.close();
    if (pid) process.kill(pid, 'SIGKILL');
  });

  it('first needs its program: it is started from the palette, in a terminal', async () => {
    const { workbench } = world;
    await workbench.openFile('shop.cc');
    await workbench.status('no process');
    await workbench.command('Hot Patch: Start Program with Hot Patch');
    await workbench.pick('service');
    const item = await workbench.status(/service \(\d+\)/);
    pid = Number(/\((\d+)\)/.exec(await item.innerText())![1]);
    client = await Client.connect(pid);
    assert.match(await client.ask('order Ann 2'), /2 for 5, Ann has 2/);
    await workbench.select('double price_of');
    await shows(workbench.lens('⚡ Hot Patch'));
  });

  it('changes the running program, and the lens, status bar, tree and margin say so', async () => {
    const { workbench } = world;
    await workbench.showView();
    await workbench.widenSideBar(120);
    await workbench.replace('each = 2.5', 'each = 3.5');
    await workbench.marks('differs', 1);
    await workbench.screenshot('edited');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.match(await client.ask('order Ann 2'), /2 for 7, Ann has 4/);
    await shows(workbench.lens(/Version 1 live in \d+ ms/));
    await workbench.marks('live', 1);
    await workbench.marks('differs', 0);
    await workbench.row(`pid ${pid}`);
    await workbench.row(/shop::price_of.*version 1 · verified/s);
    await workbench.screenshot('save');
  });

  it('shows each page with its mprotect calls, and the bytes as instructions', async () => {
    const { workbench } = world;
    await workbench.expand('shop::price_of');
    await workbench.row(/PROT_READ\|PROT_WRITE\|PROT_EXEC → 0/);
    await workbench.expand('Versions');
    await workbench.row(/Version 1.*runs now/s);
    await workbench.row(/No thread in old code/);
    const trampoline = await workbench.row(/Trampoline 0x/);
    await trampoline.hover();
    const hover = workbench.page.locator('.monaco-hover, .workbench-hover', { hasText: 'jmp' });
    await shows(hover);
    await workbench.screenshot('tree');
    await workbench.unhover();
  });

  it('leads to the difference between what runs and the file', async () => {
    const { workbench } = world;
    await workbench.replace('each = 3.5', 'each = 9.5');
    await workbench.clickLens('Compare', workbench.page.locator('.monaco-diff-editor .line-delete'));
    await shows(workbench.page.locator('.tab', { hasText: 'version 1 in service' }));
    await workbench.screenshot('compare');
    await workbench.page.keyboard.press('Control+W');
    await isGone(workbench.page.locator('.monaco-diff-editor'));
  });

  it('compiles what is typed when one pauses, and the save has it live', async () => {
    const { workbench } = world;
    await workbench.select('each = 9.5');
    await shows(workbench.lens('Compiled: live at the save'));
    await workbench.screenshot('compiled-ahead');
    await workbench.save();
    await shows(workbench.lens(/Version 2 live in \d+ ms/));
    await isGone(workbench.lens('Compiled: live at the save'));
    assert.match(await client.ask('order Ann 2'), /2 for 19, Ann has 6/);
  });

  it('after undo puts the original code back', async () => {
    const { workbench } = world;
    await workbench.select('each = 9.5');
    await workbench.undoTo('each = 2.5');
    await workbench.save();
    await workbench.status(/original in \d+ ms/);
    assert.match(await client.ask('order Ann 2'), /2 for 5, Ann has 8/);
    await shows(workbench.lens('⚡ Hot Patch'));
    await isGone(workbench.lens(/Version \d/));
    await workbench.marks('live', 0);
    await workbench.row(/shop::price_of.*original/s);
    await workbench.screenshot('reverted');
  });
});
