// A program is started again the way it was started: in its terminal, as its task, from its debug session, or, where
// something else started it, with the same arguments, environment and folder.
import { strict as assert } from 'node:assert';
import { readFileSync, readlinkSync } from 'node:fs';
import type { Program } from '../support/program';
import { until } from '../support/until';
import { processesOf } from './host/processes_of';
import { contrastOf } from './host/contrast';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';

const UNIT = `struct Account {
  long balance;
};

static struct Account account = {100};

long value(long n) {
  return account.balance * n;
}
`;

const MORE = `struct Log {
  long lines;
};

static struct Log log_of_all = {0};

long more(long n) {
  log_of_all.lines += n;
  return log_of_all.lines;
}
`;

describe('Restart Program', () => {
  let program: Program;
  const world = useWorkbench(async (session) => {
    session.copySample('driver');
    session.write('unit.c', UNIT);
    session.write('more.c', MORE);
    await session.build({ sources: ['main.c', 'unit.c', 'more.c'], flags: ['-g', '-O0'] });
    program = await session.start('program', ['--level', 'a b'], { GREETING: 'hello' });
  });
  after(() => {
    for (const pid of processesOf(world.session.path('program'))) process.kill(pid, 'SIGKILL');
  });
  const next = async (before: number): Promise<number> => {
    const others = () => processesOf(world.session.path('program')).filter((pid) => pid !== before);
    return (await until(others, (pids) => pids.length > 0))[0]!;
  };

  it('is offered at a refusal, beside its explanation, both layouts and the way back, by the keyboard', async () => {
    const { workbench, session } = world;
    const { keyboard } = workbench.page;
    await workbench.openFile('unit.c');
    await workbench.status(`program (${program.pid})`);
    await workbench.replace('balance * n', 'balance * n + 1');
    await workbench.save();
    // The text is known to be what runs once the whole file was.
    await workbench.status(/live in \d+ ms(?!.*confirming)/);
    const live = session.read('unit.c');
    await workbench.replace('long balance;', 'long balance, fee;');
    await workbench.save();
    await workbench.status('refused');
    await workbench.goToProblem('Account');
    await workbench.chooseQuickFix('Explain layout-changed');
    await shows(workbench.preview().getByRole('heading', { name: 'layout-changed' }));
    await workbench.openFile('unit.c');
    await workbench.goToProblem('Account');
    await workbench.chooseQuickFix('Show both layouts');
    const diff = workbench.page.locator('.monaco-diff-editor');
    await shows(diff.locator('.original .view-line', { hasText: /8\sbytes/ }));
    await shows(diff.locator('.modified .view-line', { hasText: /8\s+8\s+long\sint\sfee/ }));
    await workbench.screenshot('layouts');
    await keyboard.press('Control+W');
    await isGone(diff);
    await workbench.openFile('unit.c');
    await workbench.goToProblem('Account');
    await workbench.chooseQuickFix('Undo this edit');
    await workbench.save();
    await workbench.status('unchanged');
    assert.equal(session.read('unit.c'), live);
  });

  it('is legible at a refusal in every theme, with all that is offered', async () => {
    const { workbench } = world;
    await workbench.openFile('more.c');
    // The text is known to be what runs: it can be gone back to.
    await workbench.statusTooltip('reproduces the running code');
    await workbench.unhover();
    await workbench.replace('long lines;', 'long lines, bytes;');
    await workbench.save();
    await workbench.status('refused');
    await workbench.showView();
    for (const [label, kind] of [
      ['Light Modern', 'vs'],
      ['Light High Contrast', 'hc-light'],
      ['Dark High Contrast', 'hc-black'],
      ['Dark Modern', 'vs-dark'],
    ] as const) {
      await workbench.useTheme(label, kind);
      await workbench.goToProblem('Log');
      const list = await workbench.quickFixes('Explain layout-changed');
      const offered = [
        'Explain layout-changed',
        'Show both layouts',
        'Undo this edit',
        'Restart the program',
      ];
      for (const title of offered) {
        const contrast = await contrastOf(list.getByText(title));
        assert.ok(contrast >= 4.5, `${label}: ${title}: ${contrast}`);
      }
      const status = await contrastOf(await workbench.status('refused'));
      assert.ok(status >= 4.5, `${label}: the status bar: ${status}`);
      await workbench.screenshot(`quick-fixes-${kind}`);
      await workbench.page.keyboard.press('Escape');
      await isGone(list);
    }
  });

  it('starts what another program had started with its arguments, environment and folder, from a refusal', async () => {
    const { workbench, session } = world;
    await workbench.goToProblem('Log');
    await workbench.chooseQuickFix('Restart the program');
    const pid = await next(program.pid);
    await workbench.row(new RegExp(`program.*pid ${pid}`, 's'));
    assert.equal(
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, 3).join('|'),
      '--level|a b',
    );
    assert.match(readFileSync(`/proc/${pid}/environ`, 'utf8'), /(^|\0)GREETING=hello\0/);
    assert.equal(readlinkSync(`/proc/${pid}/cwd`), session.directory);
    // A restart by hand brings the patches along without a question: those that still apply.
    await workbench.row(/Brought over value/);
  });

  it('starts its task again, which is ready for the next save', async () => {
    const { workbench, session } = world;
    const [before] = processesOf(session.path('program'));
    await workbench.openFile('unit.c');
    await workbench.command('Hot Patch: Restart Program');
    const pid = await next(before!);
    await workbench.row(new RegExp(`program.*pid ${pid}`, 's'));
    await workbench.row(/value.*version 1 · verified/s);
    await workbench.replace('balance * n + 1', 'balance * n + 2');
    await workbench.save();
    await workbench.row(/value.*version 2 · verified/s);
  });

  it('starts one that has ended, from the status bar', async () => {
    const { workbench, session } = world;
    const [before] = processesOf(session.path('program'));
    process.kill(before!, 'SIGKILL');
    const item = await workbench.status('program has ended');
    await item.click();
    const pid = await next(before!);
    await workbench.row(new RegExp(`program.*pid ${pid}`, 's'));
  });

  it('types the command again into the terminal where it was typed', async () => {
    const { workbench, session } = world;
    const [before] = processesOf(session.path('program'));
    process.kill(before!, 'SIGKILL');
    // The task's terminal has no shell.
    await workbench.command('Terminal: Create New Terminal');
    await workbench.runInTerminal(`cd ${session.directory} && ./program "one two"`);
    const first = await next(before!);
    const row = await workbench.row(new RegExp(`program.*pid ${first}`, 's'));
    await workbench.clickAction(row, 'Restart Program');
    const pid = await next(first);
    const parent = (of: number) => /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${of}/status`, 'utf8'))![1];
    await workbench.row(new RegExp(`program.*pid ${pid}`, 's'));
    assert.equal(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1], 'one two');
    assert.notEqual(parent(pid), '1');
    await workbench.screenshot('restarted-in-its-terminal');
    process.kill(pid, 'SIGKILL');
    await until(
      () => processesOf(session.path('program')),
      (pids) => pids.length === 0,
    );
  });

  it('is offered where the program was rebuilt since it started, and starts what was built', async () => {
    const { workbench, session } = world;
    program = await session.start();
    await workbench.openFile('unit.c');
    await workbench.row(new RegExp(`program.*pid ${program.pid}`, 's'));
    await workbench.replace('return account.balance', 'return 7 + account.balance');
    await session.build({ sources: ['main.c', 'unit.c', 'more.c'], flags: ['-g', '-O0'] });
    await workbench.status('rebuilt since it started');
    await workbench.save();
    await workbench.status('refused');
    await workbench.goToProblem('rebuilt');
    await workbench.chooseQuickFix('Restart the program as it was built last');
    const pid = await next(program.pid);
    await workbench.status(new RegExp(`program \\(${pid}\\)`));
    await isGone(workbench.problem('rebuilt'));
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    process.kill(pid, 'SIGKILL');
  });
});
