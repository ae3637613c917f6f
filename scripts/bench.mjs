// `npm run bench [-- --units NAME,… --rounds N --dry]`: how fast saves are, for each unit of bench_units.mjs, and what the
// extension, attaching and terminals cost; into docs/PERFORMANCE.md. With --units only those units, whose rows take the
// place of the old ones; with --dry nothing is written. What fails is said, and does not stop the rest; status 1 then.
import { parseArgs } from 'node:util';
import { benchAttach } from './bench_attach.mjs';
import { benchPerceived } from './bench_perceived.mjs';
import { measuredOn, writeSaves, writeSection } from './bench_report.mjs';
import { measureSaves } from './bench_saves.mjs';
import { benchTerminals } from './bench_terminals.mjs';
import { units } from './bench_units.mjs';
import { benchWorkbench } from './bench_workbench.mjs';
import { must, workspace } from './bench_world.mjs';
import { fail, PROGRAM_COMMANDS, setUp, TEST_COMMANDS } from './setup.mjs';

const ROUNDS = 10;
const { values: options } = parseArgs({
  options: { rounds: { type: 'string' }, units: { type: 'string' }, dry: { type: 'boolean' } },
});
const chosen = options.units?.split(',') ?? Object.keys(units).filter((name) => !units[name].isExtra);
for (const name of chosen) if (!(name in units)) fail(`${name} is none of ${Object.keys(units).join(', ')}`);
setUp([...new Set([...TEST_COMMANDS, ...PROGRAM_COMMANDS])]);

const failed = [];
const began = performance.now();
const minutes = () => `${((performance.now() - began) / 60_000).toFixed(1)} min`;
async function attempt(what, work) {
  console.error(`${what}, after ${minutes()}`);
  try {
    await work();
  } catch (error) {
    console.error(`${what}: ${error.stack}`);
    failed.push(what);
  }
}

const figures = {};
for (const name of chosen) {
  const { rounds = ROUNDS, compiler, isThere } = units[name];
  if (isThere && !isThere()) {
    console.error(`${name} is not measured: build it first (npm run test:programs)`);
    continue;
  }
  await attempt(name, async () => {
    const measured = await measureSaves(name, units[name], Number(options.rounds ?? rounds));
    const [version] = must(compiler, ['--version'], workspace).split('\n');
    figures[name] = { ...measuredOn(version), ...measured };
    if (!options.dry) writeSaves(units, figures);
  });
}
if (options.dry) writeSaves(units, figures);
if (options.units === undefined) {
  await attempt('what is seen', async () => writeSection(await benchPerceived()));
  await attempt('the editor', async () => writeSection(await benchWorkbench()));
  await attempt('attaching', async () => writeSection(await benchAttach()));
  await attempt('terminals', async () => writeSection(await benchTerminals()));
}
console.error(`${minutes()}${failed.length > 0 ? `; failed: ${failed.join(', ')}` : ''}`);
process.exit(failed.length > 0 ? 1 : 0);
