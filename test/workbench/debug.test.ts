// A debug session of type hotPatch in a real VS Code: F5 without a launch.json, an edit, a save, the toolbar button, the
// console, the trampoline in the disassembly view, stop.
import { strict as assert } from 'node:assert';
import { until } from '../support/until';
import { processesOf } from './host/processes_of';
import { buildService, Client } from './service';
import { useWorkbench } from './host/use_workbench';
import { shows } from './host/browser';

describe('a debug session', () => {
  const world = useWorkbench((session) => buildService(session), {
    folder: 'service',
    size: { width: 1400, height: 900 },
  });
  let client: Client;
  let pid = 0;
  after(() => client?.close());

  const toolbar = (name: RegExp) =>
    world.workbench.page
      .locator('.debug-toolbar .action-label', {})
      .and(world.workbench.page.getByRole('button', { name }));

  it('starts the built program by F5, with its output in the Debug Console', async () => {
    const { workbench } = world;
    await workbench.openFile('shop.cc');
    await workbench.status('no process');
    await workbench.page.keyboard.press('F5');
    await shows(workbench.page.locator('.debug-toolbar'));
    const line = workbench.page.locator('.repl .monaco-list-row', { hasText: 'listening on' });
    await shows(line);
    pid = Number(/pid (\d+)/.exec(await line.first().innerText())![1]);
    client = await Client.connect(pid);
    assert.match(await client.ask('order Ann 2'), /2 for 5/);
    await workbench.status(/service \(\d+\)/);
  });

  it('is patched by a save and by the toolbar button, which is there while it can act', async () => {
    const { workbench } = world;
    await workbench.replace('each = 2.5', 'each = 3.5');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.match(await client.ask('order Ann 2'), /2 for 7/);
    await workbench.replace('each = 3.5', 'each = 4.5');
    await toolbar(/Hot Patch File/).click();
    await workbench.page
      .locator('.monaco-dialog-box .monaco-button', { hasText: 'Save and Hot Patch' })
      .click();
    await shows(workbench.lens(/Version 2 live in \d+ ms/));
    assert.match(await client.ask('order Ann 2'), /2 for 9/);
  });

  it('answers in the console', async () => {
    const { workbench } = world;
    await workbench.page.locator('.repl-input-wrapper .monaco-editor').click();
    await workbench.page.keyboard.insertText('where');
    await workbench.page.keyboard.press('Enter');
    await shows(
      workbench.page.locator('.repl .monaco-list-row', { hasText: /price_of.*no thread in old code/ }),
    );
    await workbench.screenshot('debug-console');
  });

  it('shows the trampoline in the disassembly view while it is paused', async () => {
    const { workbench } = world;
    await toolbar(/Pause/).click();
    await workbench.page.keyboard.press('Control+Shift+D');
    const trampolines = workbench.page.locator('.debug-call-stack .monaco-list-row', {
      hasText: 'Trampolines',
    });
    await trampolines.first().click();
    await workbench.page.keyboard.press('ArrowRight');
    const frame = workbench.page.locator('.debug-call-stack .monaco-list-row', { hasText: 'jmp-rel32' });
    await frame.first().click();
    await workbench.command('Open Disassembly View');
    await shows(workbench.page.locator('.disassembly-view .monaco-list-row', { hasText: /jmp 0x/ }));
    await workbench.screenshot('debug-disassembly');
    await toolbar(/Continue/).click();
    assert.match(await client.ask('order Ann 2'), /2 for 9/);
  });

  it('is started again by Restart Program, in the session, and its patches come along', async () => {
    const { workbench, session } = world;
    await workbench.command('Hot Patch: Restart Program');
    client.close();
    const others = () =>
      processesOf(session.path('service', 'build', 'service')).filter((other) => other !== pid);
    [pid] = (await until(others, (pids) => pids.length > 0)) as [number];
    await workbench.status(new RegExp(`service \\(${pid}\\)|live in`));
    client = await Client.connect(pid);
    await until(
      () => client.ask('order Ann 2'),
      (answer) => answer.includes('2 for 9'),
    );
    await shows(toolbar(/Pause/));
  });

  it('ends the program with the stop button', async () => {
    const { workbench } = world;
    await toolbar(/Stop/).click();
    await workbench.page.locator('.debug-toolbar').first().waitFor({ state: 'hidden' });
    assert.throws(() => process.kill(pid, 0));
  });

  it('is offered for each program that was built, to start at once and in a new launch.json', async () => {
    const { workbench } = world;
    await workbench.command('Debug: Select and Start Debugging');
    await workbench.pick('Hot Patch...');
    await workbench.pick('Hot Patch: service');
    await workbench.status(/service \(\d+\)/);
    await toolbar(/Stop/).click();
    await workbench.page.locator('.debug-toolbar').first().waitFor({ state: 'hidden' });
    await workbench.command('Debug: Add Configuration...');
    await workbench.pick('Hot Patch');
    await workbench.page.locator('.tab.active[data-resource-name="launch.json"]').waitFor();
    const text = world.session.read('service/.vscode/launch.json').replace(/^\s*\/\/.*$/gm, '');
    const { configurations } = JSON.parse(text) as {
      configurations: { type: string; request: string; program?: string; processId?: string }[];
    };
    assert.deepEqual(
      configurations.map(({ type, request, program, processId }) => [type, request, program ?? processId]),
      [
        ['hotPatch', 'launch', '${workspaceFolder}/build/service'],
        ['hotPatch', 'attach', '${command:pickProcess}'],
      ],
    );
  });
});
