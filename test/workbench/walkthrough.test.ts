// The walkthrough, as a new user goes through it: opened from the view, each step with its text and picture, each
// button, and each step ticked off by what it asks for.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/paths';
import { useWorkbench } from './host/use_workbench';
import { shows } from './host/browser';
import { buildService, Client } from './service';

interface Step {
  id: string;
  title: string;
  description: string;
  media: { markdown: string };
}
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  contributes: { walkthroughs: [{ title: string; steps: Step[] }] };
};
const [{ title, steps }] = manifest.contributes.walkthroughs;

describe('the walkthrough', () => {
  const world = useWorkbench(buildService, { folder: 'service', size: { width: 1400, height: 900 } });
  let pid = 0;
  let client: Client | undefined;
  after(() => {
    client?.close();
    if (pid) process.kill(pid, 'SIGKILL');
  });
  const page = () => world.workbench.page;
  const step = (id: string) => page().locator(`.getting-started-step[data-step-id$="#${id}"]`);
  const isDone = (id: string) => shows(step(id).locator('.codicon.complete'));
  const open = async (id: string) => {
    if (!(await step(id).getAttribute('class'))?.includes('expanded')) await step(id).click();
    await page().locator(`.getting-started-step.expanded[data-step-id$="#${id}"]`).waitFor();
  };
  const show = async () => {
    await world.workbench.command('Welcome: Open Walkthrough');
    await world.workbench.pick(title);
    await shows(step(steps[0]!.id));
  };
  const press = (id: string, button: string) =>
    step(id).locator('.monaco-button, .button-link', { hasText: button }).click();

  it('is opened by the link in the view, and each step shows its text and picture', async () => {
    const { workbench } = world;
    await workbench.showView();
    await page().locator('.welcome-view-content a', { hasText: 'How it works' }).click();
    for (const { id, title: name, description, media } of steps) {
      await open(id);
      await shows(step(id).locator('.step-title', { hasText: name }));
      const [sentence] = description.replaceAll(/``|\*\*/g, '').split(/[;\n]|\.\s/);
      await shows(step(id).locator('.step-description-container', { hasText: sentence }));
      const [line] = readFileSync(join(root, media.markdown), 'utf8')
        .split('\n')
        .filter((text) => /^[A-Z]/.test(text))
        .map((text) => text.replaceAll(/[*`]/g, '').split('.')[0]);
      const picture = page().frameLocator('iframe.webview.ready').frameLocator('#active-frame');
      await shows(picture.locator('body', { hasText: line }));
      await workbench.screenshot(`walkthrough-${id}`);
    }
  });

  it('starts the program, and ticks that off', async () => {
    const { workbench } = world;
    await open('program');
    await press('program', 'Start Program with Hot Patch');
    await workbench.pick('service');
    const item = await workbench.status(/service \(\d+\)/);
    pid = Number(/\((\d+)\)/.exec(await item.innerText())![1]);
    client = await Client.connect(pid);
    await isDone('program');
  });

  it('ticks off the edit once it is live', async () => {
    const { workbench } = world;
    await workbench.openFile('shop.cc');
    await workbench.status(/service \(\d+\)/);
    await workbench.replace('each = 2.5', 'each = 3.5');
    await workbench.save();
    await workbench.status(/live in \d+ ms/);
    assert.match(await client!.ask('order Ann 2'), /2 for 7/);
    await show();
    await isDone('edit');
  });

  it('shows the trampolines, and goes back', async () => {
    const { workbench } = world;
    await open('look');
    await press('look', 'Show Trampolines');
    await workbench.row(/shop::price_of.*version 1 · verified/s);
    await isDone('look');
    await open('back');
    await press('back', 'Revert All');
    await workbench.status(/original in \d+ ms/);
    assert.match(await client!.ask('order Ann 2'), /2 for 5/);
    await isDone('back');
    await workbench.screenshot('walkthrough-done');
  });
});
