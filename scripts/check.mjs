// `npm run check`: types, lint, format, the generated error table and test/project, in that order; stops at the first
// failure.
import { spawnSync } from 'node:child_process';

const steps = [
  ['types', 'npx', ['tsc', '--noEmit']],
  ['lint', 'npx', ['eslint', '--max-warnings', '0', '.']],
  ['format', 'npx', ['prettier', '--check', '--log-level', 'warn', '.']],
  ['error table', process.execPath, ['scripts/generate-errors.mjs', '--check']],
  // Layers, import circles, documentation: what is wrong there must not wait for a whole run of the tests.
  ['promises of the repository', process.execPath, ['scripts/test.mjs', 'project']],
];
for (const [name, command, args] of steps) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) {
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    console.error(`check: ${name} failed`);
    process.exit(1);
  }
}
console.log(`check: ${steps.map(([name]) => name).join(', ')} are in order`);
