// What `node scripts/bench_exactness.mjs` counts: no times, so that it may run on a machine that does other things as well.
import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { caseOf } from '../random/cases';
import { runCase } from '../random/run';
import { EngineWorld } from '../support/live_program';
import type { UnitCommand } from './assembly';
import { isPowerDnsBuilt, buildPowerDns } from './pdns_server';
import { addShare, noShare, type Share } from './reduced_code';
import { buildRedis } from './redis_server';
import { buildSqlite } from './sqlite';

export interface Extent {
  /** Functions of each unit that are looked at, spread evenly; of SQLite's single unit ten times as many. */
  most: number;
  /** Random edits. */
  edits: number;
  /** Only units whose path has this. */
  only: string;
}

const LEVELS = ['-O0', '-O1', '-O2', '-O3'];

interface Sources {
  title: string;
  commands: UnitCommand[];
  most: number;
}

function programs({ most, only }: Extent): Sources[] {
  const commandsOf = (database: string): UnitCommand[] => {
    const all = JSON.parse(readFileSync(database, 'utf8')) as UnitCommand[];
    const byFile = new Map(all.map((one) => [resolve(one.directory, one.file), one]));
    return [...byFile].filter(([file]) => existsSync(file) && file.includes(only)).map(([, one]) => one);
  };
  const sqlite = buildSqlite();
  const amalgamation = { directory: sqlite, file: 'sqlite3.c', arguments: ['gcc', '-g', '-c', 'sqlite3.c'] };
  const found = [
    { title: 'redis, C', commands: commandsOf(buildRedis('gcc').database), most },
    {
      title: 'SQLite, C, one unit',
      commands: [amalgamation].filter(({ file }) => file.includes(only)),
      most: 10 * most,
    },
  ];
  if (isPowerDnsBuilt()) {
    const { database } = buildPowerDns(console.error);
    found.push({ title: 'PowerDNS, C++17', commands: commandsOf(database), most });
  }
  return found.filter(({ commands }) => commands.length > 0);
}

/** The section of the report, as Markdown. */
export async function measure(extent: Extent): Promise<string> {
  const rows: string[] = [];
  for (const { title, commands, most } of programs(extent))
    for (const level of LEVELS) {
      const share = noShare();
      for (const command of commands) await addShare(share, command, { level, most, atOnce: cpus().length });
      console.error(`${title}, ${level}: ${JSON.stringify({ ...share, other: share.other.length })}`);
      for (const text of share.other) console.error(`  ${text}`);
      rows.push(row(title, level, share));
    }
  const outcomes = await randomEdits(extent.edits);
  return report(rows, outcomes, extent);
}

function row(title: string, level: string, { functions, looked, same, other, without }: Share): string {
  const light = looked - without;
  const share = (part: number, of: number) => (of === 0 ? '' : `${((100 * part) / of).toFixed(1)} %`);
  return `| ${title} | ${level} | ${looked} of ${functions} | ${share(light, looked)} | ${share(same, light)} | ${other.length} |`;
}

type Outcomes = Map<string, Map<string, number>>;

/** By optimisation level: how often each outcome of first light was. */
async function randomEdits(wanted: number): Promise<Outcomes> {
  const outcomes: Outcomes = new Map();
  let edits = 0;
  for (let seed = 1; edits < wanted; seed++) {
    const made = caseOf(seed);
    const [level] = /-O\d/.exec(made.case.title)!;
    const world = new EngineWorld();
    try {
      const failure = await runCase(world, made.case, ({ firstLight }) => {
        if (edits === wanted) return;
        edits++;
        const of = outcomes.get(level) ?? new Map<string, number>();
        const outcome = firstLight?.outcome ?? 'none';
        outcomes.set(level, of.set(outcome, (of.get(outcome) ?? 0) + 1));
      });
      if (failure?.kind === 'wrong') throw new Error(`seed ${seed}: ${failure.detail}`);
    } finally {
      await world.dispose();
    }
  }
  return outcomes;
}

function report(rows: readonly string[], outcomes: Outcomes, { most, edits }: Extent): string {
  const kinds = ['confirmed', 'replaced', 'corrected', 'withdrawn', 'none'];
  const lines = LEVELS.filter((level) => outcomes.has(level)).map((level) => {
    const of = outcomes.get(level)!;
    const all = [...of.values()].reduce((sum, count) => sum + count, 0);
    return `| ${level} | ${all} | ${kinds.map((kind) => of.get(kind) ?? 0).join(' | ')} |`;
  });
  const which = Number.isFinite(most)
    ? `up to ${most} functions of each unit, spread evenly over it (of SQLite ${10 * most})`
    : 'every function';
  return `## Exactness

Counted by \`node scripts/bench_exactness.mjs\` (not a part of \`npm run bench\`: it takes long, and counts no times). For ${which}: what first light compiles for an edit of that function alone, beside the same functions of the whole unit, as assembly that the compiler writes. *Has first light*: a part of the unit may be compiled alone; else the whole unit is. *Same code*: every function that first light would deliver is what the whole unit gives. Where it is not, the code does the same, is replaced when the whole unit is there, and differs in what the compiler inlines, clones or lays out.

| program | level | functions | has first light | same code | other code |
| --- | --- | ---: | ---: | ---: | ---: |
${rows.join('\n')}

Of ${edits} random edits of random programs (\`npm run test:random\`, seeds from 1 on; gcc and clang, C and C++), each of which did what a full build does: what the whole unit made of first light. *Replaced*: the same functions, other code; *corrected*: more functions than were edited; *none*: there was no first light.

| level | edits | ${kinds.join(' | ')} |
| --- | ---: | ${kinds.map(() => '---:').join(' | ')} |
${lines.join('\n')}
`;
}
