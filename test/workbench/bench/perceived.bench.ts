// Part of `npm run bench`: what somebody sees. Presses Ctrl+S in a real VS Code and looks when the lens above the function
// says that it is live, by the clock of the page that draws it, beside the figure that is in the lens: the engine's.
import { strict as assert } from 'node:assert';
import { Session } from '../../support/session';
import { removeTemporaryDirectory, temporaryDirectory } from '../../support/temporary';
import { Workbench } from '../host/workbench';

/** A unit for test/samples/driver, with one `* 1000 + 0` in what it answers for 1. */
export interface SeenUnit {
  readonly title: string;
  readonly text: string;
  readonly flags: readonly string[];
}

const ROUNDS = 10;
/** Milliseconds by which the lens may be later than the engine's figure. */
const LIMIT = 50;

const KINDS = { 'at once': false, 'compiled ahead': true };

/** One save, milliseconds. */
interface Seen {
  seen: number;
  engine: number;
}

/** Looks, from the key press on, at the lenses after everything that changes in the page: when there is one that says live
 * and did not say so before, with the time when that is drawn. */
const LOOK = `(() => {
  const lenses = () => [...document.querySelectorAll('.codelens-decoration a')].map((lens) => lens.textContent);
  let before;
  let pressed;
  globalThis.hotPatchSeen = undefined;
  addEventListener('keydown', ({ ctrlKey, key }) => {
    if (!ctrlKey || key.toLowerCase() !== 's') return;
    before = new Set(lenses());
    globalThis.hotPatchSeen = undefined;
    pressed = performance.now();
  }, true);
  new MutationObserver(() => {
    if (pressed === undefined) return;
    const text = lenses().find((one) => /live in/.test(one) && !before.has(one));
    if (text === undefined) return;
    const begin = pressed;
    pressed = undefined;
    requestAnimationFrame(() => (globalThis.hotPatchSeen = { seen: performance.now() - begin, text }));
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
})()`;

/** The section of the report, as Markdown.
 * @param rounds fewer for a try */
export async function measure(units: readonly SeenUnit[], rounds = ROUNDS): Promise<string> {
  const rows: string[] = [];
  for (const unit of units) {
    const session = new Session();
    const home = temporaryDirectory();
    let workbench: Workbench | undefined;
    try {
      session.copySample('driver');
      session.write('unit.cc', unit.text);
      await session.build({ sources: ['main.cc', 'unit.cc'], flags: [...unit.flags] });
      const program = await session.start();
      workbench = await Workbench.open({
        directory: home,
        folder: session.directory,
        env: session.environment,
      });
      await workbench.openFile('unit.cc');
      await workbench.status(new RegExp(`program \\(${program.pid}\\)`));
      await workbench.page.evaluate(LOOK);
      let version = 0;
      const save = async (isAhead: boolean): Promise<Seen> => {
        await workbench!.replace(` * 1000 + ${version}`, ` * 1000 + ${version + 1}`);
        version++;
        if (isAhead) await workbench!.lens('Compiled: live at the save').first().waitFor();
        await workbench!.save();
        await workbench!.page.waitForFunction('globalThis.hotPatchSeen');
        const { seen, text } = await workbench!.page.evaluate<{ seen: number; text: string }>(
          'globalThis.hotPatchSeen',
        );
        assert.equal(await program.ask('1'), String(1000 + version));
        await workbench!.lens(`Version ${version} `).first().waitFor();
        const [, figure, unitOfTime] = /live in ([\d.]+) (ms|s)/.exec(text)!;
        return { seen, engine: Number(figure) * (unitOfTime === 's' ? 1000 : 1) };
      };
      await save(false); // the engine reads the program
      for (const [kind, isAhead] of Object.entries(KINDS)) {
        const saves: Seen[] = [];
        for (let round = 0; round < rounds; round++) saves.push(await save(isAhead));
        console.error(
          `${unit.title}, ${kind}: ${saves.map(({ seen, engine }) => `${Math.round(seen)} (${engine})`).join(', ')}`,
        );
        rows.push(row(unit, kind, saves));
      }
    } finally {
      await workbench?.close();
      await session.dispose();
      removeTemporaryDirectory(home);
    }
  }
  return report(rows, rounds);
}

function row({ title }: SeenUnit, kind: string, saves: readonly Seen[]): string {
  const ms = (of: (save: Seen) => number) => Math.round(median(saves.map(of)));
  const later = ({ seen, engine }: Seen) => seen - engine;
  const longest = Math.round(Math.max(...saves.map(later)));
  return `| ${title} | ${kind} | ${ms(({ seen }) => seen)} | ${ms(({ engine }) => engine)} | ${ms(later)} (${LIMIT}) | ${longest} |`;
}

function report(rows: readonly string[], rounds: number): string {
  return `## What is seen

Measured by \`node scripts/bench_perceived.mjs\` (also a part of \`npm run bench\`): from the key press Ctrl+S in a real VS Code until its page draws the lens that says "live", beside the figure in that lens, which counts from the save that VS Code reports. Milliseconds, medians of ${rounds} saves each; in parentheses what it is to be at most. *At once*: saved right after the edit; *compiled ahead*: when the lens said that the edit was compiled.

| unit | saved | Ctrl+S to the lens | the engine's figure | difference | the longest |
| --- | --- | ---: | ---: | ---: | ---: |
${rows.join('\n')}
`;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}
