// `npm run build`: everything in dist/. The bundles (command line, extension, tests) work without node_modules:
// native and wasm files of packages lie beside them. Outputs are replaced whole, and only when they differ, so
// that a build beside a running program does not disturb it.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('.', import.meta.url)).replace(/\/$/, '');
const dist = join(root, 'dist');

/** Files that are loaded at run time from beside a bundle: where packages have them, and where in dist/ they go. */
const packageFiles = {
  'iced-x86/iced_x86.js': 'iced_x86.js',
  'iced-x86/iced_x86_bg.wasm': 'iced_x86_bg.wasm',
  'web-tree-sitter/web-tree-sitter.wasm': 'web-tree-sitter.wasm',
  'tree-sitter-c/tree-sitter-c.wasm': 'tree-sitter-c.wasm',
  'tree-sitter-cpp/tree-sitter-cpp.wasm': 'tree-sitter-cpp.wasm',
  '@koromix/koffi-linux-x64/linux_x64/koffi.node': 'linux_x64/koffi.node',
};

const shared = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  sourcemap: 'linked',
  sourcesContent: false,
  write: false,
  metafile: true,
  logLevel: 'warning',
  absWorkingDir: root,
};

const sources = (folder) =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name))
    : [];

/**
 * Packages whose ESM build hides their native file from a bundler are taken in their CommonJS build. That finds
 * its file from `__dirname`, which in dist/ is right; bundles that lie deeper get the path of dist/ instead.
 */
const nativePackages = (place) => ({
  name: 'native packages',
  setup(context) {
    const commonJs = { koffi: 'koffi/index.cjs', 'web-tree-sitter': 'web-tree-sitter/web-tree-sitter.cjs' };
    context.onResolve({ filter: /^(koffi|web-tree-sitter)$/ }, ({ path }) => ({
      path: join(root, 'node_modules', commonJs[path]),
    }));
    const loaders = /node_modules\/(@koromix\/koffi-linux-x64\/index|web-tree-sitter\/.*)\.c?js$/;
    context.onLoad({ filter: loaders }, ({ path }) => ({
      contents:
        place === undefined
          ? readFileSync(path, 'utf8')
          : readFileSync(path, 'utf8')
              .replaceAll('__dirname', JSON.stringify(place))
              .replaceAll('"./linux_x64/', `"${place}/linux_x64/`),
      loader: 'js',
    }));
  },
});

/**
 * The decoder of instructions is larger than all that is ours, and makes a WebAssembly module. So it stays a file of its
 * own, which a bundle loads when it uses a name of it for the first time.
 */
const decoderOnFirstUse = (place = '.') => ({
  name: 'decoder on first use',
  setup(context) {
    const names = Object.keys(createRequire(import.meta.url)('iced-x86'));
    const contents = `let decoder;
      const load = () => (decoder ??= require('${place}/iced_x86.js'));
      for (const name of ${JSON.stringify(names)})
        Object.defineProperty(exports, name, { enumerable: true, get: () => load()[name] });`;
    context.onResolve({ filter: /^iced-x86$/ }, ({ path }) => ({ path, namespace: 'first-use' }));
    context.onLoad({ filter: /^iced-x86$/, namespace: 'first-use' }, () => ({ contents, loader: 'js' }));
    context.onResolve({ filter: /\/iced_x86\.js$/ }, ({ path }) => ({ path, external: true }));
  },
});

/** The server for agents is loaded when it is first needed, as a bundle of its own. */
const separateAgents = {
  name: 'separate agents',
  setup(context) {
    context.onResolve({ filter: /\/mcp\/server$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './mcp.js', external: true } : undefined,
    );
  },
};

/** Writes a file whole (by rename), and not at all when it has that content already. */
function put(path, content, mode = 0o644) {
  if (existsSync(path) && readFileSync(path).equals(Buffer.from(content))) return chmodSync(path, mode);
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, content, { mode });
  renameSync(temporary, path);
}

