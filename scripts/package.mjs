// `npm run package [-- --built]`: builds (unless that is done) and packs hot-patch-linux-x64-VERSION.vsix: the bundles, the grammars, and the runtime's
// sources, header, CMake package and prebuilt libraries. What goes in is listed in .vscodeignore. vsce is installed
// into .cache for this alone.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD_COMMANDS, fail, root, setUp } from './setup.mjs';

const VSCE = '@vscode/vsce@3.9.2';
const LIMIT = 8 * 1024 * 1024;

if (!process.argv.includes('--built')) setUp(BUILD_COMMANDS);
const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const output = join(root, `${name}-linux-x64-${version}.vsix`);
// The times in the archive are the commit's, so that one commit gives one file.
process.env.SOURCE_DATE_EPOCH ??= commitTime();
run(process.execPath, [
  ...[vsce(), 'package', '--target', 'linux-x64', '--out', output],
  ...['--no-dependencies', '--no-rewrite-relative-links', '--allow-missing-repository'],
]);
const { size } = statSync(output);
if (size > LIMIT) fail(`${output} has ${size} bytes; the limit is ${LIMIT}`);
console.log(`${output}: ${(size / 1024 / 1024).toFixed(1)} MB`);

/** In seconds since 1970; outside of a repository the earliest that an archive can have. */
function commitTime() {
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : String(Date.UTC(1980, 0, 1) / 1000);
}

function vsce() {
  const directory = join(root, '.cache', 'vsce');
  const entry = join(directory, 'node_modules', '@vscode', 'vsce', 'vsce');
  const stamp = join(directory, 'installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === VSCE) return entry;
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
  run(
    'npm',
    ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', VSCE],
    directory,
  );
  writeFileSync(stamp, VSCE);
  return entry;
}

function run(command, args, cwd = root) {
  const { status } = spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2] });
  if (status !== 0) fail(`${command} ${args.join(' ')} failed`);
}
