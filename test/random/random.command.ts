// `npm run test:random`: random programs, random edits. Prints each case that fails, with the command that runs it
// again, and ends with status 1 when one did.
import { parseArgs } from 'node:util';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EngineWorld } from '../support/live_program';
import { caseOf, type Made } from './cases';
import { csmithCase } from './csmith';
import { reduce } from './reduce';
import { type OnSave, type Case, type Failure, runCase } from './run';

/** Runs one case in a world of its own. */
async function runAlone(one: Case, onSave?: OnSave): Promise<Failure | undefined> {
  const world = new EngineWorld();
  try {
    return await runCase(world, one, onSave);
  } finally {
    await world.dispose();
  }
}

/** The texts of a case, and why it failed. */
function write(
  directory: string,
  { title, flags, module, versions }: Case,
  failure: Failure,
  again: string,
): void {
  for (const [version, texts] of versions.entries())
    for (const [name, text] of Object.entries(texts)) {
      const path = join(directory, `version-${version}`, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  const note = `${title}; ${module}; ${flags.join(' ')}\n${failure.kind} at version ${failure.version}: ${failure.detail}\n`;
  writeFileSync(join(directory, 'failure.txt'), `${note}${again}\n`);
}

/**
 * @param argv `--count N` cases from `--seed S` on, with `--csmith` of csmith's programs; `--keep DIRECTORY` writes the
 * texts of each that fails, reduced unless they are csmith's
 * @returns the number of cases that failed
 */
export async function runRandom(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      count: { type: 'string', default: '100' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      keep: { type: 'string' },
      csmith: { type: 'boolean', default: false },
    },
  });
  const [count, first] = [Number(values.count), Number(values.seed)];
  console.log(`${count} cases, seeds ${first} to ${first + count - 1}`);
  let failures = 0;
  const tally = new Map<string, number>();
  const saves = new Map<string, number>();
  const countOne = (counts: Map<string, number>, what: string) =>
    counts.set(what, (counts.get(what) ?? 0) + 1);
  for (let seed = first; seed < first + count; seed++) {
    const made: Made = values.csmith ? { case: csmithCase(seed), models: [] } : caseOf(seed);
    const failure = await runAlone(made.case, ({ firstLight }, ahead, tried) => {
      const how = [
        firstLight?.outcome ?? 'exact',
        ahead?.outcome === 'ready' && 'ahead',
        tried > 0 && 'over',
      ];
      countOne(saves, how.filter(Boolean).join(' '));
    });
    countOne(tally, failure?.kind ?? 'right');
    if (!failure) continue;
    failures++;
    console.log(
      `${failure.kind.toUpperCase()} seed ${seed} (${made.case.title}), version ${failure.version}: ${failure.detail}`,
    );
    const again = `npm run test:random -- --count 1 --seed ${seed}${values.csmith ? ' --csmith' : ''}`;
    console.log(`  ${again}`);
    if (values.keep === undefined) continue;
    const directory = join(values.keep, `seed-${seed}`);
    const small = values.csmith
      ? { ...made, failure }
      : await reduce(made, failure, (smaller) => runAlone(smaller));
    write(directory, small.case, small.failure, again);
    console.log(`  kept in ${directory}`);
  }
  const listed = (counts: Map<string, number>) =>
    [...counts].map(([what, times]) => `${times} ${what}`).join(', ');
  console.log(`${listed(tally)}; saves: ${listed(saves)}`);
  return failures;
}
