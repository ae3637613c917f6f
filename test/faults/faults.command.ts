// `npm run faults [-- --most N] [KIND…]`: what happens when something fails at each step, as a table. Ends with status 1 when a cell is wrong:
// the process dead or half patched, an answer that says what is not so, a next save that fails, or files left behind.
// With --most each call fails at no more than so many of its times. --rounds: of each kind of fault in a save. KIND: only
// that kind (`the engine is killed`), and no failing calls.
import { parseArgs } from 'node:util';
import { RuntimeSession } from '../support/runtime_process';
import { canMount, FAULTS } from './saves';
import { type Cell, failEachCall, isWrong, spread, ways } from './failing_calls';

/** @returns the number of wrong cells */
export async function runFaults(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { most: { type: 'string', default: '1000' }, rounds: { type: 'string', default: '20' } },
  });
  const wrongSaves = await failSaves(Number(values.rounds), positionals);
  if (positionals.length > 0) return wrongSaves;
  const session = new RuntimeSession();
  try {
    const cells = await failEachCall(session, ways, spread(Number(values.most)), (cell) => {
      if (isWrong(cell)) console.log(`WRONG ${JSON.stringify(cell)}`);
    });
    print(cells);
    return cells.filter(isWrong).length + wrongSaves;
  } finally {
    await session.dispose();
  }
}

/** @param kinds none: all
 * @returns in how many kinds of fault a save went wrong */
async function failSaves(rounds: number, kinds: readonly string[]): Promise<number> {
  const unknown = kinds.find((kind) => !(kind in FAULTS));
  if (unknown !== undefined)
    throw new Error(`no such kind: ${unknown}; there are ${Object.keys(FAULTS).join(', ')}`);
  let wrong = 0;
  for (const [what, run] of Object.entries(FAULTS)) {
    if (kinds.length > 0 && !kinds.includes(what)) continue;
    if (what.includes('is full') && !canMount) continue;
    // Of a disk each round is a size, twice the one before.
    const count = what.includes('is full') ? Math.min(rounds, 8) : rounds;
    try {
      await run(count);
      console.log(`${what.padEnd(40)}${count} saves, each whole, and the next one works`);
    } catch (error) {
      wrong++;
      console.log(`WRONG ${what}: ${(error as Error).stack}`);
    }
  }
  return wrong;
}

/** Rows are the calls, columns the steps; in each how many times it failed, and with which outcomes. */
function print(cells: readonly Cell[]): void {
  const steps = [...new Set(cells.map(({ step }) => step))];
  const rows = [...new Set(cells.map(({ call }) => call))];
  const width = 26;
  console.log(['call'.padEnd(20), ...steps.map((step) => step.padEnd(width))].join(''));
  for (const call of rows) {
    const columns = steps.map((step) => {
      const counts = new Map<string, number>();
      for (const { outcome } of cells.filter((cell) => cell.call === call && cell.step === step))
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      const text = [...counts].map(([outcome, count]) => `${count} ${outcome.replace('unanswered', 'un')}`);
      return text.join(' ').padEnd(width);
    });
    console.log([call.padEnd(20), ...columns].join(''));
  }
  console.log(`${cells.length} faults, ${cells.filter(isWrong).length} wrong`);
}
