// The workbench's part of `npm run bench`: activation and typing in a real VS Code with the packaged extension. By
// itself (node scripts/bench_workbench.mjs [--dry]) it writes its section of docs/PERFORMANCE.md and leaves the others.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { installVsCode } from '../test/workbench/host/install.mjs';
import { fail, root, setUp, TEST_COMMANDS } from './setup.mjs';

/** After the build; the section of the report, as Markdown. */
export async function benchWorkbench() {
  installVsCode();
  const packing = [join(root, 'scripts', 'package.mjs'), '--built'];
  if (spawnSync(process.execPath, packing, { stdio: ['ignore', 2, 2] }).status !== 0) fail('packing failed');
  const bundle = join(root, 'dist', 'test', 'workbench', 'bench', 'workbench.bench.js');
  return createRequire(import.meta.url)(bundle).measure();
}

/** Puts a section in the place of the one with the same heading, or at the end. */
function replaceSection(text, section) {
  const [heading] = section.split('\n');
  const begin = `${text}\n`.indexOf(`\n${heading}\n`);
  if (begin < 0) return `${text.trimEnd()}\n\n${section}`;
  const end = text.indexOf('\n## ', begin + 1);
  return `${text.slice(0, begin)}\n${section}${end < 0 ? '' : text.slice(end)}`;
}

/** Prints a section, and writes it into the report unless --dry is said. */
export function writeSection(section) {
  console.log(section);
  const file = join(root, 'docs', 'PERFORMANCE.md');
  if (!process.argv.includes('--dry'))
    writeFileSync(file, replaceSection(readFileSync(file, 'utf8'), section));
}

if (process.argv[1] === import.meta.filename) {
  setUp(TEST_COMMANDS);
  writeSection(await benchWorkbench());
}
