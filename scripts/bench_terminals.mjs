// The part of `npm run bench` that says what programs started in a terminal pay for the gate. By itself
// (node scripts/bench_terminals.mjs [--dry]) it writes its section of docs/PERFORMANCE.md and leaves the others.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { writeSection } from './bench_report.mjs';
import { BUILD_COMMANDS, root, setUp } from './setup.mjs';

/** After the build; the section of the report, as Markdown. */
export async function benchTerminals() {
  const bundle = join(root, 'dist', 'test', 'workbench', 'bench', 'terminals.bench.js');
  return createRequire(import.meta.url)(bundle).measure();
}

if (process.argv[1] === import.meta.filename) {
  setUp(BUILD_COMMANDS);
  writeSection(await benchTerminals());
}
