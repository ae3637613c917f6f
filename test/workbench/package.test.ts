// The packaged extension, installed in a clean VS Code, does what it does from its source folder: the runtime, the
// grammars and the native module that it needs are in it.
import { strict as assert } from 'node:assert';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/paths';
import { CodeServer } from './host/code_server';
import { openTerminal, PLAIN_SHELL } from './host/terminal';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';
import { buildService, Client } from './service';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const vsix = join(root, `hot-patch-linux-x64-${version}.vsix`);

describe('the package', () => {
  let pid = 0;
  let client: Client | undefined;
  let home = '';
  const world = useWorkbench(
    async (session, itsHome) => {
      home = itsHome;
      await session.run(process.execPath, [join(root, 'scripts', 'package.mjs'), '--built']);
      await CodeServer.install(home, vsix);
      await buildService(session);
      // VS Code's test driver wants an extension under development; this one is empty.
      mkdirSync(session.path('empty'));
      const manifest = { name: 'empty', publisher: 'test', version: '0.0.1', engines: { vscode: '*' } };
      session.write('empty/package.json', JSON.stringify(manifest));
    },
    { folder: 'service', extension: 'empty', settings: PLAIN_SHELL },
  );
  after(() => {
    client?.close();
    if (pid) process.kill(pid, 'SIGKILL');
  });

  it('is smaller than 8 MB', () => {
    assert.ok(statSync(vsix).size < 8 * 1024 * 1024);
  });

  it('starts a program with the runtime it brings, and patches it on save', async () => {
    const { workbench } = world;
    await workbench.openFile('shop.cc');
    await workbench.command('Hot Patch: Start Program with Hot Patch');
    await workbench.pick('service');
    const item = await workbench.status(/service \(\d+\)/);
    pid = Number(/\((\d+)\)/.exec(await item.innerText())![1]);
    client = await Client.connect(pid);
    await workbench.replace('each = 2.5', 'each = 4.5');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.match(await client.ask('order Ann 2'), /2 for 9/);
    await shows(workbench.lens(/Version 1 live/));
    await workbench.showView();
    await workbench.row(/shop::price_of.*verified/s);
  });

  it('shows instructions in the tooltip of a trampoline', async () => {
    const { workbench } = world;
    await workbench.expand('shop::price_of');
    await workbench.tooltip(await workbench.row(/Trampoline 0x/), 'jmp 0x');
  });

  // VS Code keeps what an extension adds to terminals for the next start, at which it may have been disabled.
  describe('leaves nothing in new terminals', () => {
    const hasGate = (variables: string) => /^HOT_FIX_GATE=/m.test(variables);
    const haveNothing = async () => {
      const { workbench } = world;
      await workbench.reload();
      await isGone(workbench.page.locator('.activitybar [aria-label^="Hot Patch"]'));
      const variables = await openTerminal(world);
      assert.doesNotMatch(variables, /LD_PRELOAD|HOT_FIX/);
    };

    it('when it is disabled', async () => {
      const { workbench } = world;
      await openTerminal(world, hasGate);
      await workbench.command('Extensions: Disable All Installed Extensions');
      await haveNothing();
    });

    it('when it is uninstalled', async () => {
      const { workbench } = world;
      await workbench.command('Extensions: Enable All Extensions');
      await workbench.reload();
      await openTerminal(world, hasGate);
      await CodeServer.uninstall(home, 'hot-patch.hot-patch');
      await haveNothing();
    });
  });
});
