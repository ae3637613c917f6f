// What every entry command (npm test, npm run demo, npm run bench) does before its own work on a fresh clone:
// npm packages, system packages, the build. Node built-ins only: it runs before node_modules exists. Changes
// nothing when everything is in place, and installs system packages only when it is run as root.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** Commands and files that the build and the tests need, and the Debian/Ubuntu package that has each. */
const PACKAGE_OF = {
  gcc: 'gcc',
  'g++': 'g++',
  make: 'make',
  ld: 'binutils',
  cmake: 'cmake',
  gdb: 'gdb',
  'musl-gcc': 'musl-tools',
  sudo: 'sudo',
  lldb: 'lldb',
  'ld.lld': 'lld',
  'clang++': 'clang',
  bear: 'bear',
  'dpkg-source': 'dpkg-dev',
  'pkg-config': 'pkg-config',
  meson: 'meson',
  ninja: 'ninja-build',
  tclsh: 'tcl',
  csmith: 'csmith',
  '/usr/include/csmith/csmith.h': 'libcsmith-dev',
  'redis-server': 'redis-server',
  nginx: 'nginx-light',
  // Header files and libraries of the real programs of test:programs.
  '/usr/include/boost/version.hpp': 'libboost-dev',
  '/usr/include/fmt/format.h': 'libfmt-dev',
  '/usr/include/sndfile.h': 'libsndfile1-dev',
  '/usr/include/openssl/ssl.h': 'libssl-dev',
  '/usr/include/lua5.3/lua.hpp': 'liblua5.3-dev',
  '/usr/lib/x86_64-linux-gnu/libboost_program_options.so': 'libboost-program-options-dev',
};
export const BUILD_COMMANDS = ['gcc', 'g++', 'make', 'ld'];
export const TEST_COMMANDS = [
  ...BUILD_COMMANDS,
  'cmake',
  'gdb',
  'lldb',
  'ld.lld',
  'clang++',
  'pkg-config',
  'musl-gcc',
  'sudo',
];
export const CSMITH_COMMANDS = [...TEST_COMMANDS, 'csmith', '/usr/include/csmith/csmith.h'];
export const PROGRAM_COMMANDS = [
  ...BUILD_COMMANDS,
  ...['bear', 'clang++', 'dpkg-source', 'pkg-config', 'meson', 'ninja', 'tclsh', 'redis-server', 'nginx'],
  ...Object.keys(PACKAGE_OF).filter((name) => name.startsWith('/') && !name.includes('csmith')),
];

/** Everything an entry command needs before it can start: packages, then the build. Ends the process on failure. */
export function setUp(commands) {
  requirePlatform();
  requireSystemPackages(commands);
  requireNodeModules();
  run('the build', process.execPath, [join(root, 'esbuild.mjs')]);
}

function requirePlatform() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (process.platform !== 'linux' || process.arch !== 'x64') fail('Hot Patch works on Linux (x86-64).');
  if (major < 20 || (major === 20 && minor < 19))
    fail(`Node 20.19 or newer is needed, this is ${process.version}.`);
}

/** Installs, when root on a system with apt, the packages of those commands that are missing; else names them. */
export function requireSystemPackages(commands) {
  const missing = commands.filter((name) => !(name.startsWith('/') ? existsSync(name) : isOnPath(name)));
  if (missing.length > 0) installPackages([...new Set(missing.map((command) => PACKAGE_OF[command]))]);
}

/** Installs Debian packages by name when root, else ends with a message that names them. */
export function installPackages(packages) {
  const advice = `sudo apt-get install ${packages.join(' ')}`;
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) {
    fail(`These system packages are needed: ${packages.join(', ')}\n  ${advice}`);
  }
  console.error(`Installing ${packages.join(', ')} …`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  const options = { env, stdio: ['ignore', 'ignore', 'inherit'] };
  if (spawnSync('apt-get', install, options).status === 0) return;
  spawnSync('apt-get', ['update'], options);
  if (spawnSync('apt-get', install, options).status !== 0) fail(`apt-get could not install them: ${advice}`);
}

/** `npm ci` when node_modules is missing or is not what package-lock.json says. */
export function requireNodeModules() {
  if (nodeModulesAreCurrent()) return;
  console.error('Installing npm packages …');
  run('npm ci', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], ['ignore', 2, 2]);
}

function nodeModulesAreCurrent() {
  const installedFile = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || installed[path]?.version === entry.version,
  );
}

export function isOnPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function run(what, command, args, stdio = 'inherit') {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio });
  if (status !== 0) fail(`${what} failed${error ? `: ${error.message}` : ''}`);
}

export function fail(message) {
  console.error(message);
  process.exit(1);
}
