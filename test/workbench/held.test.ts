// A thread that crashes in code that was just patched is held: the others go on, the function is edited and saved, and the
// thread goes on, in each of the ways. A server with clients, of whom none is disconnected.
import { strict as assert } from 'node:assert';
import { setTimeout } from 'node:timers/promises';
import type { HeldThread } from '../../extension/engine/model/held';
import { until } from '../support/until';
import { processesOf } from './host/processes_of';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';
import { buildService, Client } from './service';

const ORIGINAL = 'each = 2.5';
/** An order of seven crashes. */
const CRASHING = 'each = *reinterpret_cast<double *>(count - 7)';
const LINE = 35;

describe('a thread that crashes in a program that was started here', () => {
  const world = useWorkbench((session) => buildService(session, '-DCMAKE_BUILD_TYPE=Debug'), {
    folder: 'service',
    size: { width: 1400, height: 900 },
  });
  let pid = 0;
  let answer: Promise<string> | undefined;
  const clients: Client[] = [];
  after(() => {
    for (const client of clients) client.close();
    for (const one of processesOf(world.session.path('service', 'build', 'service')))
      process.kill(one, 'SIGKILL');
  });
  const lens = (text: string | RegExp) => world.workbench.lens(text);
  const save = async (from: string, to: string) => {
    const { workbench } = world;
    await workbench.replace(from, to);
    await workbench.save();
  };
  /** The service that has just been started, with a client. */
  const started = async () => {
    const { workbench } = world;
    const item = workbench.page.locator('[id="hot-patch.hot-patch.status"]');
    const other = item.filter({ hasText: /service \(\d+\)/ }).filter({ hasNotText: `(${pid})` });
    await other.waitFor();
    pid = Number(/\((\d+)\)/.exec(await other.innerText())![1]);
    clients.push(await Client.connect(pid));
  };
  /** An order that returns once the thread goes on. */
  const crash = async () => {
    answer = clients[0]!.ask('order Ann 7');
    await world.workbench.status('1 thread held');
  };
  const held = async () => {
    const { stdout } = await world.session.hotPatch('held', String(pid), '--json');
    return (JSON.parse(stdout) as HeldThread[]).map(({ id }) => id);
  };

  it('is held: status bar, notification, tree and line say so, and the others go on', async () => {
    const { workbench } = world;
    await workbench.openFile('shop.cc');
    await workbench.command('Hot Patch: Start Program with Hot Patch');
    await workbench.pick('service');
    await started();
    clients.push(await Client.connect(pid));
    await workbench.showView();
    await workbench.widenSideBar(200);
    await save(ORIGINAL, CRASHING);
    await workbench.status(/live in \d+ ms(?!.*confirming)/);
    await crash();
    const title = `thread service held at shop\\.cc:${LINE}`;
    await workbench.notified(
      new RegExp(
        `service \\(${pid}\\): ${title}, SIGSEGV: null pointer \\(address 0x0\\)\\..*all other threads go on`,
      ),
    );
    await workbench.row(new RegExp(`${title}.*SIGSEGV: null pointer \\(address 0x0\\)`, 's'));
    await shows(lens('Thread service held: SIGSEGV: null pointer (address 0x0)'));
    await shows(lens('Let It Crash'));
    assert.match(await clients[1]!.ask('stats'), /^requests \d+/);
    await workbench.screenshot('held-notification');
    await workbench.closeNotifications();
    await workbench.expand(/thread service held/);
    await workbench.row(/shop::order.*shop\.cc:\d+/s);
    await workbench.screenshot('held');
  });

  it('goes on as if the function had returned, with a value that is typed in', async () => {
    const { workbench } = world;
    await lens('Return from Here…').first().click();
    await workbench.pick('price_of');
    const input = workbench.page.locator('.quick-input-widget input').first();
    const message = workbench.page.locator('.quick-input-message');
    await shows(message.filter({ hasText: 'A number, such as 0 or 1.5' }));
    await workbench.screenshot('held-return');
    await input.fill('seven');
    await shows(message.filter({ hasText: /^A number, such as 0 or 1\.5/ }));
    await input.fill('1.5');
    await workbench.page.keyboard.press('Enter');
    assert.match((await answer)!, /7 for 1\.5, Ann has 7/);
    await workbench.status(/live in \d+ ms/);
    await isGone(lens('Let It Crash'));
  });

  it('makes the call again, with the function that was saved meanwhile', async () => {
    const { workbench } = world;
    await crash();
    await shows(lens(/^Retry the Call$/));
    await save(CRASHING, 'each = 4.5');
    await workbench.status('1 thread held · saved: retry the call');
    await workbench.row(/thread service held.*saved: retry the call/s);
    await workbench.notified(
      new RegExp(`shop::price_of is saved and live in service \\(${pid}\\), where thread service is held`),
    );
    await workbench.closeNotifications();
    await shows(lens('Saved: Retry the Call'));
    await workbench.screenshot('held-saved');
    await lens('Saved: Retry the Call').first().click();
    assert.match((await answer)!, /7 for 31\.5, Ann has 14/);
    await workbench.status(/live in \d+ ms/);
    await save('each = 4.5', CRASHING);
    await workbench.row(/shop::price_of.*version 3/s);
    await workbench.status(/live in \d+ ms(?!.*confirming)/);
  });

  it('is held again when the instruction is retried, and fails again', async () => {
    const { workbench } = world;
    await crash();
    const before = await held();
    const fixes = await workbench.quickFixes('Retry the Instruction');
    await fixes.getByText('Retry the Instruction').click();
    await until(held, (now) => now.length === 1 && now[0] !== before[0]);
    await workbench.status('1 thread held');
  });

  it('stays held while the window is loaded again, which attends to it from then on', async () => {
    const { workbench } = world;
    const before = await held();
    await workbench.reload();
    await workbench.status('1 thread held');
    await shows(lens('Let It Crash'));
    await workbench.showView();
    await workbench.row(/thread service held/);
    // Longer than a thread is held that nobody attends to.
    await setTimeout(25_000);
    assert.deepEqual(await held(), before);
    assert.match(await clients[1]!.ask('stats'), /^requests \d+/);
  });

  it('crashes when it is let, which the window then says', async () => {
    const { workbench } = world;
    const row = await workbench.row(/thread service held/);
    await workbench.clickAction(row, 'Let It Crash');
    await workbench.status(/service crashed: SIGSEGV in shop::price_of/);
    await isGone(workbench.page.locator('.sidebar .monaco-list-row', { hasText: /thread service held/ }));
    assert.deepEqual(processesOf(world.session.path('service', 'build', 'service')), []);
  });

  it('is not held where it was started otherwise, which the setting has by default', async () => {
    const { workbench } = world;
    await world.session.start('service/build/service');
    await started();
    await save('count - 7', 'count - 8');
    await workbench.status(/live in \d+ ms(?!.*confirming)/);
    void clients.at(-1)!.ask('order Ann 8');
    await workbench.status(/service crashed: SIGSEGV in shop::price_of/);
  });

  it('is held in a debug session of F5, and asked about by the status bar', async () => {
    const { workbench } = world;
    await workbench.page.keyboard.press('F5');
    await started();
    await save('count - 8', 'count - 7');
    await workbench.status(/live in \d+ ms(?!.*confirming)/);
    void clients.at(-1)!.ask('order Ann 7');
    await (await workbench.status('1 thread held')).click();
    const list = workbench.page.locator('.quick-input-list .monaco-list-row');
    await shows(list.filter({ hasText: /Retry the Instruction.*carried out again/s }));
    await shows(list.filter({ hasText: /Return from Here….*is left, as if it had returned/s }));
    await shows(list.filter({ hasText: /Retry the Call.*called again/s }));
    await workbench.screenshot('held-ways');
    await workbench.pick(/Let It Crash.*The process ends by the signal/s);
    await workbench.status(/service crashed/);
  });
});
