// Programs that were started as always, without the runtime: a save attaches to them first and is live in the same go;
// the tree and the picker offer it, and say why where it cannot be. Nothing of this is ever called refused.
import { strict as assert } from 'node:assert';
import { Gdb } from '../support/debuggers';
import type { Program } from '../support/program';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';
import { buildService, Client } from './service';

describe('a program that was started in a terminal, as always', () => {
  const world = useWorkbench((session) => buildService(session), {
    folder: 'service',
    size: { width: 1400, height: 860 },
    // The prompt of the machine has no place in a picture.
    settings: {
      // As a terminal that was open before the extension was installed.
      'hotPatch.terminals': false,
      'terminal.integrated.profiles.linux': {
        plain: { path: 'bash', args: ['--norc'], env: { PS1: '$ ', HISTFILE: '/dev/null' } },
      },
      'terminal.integrated.defaultProfile.linux': 'plain',
    },
  });
  let pid = 0;
  let client: Client | undefined;
  after(() => {
    client?.close();
    if (pid) process.kill(pid, 'SIGKILL');
  });
  const status = '[id="hot-patch.hot-patch.status"]';
  const started = async () => {
    const { workbench } = world;
    const item = workbench.page
      .locator(status)
      .filter({ hasText: /service \(\d+\) · not attached/ })
      .filter({ hasNotText: `(${pid})` });
    await item.waitFor();
    pid = Number(/\((\d+)\)/.exec(await item.innerText())![1]);
    client = await Client.connect(pid);
  };

  it('is not attached, which the status bar, the tree and the lens say', async () => {
    const { workbench } = world;
    await workbench.openFile('shop.cc');
    await workbench.showView();
    await workbench.widenSideBar(120);
    await workbench.runInTerminal('./build/service');
    await started();
    await workbench.row(new RegExp(`service.*not attached · pid ${pid}`, 's'));
    await workbench.select('double price_of');
    await shows(workbench.lens('⚡ Hot Patch'));
    await workbench.screenshot('attach-before');
  });

  it('is asked about at the first save, attached to, and the save is live in the same go', async () => {
    const { workbench, session } = world;
    await workbench.replace('each = 2.5', 'each = 3.5');
    await workbench.save();
    const question = 'was started without Hot Patch';
    await workbench.notified(question);
    await workbench.status('not attached');
    await workbench.screenshot('attach-question');
    assert.match(await client!.ask('order Ann 2'), /2 for 5, Ann has 2/);
    await workbench.answer(question, 'Always for This Program');
    await workbench.status(/live in \d+ ms · attached/);
    assert.match(await client!.ask('order Ann 2'), /2 for 7, Ann has 4/);
    await shows(workbench.lens(/Version 1 live in \d+ ms/));
    await workbench.row(/shop::price_of.*version 1 · verified/s);
    await workbench.statusTooltip(new RegExp(`Attached to service \\(${pid}\\) in \\d+ ms`));
    await workbench.screenshot('attach-live');
    await workbench.unhover();
    const settings = JSON.parse(session.read('service/.vscode/settings.json')) as Record<string, unknown>;
    assert.deepEqual(settings['hotPatch.attachPrograms'], ['build/service']);
  });

  it('has one row in the history: that it was not attached is no failure', async () => {
    const { workbench } = world;
    const entries = workbench.page.locator('.pane', { hasText: 'History' }).locator('.monaco-list-row');
    await shows(entries.filter({ hasText: 'price_of' }));
    assert.equal(await entries.count(), 1);
  });

  it('is patched by the next saves like any other', async () => {
    const { workbench } = world;
    await workbench.replace('each = 3.5', 'each = 4.5');
    await workbench.save();
    await workbench.status(/live in \d+ ms\s*$/);
    assert.match(await client!.ask('order Ann 2'), /2 for 9, Ann has 6/);
  });

  it('is found when it is started again, and its save attaches without a question', async () => {
    const { workbench } = world;
    client!.close();
    process.kill(pid, 'SIGTERM');
    await workbench.status('service has ended');
    await workbench.runInTerminal('./build/service');
    await started();
    await workbench.notified('started again from the same binary');
    await workbench.page.keyboard.press('Escape');
    await workbench.replace('each = 4.5', 'each = 5.5');
    await workbench.save();
    await workbench.status(/live in \d+ ms · attached/);
    assert.match(await client!.ask('order Ann 2'), /2 for 11, Ann has 2/);
    await workbench.row(/shop::price_of.*version 1 · verified/s);
    await workbench.screenshot('attach-again');
  });

  it('runs its original code when it is detached from, and no save attaches to it', async () => {
    const { workbench } = world;
    await workbench.chooseInMenu(await workbench.row(`pid ${pid}`), 'Detach from Process');
    await workbench.row(new RegExp(`service.*detached · pid ${pid}`, 's'));
    await workbench.status(`service (${pid}) · not attached`);
    assert.match(await client!.ask('order Ann 2'), /2 for 5, Ann has 4/);
    await workbench.replace('each = 5.5', 'each = 6.5');
    await workbench.save();
    await workbench.statusTooltip('saves leave it as it is');
    await workbench.screenshot('attach-detached');
    await workbench.unhover();
    assert.match(await client!.ask('order Ann 2'), /2 for 5, Ann has 6/);
    await isGone(workbench.lens(/Version \d+ live/));
  });

  it('is patched again after Attach', async () => {
    const { workbench } = world;
    const row = await workbench.row(`detached · pid ${pid}`);
    await workbench.clickAction(row, 'Attach to Process');
    await workbench.status(new RegExp(`service \\(${pid}\\)\\s*$`));
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.match(await client!.ask('order Ann 2'), /2 for 13, Ann has 8/);
  });
});

