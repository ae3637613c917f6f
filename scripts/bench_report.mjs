// The report of `npm run bench`: figures of units are kept in docs/performance/saves.json, each with when and where it
// was measured, so that some can be measured again alone; the section of docs/PERFORMANCE.md and the plots are made of
// them. Other sections are put in their place as they are.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { barChart } from './bench_plot.mjs';
import { root } from './setup.mjs';

const report = join(root, 'docs', 'PERFORMANCE.md');
const directory = join(root, 'docs', 'performance');
const kept = join(directory, 'saves.json');

/** The order of those that have not been in the report yet. */
const ORDER = [
  ...['## Saves', '## What is seen', '## Exactness', '## The editor', '## Attaching'],
  '## Programs started in a terminal',
];

/** Puts a section in the place of the one with the same heading, or before those that come behind it. */
function replaceSection(text, section) {
  const [heading] = section.split('\n');
  const placeOf = (name) => `${text}\n`.indexOf(`\n${name}\n`);
  const begin = placeOf(heading);
  if (begin < 0) {
    const next = ORDER.slice(ORDER.indexOf(heading) + 1)
      .map(placeOf)
      .find((place) => place >= 0);
    if (next === undefined) return `${text.trimEnd()}\n\n${section}`;
    return `${text.slice(0, next + 1)}${section}${text.slice(next)}`;
  }
  const end = text.indexOf('\n## ', begin + 1);
  return `${text.slice(0, begin)}\n${section}${end < 0 ? '' : text.slice(end)}`;
}

/** Prints a section, and writes it into the report unless --dry is said. */
export function writeSection(section) {
  console.log(section);
  if (!process.argv.includes('--dry'))
    writeFileSync(report, replaceSection(readFileSync(report, 'utf8'), section));
}

/** When and where.
 * @param version of the compiler */
export function measuredOn(version) {
  const memory = Math.round(totalmem() / 2 ** 30);
  const machine = `${cpus()[0].model.trim()}, ${cpus().length} cores, ${memory} GiB; Linux ${release()}; Node ${process.version}`;
  return { date: new Date().toISOString().slice(0, 10), machine: `${machine}; ${version}` };
}

/** Adds figures of units to those that are kept, and writes the section and the plots. Called after each unit, so that
 * a run that ends early has what it measured.
 * @param units table of all units
 * @param figures by the name of the unit */
export function writeSaves(units, figures) {
  const isDry = process.argv.includes('--dry');
  const old = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : {};
  const all = isDry ? figures : { ...old, ...figures };
  const rows = Object.entries(units).flatMap(([name, unit]) =>
    name in all ? [{ name, ...unit, ...all[name] }] : [],
  );
  const section = savesSection(rows);
  if (isDry) return console.log(section);
  mkdirSync(directory, { recursive: true });
  writeFileSync(kept, `${JSON.stringify(all, null, 2)}\n`);
  for (const [name, plot] of Object.entries(plotsOf(rows)))
    writeFileSync(join(directory, `${name}.svg`), plot);
  writeFileSync(report, replaceSection(readFileSync(report, 'utf8'), section));
}

const table = (head, rows) =>
  [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
const ms = (milliseconds) =>
  milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds).toLocaleString('en');
const ratio = (a, b) => `${(a / b).toFixed(2)}×`;
const within = (a, b, limit) => `${ratio(a, b)} (${limit})`;

/** Milliseconds in which a save of a text that was compiled ahead is to be live. */
const AHEAD_LIMIT = 60;

const titleOf = ({ title, lines, flags }) => `${title}, ${lines.toLocaleString('en')} lines, ${flags[0]}`;

