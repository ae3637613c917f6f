// Terminals of the workspace (setting hotPatch.terminals): what is started in them by hand, or by a task, can be patched
// by the first save, without attaching; everything else is as it was.
import { strict as assert } from 'node:assert';
import { openTerminal, outputOf, PLAIN_SHELL } from './host/terminal';
import { useWorkbench } from './host/use_workbench';
import { isGone } from './host/browser';

const tasks = {
  version: '2.0.0',
  tasks: [
    { label: 'run the program', type: 'shell', command: './program', problemMatcher: [] },
    { label: 'run it as a process', type: 'process', command: './program', problemMatcher: [] },
  ],
};

describe('terminals of a workspace', () => {
  const world = useWorkbench(
    async (session) => {
      session.copySample('driver');
      session.write('unit.c', 'long value(long n) {\n  return n * 2;\n}\n');
      session.write('.vscode/tasks.json', JSON.stringify(tasks));
      await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O0'] });
      await session.run('gcc', ['-g', '-fsanitize=address', 'main.c', 'unit.c', '-o', 'checked']);
    },
    {
      settings: {
        'hotPatch.attach': 'never',
        ...PLAIN_SHELL,
      },
    },
  );
  /** The process of the program that has been started, as the tree lists it. */
  const startedRow = async (name = 'program') => {
    const { workbench } = world;
    const row = await workbench.row(new RegExp(`${name}.*pid \\d+$`, 'm'));
    return Number(/pid (\d+)/.exec(await row.innerText())![1]);
  };

  it('say which folders are meant', async () => {
    const { workbench, session } = world;
    await workbench.openFile('unit.c');
    await workbench.showView();
    const text = await openTerminal(world, (env) => /^HOT_FIX_GATE=/m.test(env));
    assert.match(text, /^LD_PRELOAD=\S+\/before-libasan\.so\/\$PLATFORM\/libhot_fix_gate\.so:$/m);
    assert.ok(/^HOT_FIX_GATE=(.*)$/m.exec(text)![1]!.split(':').includes(session.directory));
  });

  it('leave programs of other folders as they are', async () => {
    const maps = await outputOf(world, 'cat /proc/self/maps');
    assert.match(maps, /terminals\/x86_64\/libhot_fix_gate\.so/);
    assert.doesNotMatch(maps, /libhot_fix\.so/);
  });

  it('start a program whose first save is live, without attaching', async () => {
    const { workbench } = world;
    await workbench.runInTerminal('./program');
    const pid = await startedRow();
    await workbench.status(new RegExp(`program \\(${pid}\\)`));
    await workbench.replace('n * 2', 'n * 3');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    await workbench.row(/value.*version 1 · verified/s);
    await isGone(workbench.page.locator('.notification-list-item', { hasText: 'Hot Patch' }));
    await workbench.screenshot('terminal-ready');
    process.kill(pid, 'SIGKILL');
    await isGone(workbench.page.locator('.sidebar .monaco-list-row', { hasText: `pid ${pid}` }));
  });

  it('start a program with the address sanitizer', async () => {
    const { workbench } = world;
    await workbench.runInTerminal('./checked');
    const pid = await startedRow('checked');
    process.kill(pid, 'SIGKILL');
    await isGone(workbench.page.locator('.sidebar .monaco-list-row', { hasText: `pid ${pid}` }));
  });

  for (const { label } of tasks.tasks)
    it(`are those of tasks too: "${label}"`, async () => {
      const { workbench } = world;
      await workbench.command('Tasks: Run Task');
      await workbench.pick(label);
      const pid = await startedRow();
      const [before, factor] = /\bn \* (\d)/.exec(world.session.read('unit.c'))!;
      await workbench.replace(before, `n * ${(Number(factor) % 9) + 1}`);
      await workbench.save();
      await workbench.status(/live in \d+ ms/);
      process.kill(pid, 'SIGKILL');
      await isGone(workbench.page.locator('.sidebar .monaco-list-row', { hasText: `pid ${pid}` }));
    });

  it('are as they were when the setting is off', async () => {
    const { workbench, session } = world;
    session.write('.vscode/settings.json', '{ "hotPatch.terminals": false }');
    const text = await openTerminal(world, (env) => !/^HOT_FIX_GATE=/m.test(env));
    assert.doesNotMatch(text, /LD_PRELOAD/);
    await workbench.runInTerminal('./program');
    const row = await workbench.row(/not attached · pid \d+/);
    process.kill(Number(/pid (\d+)/.exec(await row.innerText())![1]), 'SIGKILL');
    await isGone(row);
  });
});
