// `npm run test:matrix`: every construct in every variant, or those that are named. Prints a table and ends with status
// 1 when a cell is wrong.
import { parseArgs } from 'node:util';
import { EngineWorld } from '../support/live_program';
import { FAMILIES } from './constructs';
import { type Cell, runConstructs } from './run';
import { missing, VARIANTS } from './variants';

const SIGNS: Record<Cell['outcome'], string> = {
  pass: '·',
  refused: 'r',
  'not-applicable': '-',
  known: 'k',
  wrong: 'X',
};

/** @param argv `--construct ID --family NAME --variant ID`, each any number of times; an ID may be a regular expression.
 * `--part K/N`: of the constructs every N-th one, from another one on in each variant, so that each construct meets some
 * variant of every kind, and parts 1/N to N/N are the whole */
export async function runMatrix(argv: readonly string[]): Promise<number> {
  const text = { type: 'string', multiple: true } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: { construct: text, family: text, variant: text, part: { type: 'string' } },
  });
  const [part = 1, parts = 1] = (values.part ?? '1/1').split('/').map(Number);
  if (!(part >= 1 && part <= parts)) throw new Error(`--part ${values.part}: not K/N`);
  const wanted = (patterns: string[] | undefined, id: string) =>
    patterns === undefined || patterns.some((pattern) => new RegExp(`^(${pattern})$`).test(id));
  const cells: Cell[] = [];
  const rows = new Map<string, string>();
  const variants = VARIANTS.filter(({ id }) => wanted(values.variant, id));
  for (const [index, variant] of variants.entries()) {
    const count = cells.length;
    let place = part - 1 + VARIANTS.indexOf(variant);
    const begin = performance.now();
    for (const [family, constructs] of Object.entries(FAMILIES)) {
      const chosen = constructs.filter(({ id }) => place++ % parts === 0 && wanted(values.construct, id));
      if (chosen.length === 0 || !wanted(values.family, family)) continue;
      const world = new EngineWorld();
      try {
        const found = await runConstructs(world, variant, chosen);
        for (const cell of found) {
          if (cell.outcome === 'wrong')
            console.log(`WRONG ${cell.construct} in ${variant.id}: ${cell.detail}`);
          rows.set(cell.construct, (rows.get(cell.construct) ?? '').padEnd(index) + SIGNS[cell.outcome]);
        }
        cells.push(...found);
      } catch (error) {
        console.log(`WRONG ${family} in ${variant.id}: ${(error as Error).message}`);
        cells.push({ construct: family, variant: variant.id, outcome: 'wrong', detail: '' });
      } finally {
        await world.dispose();
      }
    }
    const seconds = ((performance.now() - begin) / 1000).toFixed(0);
    const absent = missing(variant);
    const told = absent === undefined ? summary(cells.slice(count)) : `not run: ${absent}`;
    console.log(`${variant.id}: ${told} (${seconds} s)`);
  }
  console.log(`\n${variants.map(({ id }, index) => `${String(index + 1).padStart(3)} ${id}`).join('\n')}\n`);
  for (const [construct, row] of rows) console.log(`${construct.padEnd(36)}${row}`);
  console.log(`\n${parts > 1 ? `Part ${part} of ${parts}: ` : ''}${summary(cells)}`);
  return cells.filter(({ outcome }) => outcome === 'wrong').length;
}

function summary(cells: readonly Cell[]): string {
  return (Object.keys(SIGNS) as Cell['outcome'][])
    .map(
      (outcome) =>
        `${cells.filter((cell) => cell.outcome === outcome).length} ${outcome} (${SIGNS[outcome]})`,
    )
    .join(', ');
}