/** Returns the paths that were written and those of the files that are in them, relative to the root. */
async function bundle(options) {
  const { outputFiles, metafile } = await build({ ...shared, ...options });
  for (const { path, contents } of outputFiles) put(path, contents, path.endsWith('cli.js') ? 0o755 : 0o644);
  return { written: outputFiles.map(({ path }) => path), inputs: Object.keys(metafile.inputs) };
}

async function bundleProgram(source, output, options = {}) {
  const { inputs } = await bundle({
    entryPoints: [source],
    outfile: join(dist, output),
    plugins: [nativePackages(), decoderOnFirstUse(), separateAgents],
    ...options,
  });
  for (const path of inputs) addPackageOf(path);
}

/** The packages that have a part in what is packed, by their directories: one may be there in several versions. */
const packages = new Map();

function addPackageOf(path) {
  const [directory, name] = /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
  if (name) packages.set(join(root, directory), name);
}

/** Where the licences of a package are that has none with it: binaries, with what was linked into them. */
const licencesOf = {
  '@koromix/koffi-linux-x64': [
    'koffi/LICENSE.txt',
    'koffi/vendor/node-addon-api/LICENSE.md',
    'koffi/vendor/node-api-headers/LICENSE',
  ],
};

/** The licences of all packages in dist/, each with what it says itself of parts that others wrote. */
function thirdPartyNotices() {
  const modules = join(root, 'node_modules');
  const parts = [...packages].map(([directory, name]) => {
    const { version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const own = readdirSync(directory).filter((file) => /licen[cs]e|copying|notice/i.test(file));
    const files =
      licencesOf[name]?.map((file) => join(modules, file)) ?? own.sort().map((file) => join(directory, file));
    if (files.length === 0) fail(`${name} is packed, and has no licence file`);
    const texts = files.map((file) => readFileSync(file, 'utf8').trim());
    return [`${name} ${version} (${license})`, ...texts].join('\n\n');
  });
  const head = 'Hot Patch contains the packages below, each under its own licence.';
  return `${[head, ...new Set(parts.sort())].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

function fail(message) {
  throw new Error(message);
}

/** Each test file becomes dist/test/…; `.host.ts` files are those that run inside VS Code, `.bench.ts` and `.command.ts` those of commands (npm run bench, npm run test:matrix). */
async function bundleTests() {
  const entryPoints = sources('test').filter((path) => /\.(test|host|bench|command)\.ts$/.test(path));
  const outdir = join(dist, 'test');
  const external = ['mocha', 'vscode', 'playwright-core'];
  const plugins = [nativePackages(dist), decoderOnFirstUse(dist)];
  const { written } = await bundle({ entryPoints, outdir, outbase: 'test', external, plugins });
  for (const old of sources(relative(root, outdir)).map((path) => join(root, path))) {
    if (/\.(test|host|bench|command)\.js(\.map)?$/.test(old) && !written.includes(old)) rmSync(old);
  }
}

/** One at a time: a build that was started beside this one waits, and finds everything made. */
function buildRuntime() {
  const make = ['make', '--no-print-directory', '-s', '-j2', '-C', 'native', `OUT=${join(dist, 'native')}`];
  const { status } = spawnSync('flock', [join(dist, '.native.lock'), ...make], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) fail('the runtime (native/) did not build');
}

for (const [source, target] of Object.entries(packageFiles)) {
  put(join(dist, target), readFileSync(join(root, 'node_modules', source)));
  addPackageOf(`node_modules/${source}`);
}
await bundleProgram('extension/command_line/main.ts', 'cli.js', { banner: { js: '#!/usr/bin/env node' } });
await bundleProgram('extension/command_line/mcp/server.ts', 'mcp.js');
await bundleProgram('extension/workbench/extension.ts', 'extension.js', { external: ['vscode'] });
await bundleProgram('extension/debug/server.ts', 'debug_adapter.js');
await bundleProgram('extension/workbench/engine_thread/thread.ts', 'engine_thread.js');
await bundleProgram('extension/workbench/documents/thread.ts', 'parser_thread.js');
put(join(dist, 'THIRD_PARTY_NOTICES.txt'), thirdPartyNotices());
await bundleTests();
buildRuntime();
