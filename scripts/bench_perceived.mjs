// The part of `npm run bench` that says when somebody sees that a save is live. By itself (node
// scripts/bench_perceived.mjs [--rounds N --dry]) it writes its section of docs/PERFORMANCE.md and leaves the others.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installVsCode } from '../test/workbench/host/install.mjs';
import { writeSection } from './bench_report.mjs';
import { headers, small } from './bench_texts.mjs';
import { root, setUp, TEST_COMMANDS } from './setup.mjs';

const UNITS = [
  { title: 'with &lt;iostream>, -O2', text: small, flags: ['-O2', '-g'] },
  { title: 'ten STL headers, -O0', text: headers, flags: ['-O0', '-g', '-std=c++17'] },
];

/** After the build; the section of the report, as Markdown. */
export async function benchPerceived(rounds) {
  installVsCode();
  const bundle = join(root, 'dist', 'test', 'workbench', 'bench', 'perceived.bench.js');
  return createRequire(import.meta.url)(bundle).measure(UNITS, rounds);
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { rounds: { type: 'string' }, dry: { type: 'boolean' } } });
  setUp(TEST_COMMANDS);
  writeSection(await benchPerceived(values.rounds && Number(values.rounds)));
}
