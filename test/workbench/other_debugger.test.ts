// A debug session of another extension, with a real lldb behind it, and saves at the same time: the session is not
// stopped by the runtime's signal, breakpoints hold in patched code, and a process that is stopped is patched while it
// stands there. The extension is made here: its debug type is that of LLVM's own, its adapter the one that Debian packages.
import { strict as assert } from 'node:assert';
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Locator } from 'playwright-core';
import type { Session } from '../support/session';
import { buildService, Client } from './service';
import { useWorkbench } from './host/use_workbench';
import { shows } from './host/browser';

/** `lldb-dap`, or `lldb-vscode` as it was called before LLVM 18, with or without its version. */
function lldbDap(): string {
  const names = ['lldb-dap', 'lldb-vscode'].flatMap((name) => [
    name,
    ...[22, 21, 20, 19, 18, 17, 16, 15, 14].map((version) => `${name}-${version}`),
  ]);
  const places = (process.env['PATH'] ?? '').split(delimiter);
  const found = names.flatMap((name) => places.map((place) => join(place, name))).find(isProgram);
  assert.ok(found, 'lldb has no debug adapter here');
  return found;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function prepare(session: Session, home: string): Promise<void> {
  await buildService(session, '-DCMAKE_BUILD_TYPE=Debug');
  const debuggers = [{ type: 'lldb-dap', label: 'LLDB', program: lldbDap(), languages: ['cpp'] }];
  const neighbour = join(home, 'extensions', 'test.neighbour-0.0.1');
  mkdirSync(neighbour, { recursive: true });
  writeFileSync(
    join(neighbour, 'package.json'),
    JSON.stringify({
      ...{ name: 'neighbour', publisher: 'test', version: '0.0.1', engines: { vscode: '*' } },
      contributes: { debuggers, breakpoints: [{ language: 'cpp' }] },
    }),
  );
  // A signal at which lldb stops, unless it is told otherwise. Nothing else is asked for: the program has the runtime
  // because Hot Patch has it started so.
  const env = ['HOT_FIX_SIGNAL=USR1'];
  const program = session.path('service', 'build', 'service');
  const configuration = { type: 'lldb-dap', request: 'launch', name: 'lldb', program, env };
  writeLaunch(session, configuration);
}

function writeLaunch(session: Session, configuration: object): void {
  session.write(
    'service/.vscode/launch.json',
    JSON.stringify({ version: '0.2.0', configurations: [configuration] }),
  );
}

describe('beside a debug session of another extension', () => {
  const world = useWorkbench(prepare, {
    folder: 'service',
    size: { width: 1400, height: 900 },
  });
  let client: Client;
  after(() => client?.close());

  const toolbar = (name: RegExp) =>
    world.workbench.page
      .locator('.debug-toolbar .action-label')
      .and(world.workbench.page.getByRole('button', { name }));

  it('a save is live at once, and does not stop the session', async () => {
    const { workbench } = world;
    await workbench.openFile('shop.cc');
    await workbench.status('no process');
    await workbench.page.keyboard.press('F5');
    const line = workbench.page.locator('.repl .monaco-list-row', { hasText: 'listening on' });
    await shows(line);
    client = await Client.connect(Number(/pid (\d+)/.exec(await line.first().innerText())![1]));
    await workbench.status(/service \(\d+\)/);
    await workbench.replace('each = 2.5', 'each = 3.5');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.match(await client.ask('order Ann 2'), /2 for 7/);
    await shows(toolbar(/Pause/));
  });

  it('a breakpoint in the patched function is hit, and a save is live while the process stands there', async () => {
    const { workbench } = world;
    await workbench.select('return each');
    await workbench.page.keyboard.press('F9');
    await workbench.page.keyboard.press('Control+Shift+D');
    const rowsOf = (view: string) => workbench.page.locator(`.${view} .monaco-list-row`);
    const stopped = rowsOf('debug-call-stack').filter({ hasText: /breakpoint \d/ });
    // The debugger has the breakpoint some time after it is to be seen.
    const stop = shows(stopped).then(() => 'stopped');
    let answer = client.ask('order Ann 2');
    while ((await Promise.race([stop, answer])) !== 'stopped') answer = client.ask('order Ann 2');
    const expanded = async (row: Locator, inside: Locator) => {
      await row.first().click();
      await workbench.page.keyboard.press('ArrowRight');
      await shows(inside);
    };
    await expanded(stopped, rowsOf('debug-call-stack').filter({ hasText: /price_of/ }));
    const locals = rowsOf('debug-variables').filter({ hasText: /each.*3\.5/s });
    await expanded(rowsOf('debug-variables').filter({ hasText: 'Locals' }), locals);
    await workbench.replace('each = 3.5', 'each = 4.5');
    await workbench.save();
    // Not the status bar, which says so of the save before for a moment longer.
    await shows(workbench.lens(/Version 2 live in \d+ ms/));
    // The session stands where it stood, and knows what it knew.
    await shows(toolbar(/Continue/));
    await shows(locals);
    await workbench.screenshot('other-debugger');
    await workbench.select('return each');
    await workbench.page.keyboard.press('F9');
    await workbench.page.keyboard.press('F5');
    assert.match(await answer, /2 for 7/);
    assert.match(await client.ask('order Ann 2'), /2 for 9/);
  });

  it('the debugger ends the program as ever', async () => {
    const { workbench } = world;
    await toolbar(/Stop/).click();
    await workbench.page.locator('.debug-toolbar').first().waitFor({ state: 'hidden' });
    await workbench.status('service has ended');
  });

  it('a process without the runtime that it was attached to gets it through the debugger, at a breakpoint', async () => {
    const { workbench, session } = world;
    client.close();
    const program = await session.startCommand(session.path('service', 'build', 'service'), []);
    await program.line(/listening/);
    const configuration = { type: 'lldb-dap', request: 'attach', name: 'lldb', pid: program.pid };
    writeLaunch(session, configuration);
    client = await Client.connect(program.pid);
    await workbench.openFile('shop.cc');
    await workbench.showView();
    await workbench.row(new RegExp(`not attached · pid ${program.pid}`));
    await workbench.page.keyboard.press('F5');
    const row = await workbench.row(new RegExp(`cannot be attached to · pid ${program.pid} · .*lldb`, 's'));
    await workbench.clickAction(row, 'Attach to Process');
    await workbench.notified('Stop at a breakpoint and attach again');
    await workbench.page.keyboard.press('Escape');
    await workbench.select('return each');
    await workbench.page.keyboard.press('F9');
    const stop = shows(toolbar(/Continue/)).then(() => 'stopped');
    let answer = client.ask('order Ann 2');
    while ((await Promise.race([stop, answer])) !== 'stopped') answer = client.ask('order Ann 2');
    await workbench.showView();
    await workbench.clickAction(
      await workbench.row(new RegExp(`cannot be attached to · pid ${program.pid}`)),
      'Attach to Process',
    );
    await workbench.notified('the debugger has brought the runtime into service');
    await workbench.select('return each');
    await workbench.page.keyboard.press('F9');
    await workbench.page.keyboard.press('F5');
    assert.match(await answer, /2 for 5/);
    await workbench.status(new RegExp(`service \\(${program.pid}\\)\\s*$`));
    await workbench.replace('each = 4.5', 'each = 6.5');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.match(await client.ask('order Ann 2'), /2 for 13/);
    await shows(toolbar(/Pause/));
    await toolbar(/Disconnect|Stop/).click();
    await workbench.page.locator('.debug-toolbar').first().waitFor({ state: 'hidden' });
    await program.stop();
  });
});
