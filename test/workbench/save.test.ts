// As a new user would: open the sample workspace, start its program from the palette, edit a function, press Ctrl+S;
// the running program changes, and everything on the screen says so. Then undo, save: the original is back.
import { strict as assert } from 'node:assert';
import { animatedPng, type Frame } from '../support/png';
import { contrastOf } from './host/contrast';
import { useWorkbench } from './host/use_workbench';
import { isGone, keepPicture, shows } from './host/browser';
import { buildService, Client } from './service';

describe('saving a file of the sample service', () => {
  const world = useWorkbench((session) => buildService(session), {
    folder: 'service',
    size: { width: 1400, height: 860 },
  });
  let pid = 0;
  let client: Client;
  /** The animated picture of the first minute. */
  const frames: Frame[] = [];
  const film = async (shown: number) => void frames.push({ png: await world.workbench.picture(), shown });
  after(() => {
    client?.close();
    if (pid) process.kill(pid, 'SIGKILL');
  });

  it('first needs its program: it is started from the palette, in a terminal', async () => {
    const { workbench } = world;
    await workbench.openFile('shop.cc');
    await workbench.status('no process');
    await film(1500);
    await workbench.command('Hot Patch: Start Program with Hot Patch');
    await shows(workbench.page.locator('.quick-input-list .monaco-list-row', { hasText: 'service' }));
    await film(1500);
    await workbench.pick('service');
    const item = await workbench.status(/service \(\d+\)/);
    pid = Number(/\((\d+)\)/.exec(await item.innerText())![1]);
    client = await Client.connect(pid);
    assert.match(await client.ask('order Ann 2'), /2 for 5, Ann has 2/);
    await workbench.select('double price_of');
    await shows(workbench.lens('⚡ Hot Patch'));
    await film(2000);
  });

  it('changes the running program, and the lens, status bar, tree and margin say so', async () => {
    const { workbench } = world;
    await workbench.showView();
    await workbench.widenSideBar(120);
    await workbench.replace('each = 2.5', 'each = 3.5');
    await workbench.marks('differs', 1);
    await shows(workbench.lens('Compiled: live at the save'));
    await workbench.screenshot('edited');
    await film(2000);
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.match(await client.ask('order Ann 2'), /2 for 7, Ann has 4/);
    await shows(workbench.lens(/Version 1 live in \d+ ms/));
    await workbench.marks('live', 1);
    await workbench.marks('differs', 0);
    await workbench.row(`pid ${pid}`);
    await workbench.row(/shop::price_of.*version 1 · verified/s);
    // What changed, and not all that the line has before it.
    await workbench.row(/order\s*each = 2\.5 → each = 3\.5/);
    await workbench.screenshot('save');
    await film(3500);
  });

  it('shows each page with its mprotect calls, and the bytes as instructions', async () => {
    const { workbench } = world;
    await workbench.expand('shop::price_of');
    await workbench.row(/PROT_READ\|PROT_WRITE\|PROT_EXEC → 0/);
    await workbench.expand('Versions');
    await workbench.row(/Version 1.*runs now/s);
    await workbench.row(/No thread in old code/);
    await workbench.tooltip(await workbench.row(/Trampoline 0x/), 'jmp');
    await workbench.screenshot('tree');
    await film(3500);
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
    await film(2500);
  });

  it('has nothing to compare then, which is said', async () => {
    const { workbench } = world;
    await workbench.select('price_of');
    await workbench.command('Hot Patch: Compare with Running Version');
    await workbench.notified(/price_of runs as it is in the file; there is no difference to show/);
    await workbench.closeNotifications();
  });

  it('is shown in an animated picture of less than a megabyte', () => {
    const picture = animatedPng(frames);
    keepPicture('first-minute', picture);
    assert.ok(
      frames.length > 5 && picture.length < 2 ** 20,
      `${frames.length} frames, ${picture.length} bytes`,
    );
  });

  it('is legible in dark and in high contrast, in all that it has to say', async () => {
    const { workbench } = world;
    await workbench.replace('each = 2.5', 'each = 4.5');
    await workbench.save();
    await shows(workbench.lens(/Version \d live in \d+ ms/));
    await workbench.replace('each = 4.5', 'each = x4.5');
    await workbench.save();
    const status = await workbench.status('1 compile error');
    await workbench.marks('differs', 1);
    for (const [label, kind] of [
      ['Dark Modern', 'vs-dark'],
      ['Dark High Contrast', 'hc-black'],
      ['Light High Contrast', 'hc-light'],
    ] as const) {
      await workbench.useTheme(label, kind);
      // The colour of lenses is the theme's own.
      for (const part of [
        status,
        await workbench.row(/shop::price_of/),
        await workbench.row('does not compile'),
      ])
        assert.ok((await contrastOf(part)) >= 4.5, `${label}: ${await part.first().innerText()}`);
      await workbench.screenshot(`theme-${kind}`);
    }
  });
});