function plotsOf(rows) {
  const label = (row) => titleOf(row).replaceAll('&lt;', '<').replace(' lines', '');
  return {
    relative: barChart({
      title: 'Save to live and to confirmed, relative to the bare compile of the unit',
      series: ['live', 'confirmed'],
      groups: rows.map((row) => ({
        label: label(row),
        values: [row.live / row.bare, row.confirmed / row.bare],
        limits: row.limits,
      })),
      ticks: [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5],
      line: 1,
      show: (value) => String(Number(value.toFixed(2))),
    }),
    milliseconds: barChart({
      title: 'Save to live in milliseconds, beside the bare compile (logarithmic)',
      series: ['live, compiled ahead', 'live', 'bare compile'],
      groups: rows.map((row) => ({
        label: label(row),
        values: [row.typed, row.live, row.bare],
        limits: [AHEAD_LIMIT],
      })),
      ticks: [10, 100, 1000, 10_000, 100_000],
      show: (value) => Math.round(value).toLocaleString('en'),
      isLogarithmic: true,
    }),
  };
}

function savesSection(rows) {
  const extra = rows.filter(({ isExtra }) => isExtra).map(({ name }) => name);
  const steps = [...new Set(rows.flatMap((row) => Object.keys(row.steps)))];
  const places = new Map();
  for (const { name, date, machine } of rows) {
    const place = `${date}, ${machine}`;
    places.set(place, [...(places.get(place) ?? []), name]);
  }
  const measured = [...places].map(
    ([place, names]) => `- ${place}${places.size > 1 ? `: ${names.join(', ')}` : ''}`,
  );
  return `## Saves

Measured by \`npm run bench\` (\`-- --units NAME,…\` measures some again, and leaves the others as they are). Milliseconds, medians of the rounds of one run; ratios are of figures of the same run. In each round one function is edited; the file is saved beside a running \`hot-patch watch\` (which waits 30 ms for a save to be complete, as an editor does) until first light is live, and until the whole unit has confirmed it; and the same text is compiled bare, with the unit's own compiler and options (\`g++ -c\` stands for it). Where there is a second copy of the program, that is linked then and started again. After each, the process was asked and answered with the new code. *Compiled ahead* is the time from a save to live in the editor's engine when the text had been compiled while it was typed (*is not*: the engine does not do that to units that it has seen take longer than 10 s). In parentheses: what it is to be at most.

![Live and confirmed relative to the bare compile](performance/relative.svg)

![Milliseconds to live](performance/milliseconds.svg)

${table(
  [
    'unit',
    'rounds',
    '`g++ -c`',
    'live',
    'confirmed',
    'live / `g++ -c`',
    'confirmed / `g++ -c`',
    `live, compiled ahead (${AHEAD_LIMIT})`,
    'compile, link, restart',
    'first light right',
    'first save',
  ],
  rows.map((row) => [
    `${titleOf(row)} (${row.name})`,
    row.rounds,
    ms(row.bare),
    ms(row.live),
    ms(row.confirmed),
    within(row.live, row.bare, row.limits[0]),
    within(row.confirmed, row.bare, row.limits[1]),
    row.typed === undefined ? 'is not' : ms(row.typed),
    row.rebuild === undefined ? '' : ms(row.rebuild),
    `${row.lights} of ${row.rounds - (row.without ?? 0)}`,
    ms(row.first),
  ]),
)}

The first save is not in the medians: the engine reads the program then, and nothing is compiled ahead yet. Of the other rounds those are not counted as right or wrong which had no first light: the whole unit was compiled as soon. Where a round takes a minute or more there are 3. A restart also costs what is not measured here: the state of the process, its connections, and the way back to the place you were looking at.

PowerDNS is measured where \`npm run test:programs\` has built it, which takes longer than all of this; redis is built when it is first measured, and SQLite is Debian's source in the one file that its makefile makes.${extra.length > 0 ? ` Only measured when they are named, because all together would take too long: ${extra.join(', ')}.` : ''}

By step, as the engine reports them of the exact way, which runs beside first light:

${table(
  ['step', ...rows.map(({ name }) => name)],
  steps.map((step) => [step, ...rows.map((row) => (step in row.steps ? ms(row.steps[step]) : ''))]),
)}

Measured on:

${measured.join('\n')}
`;
}
