// The workbench's part of `npm run bench`: activation and typing in a real VS Code with the packaged extension. By
// itself (node scripts/bench_workbench.mjs [--dry]) it writes its section of docs/PERFORMANCE.md and leaves the others.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { installVsCode } from '../test/workbench/host/install.mjs';
import { writeSection } from './bench_report.mjs';
import { fail, root, setUp, TEST_COMMANDS } from './setup.mjs';

/** After the build; the section of the report, as Markdown. */
export async function benchWorkbench() {
  installVsCode();
  const packing = [join(root, 'scripts', 'package.mjs'), '--built'];
  if (spawnSync(process.execPath, packing, { stdio: ['ignore', 2, 2] }).status !== 0) fail('packing failed');
  const bundle = join(root, 'dist', 'test', 'workbench', 'bench', 'workbench.bench.js');
  return createRequire(import.meta.url)(bundle).measure();
}

if (process.argv[1] === import.meta.filename) {
  setUp(TEST_COMMANDS);
  writeSection(await benchWorkbench());
}
