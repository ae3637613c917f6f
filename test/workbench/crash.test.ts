// A program crashes in code that was just patched: where, in which version, how it came there, and the ways on.
import { strict as assert } from 'node:assert';
import type { Program } from '../support/program';
import { until } from '../support/until';
import { processesOf } from './host/processes_of';
import { useWorkbench } from './host/use_workbench';
import { shows } from './host/browser';

const UNIT = `long limit = 100;

static long bounded(long n) {
  return n < limit ? n : limit;
}

long value(long n) {
  return bounded(n) * 2;
}
`;
const MENDED = 'n < limit ? n : limit';
const CRASHING = 'n == 7 ? *(long *)(n - 7) : n';

describe('a program that crashes', () => {
  let program: Program;
  const world = useWorkbench(
    async (session) => {
      session.copySample('driver');
      session.write('unit.c', UNIT);
      await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O0'] });
      program = await session.start();
    },
    // A thread that crashes is held otherwise (held.test.ts).
    { settings: { 'hotPatch.holdOnCrash': 'off' } },
  );
  after(() => {
    for (const pid of processesOf(world.session.path('program'))) process.kill(pid, 'SIGKILL');
  });
  const next = async (before: number): Promise<number> => {
    const others = () => processesOf(world.session.path('program')).filter((pid) => pid !== before);
    return (await until(others, (pids) => pids.length > 0))[0]!;
  };
  const theme = async (name: string, kind: string) => {
    world.session.write('.vscode/settings.json', JSON.stringify({ 'workbench.colorTheme': name }));
    await world.workbench.page.locator(`.monaco-workbench.${kind}`).waitFor();
  };

  it('in code just patched: says signal, function, version and age, and shows the backtrace', async () => {
    const { workbench } = world;
    await workbench.openFile('unit.c');
    await workbench.status(`program (${program.pid})`);
    await workbench.replace(MENDED, CRASHING);
    await workbench.save();
    await workbench.status(/live in \d+ ms(?!.*confirming)/);
    assert.equal(await program.ask('6'), '12');
    program.send('7');
    await workbench.status(/program crashed: SIGSEGV in bounded, patched \d+ s ago/);
    const said = await workbench.notified(
      /program \(\d+\) crashed: SIGSEGV \(null pointer \(address 0x0\)\) in bounded at unit\.c:4\. It ran version 1, patched \d+ s ago\./,
    );
    await workbench.screenshot('crash-notification');
    await said.hover();
    await said.locator('.monaco-button', { hasText: 'Show Backtrace' }).click();
    await workbench.row(/program crashed.*SIGSEGV in bounded/s);
    await workbench.row(/bounded.*unit\.c:4 · version 1/s);
    const caller = await workbench.row(/value.*unit\.c:8/s);
    await workbench.row(/main.*main\.c:17/s);
    await shows(workbench.page.locator('.statusbar-item', { hasText: 'Ln 4, Col 1' }));
    await workbench.closeNotifications();
    await workbench.screenshot('crash');
    for (const [name, kind] of [
      ['Default Light Modern', 'vs'],
      ['Default High Contrast', 'hc-black'],
      ['Default Dark Modern', 'vs-dark'],
    ] as const) {
      await theme(name, kind);
      if (kind !== 'vs-dark') await workbench.screenshot(`crash-${kind}`);
    }
    // Each frame leads to its source.
    await caller.click();
    await shows(workbench.page.locator('.statusbar-item', { hasText: 'Ln 8, Col 1' }));
  });

  it('is started again without the last patch, by the keyboard', async () => {
    const { workbench, session } = world;
    await workbench.command('Hot Patch: Restart Without the Last Patch');
    const pid = await next(program.pid);
    await workbench.row(new RegExp(`program.*pid ${pid}`, 's'));
    await workbench.row(/Pending/);
    await workbench.row(/No patches yet/);
    const [status] = await session.status('--pid', String(pid));
    assert.deepEqual(status!.functions, []);
  });

  it('in code that was never patched: says so, and is started again', async () => {
    const { workbench, session } = world;
    const [pid] = processesOf(session.path('program'));
    process.kill(pid!, 'SIGSEGV');
    await workbench.status('program crashed: SIGSEGV');
    await workbench.notified(/crashed: SIGSEGV \(sent by a program\).*No patched code was involved\./);
    const item = await workbench.status('program crashed: SIGSEGV');
    await item.click();
    await workbench.row(/program crashed/);
    const row = await workbench.row(/program crashed/);
    await workbench.clickAction(row, 'Restart Program');
    const again = await next(pid!);
    await workbench.row(new RegExp(`program.*pid ${again}`, 's'));
    await workbench.screenshot('crash-restarted');
  });

  it('is told from one that ends by itself, whose task gives its exit status', async () => {
    const { workbench } = world;
    await workbench.closeNotifications();
    await workbench.replace(
      'return bounded(n) * 2',
      'if (n == 9) __builtin_exit(3);\n  return bounded(n) * 2',
    );
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    await workbench.runInTerminal('9');
    await workbench.status('program has ended');
    await workbench.statusTooltip('has ended with exit status 3');
    await workbench.screenshot('exit-status');
    await workbench.unhover();
  });
});