describe('a program that was started without the runtime, and a user who wants no question', () => {
  let program: Program;
  const world = useWorkbench(
    async (session) => {
      session.copySample('driver');
      session.write('unit.c', 'long value(long n) {\n  return n * 2;\n}\n');
      await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O0'] });
      program = await session.startPlain();
    },
    { settings: { 'hotPatch.attach': 'never' } },
  );
  let gdb: Gdb | undefined;
  after(() => gdb?.end());

  it('stays not attached when a file is saved', async () => {
    const { workbench } = world;
    await workbench.openFile('unit.c');
    await workbench.showView();
    await workbench.status(`program (${program.pid}) · not attached`);
    await workbench.replace('n * 2', 'n * 3');
    await workbench.save();
    await workbench.statusTooltip('started without Hot Patch');
    await workbench.unhover();
    await workbench.status('not attached');
    assert.equal(await program.ask('10'), '20');
  });

  it('is listed with the reason while a debugger has it, and not called refused', async () => {
    const { workbench } = world;
    gdb = await Gdb.attach(program.pid);
    await gdb.resume();
    await workbench.command('Hot Patch: Select Process');
    await shows(workbench.page.locator('.quick-input-list .monaco-list-row', { hasText: 'gdb' }));
    await workbench.screenshot('attach-picker-debugged');
    await workbench.page.keyboard.press('Escape');
    await workbench.row(new RegExp(`cannot be attached to · pid ${program.pid} · .*gdb`, 's'));
    await workbench.replace('n * 3', 'n * 4');
    await workbench.save();
    await workbench.status('not attached');
    await workbench.statusTooltip('gdb');
    await workbench.screenshot('attach-debugged');
    await workbench.unhover();
    await gdb.end();
    gdb = undefined;
    await workbench.row(new RegExp(`not attached · pid ${program.pid}`));
  });

  it('is attached to from the tree, and the next save is live', async () => {
    const { workbench } = world;
    const row = await workbench.row(new RegExp(`not attached · pid ${program.pid}`));
    await workbench.clickAction(row, 'Attach to Process');
    await workbench.row('No patches yet');
    await workbench.status(new RegExp(`program \\(${program.pid}\\)\\s*$`));
    await workbench.marks('differs', 1);
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.equal(await program.ask('10'), '40');
    await isGone(workbench.page.locator('.notification-list-item', { hasText: 'Hot Patch' }));
  });

  it('is attached to from the picker when it is chosen there', async () => {
    const { workbench, session } = world;
    const second = await session.startPlain();
    await workbench.row(new RegExp(`not attached · pid ${second.pid}`));
    await workbench.command('Hot Patch: Select Process');
    await shows(
      workbench.page.locator('.quick-input-list .monaco-list-row', { hasText: `pid ${second.pid}, attach` }),
    );
    await workbench.screenshot('attach-picker');
    await workbench.pick(`pid ${second.pid}, attach`);
    await workbench.row(new RegExp(`pid ${second.pid}$`));
    await workbench.replace('n * 4', 'n * 5');
    await workbench.save();
    await shows(workbench.lens(/in 2 processes/));
    assert.deepEqual([await program.ask('10'), await second.ask('10')], ['50', '50']);
  });
});
