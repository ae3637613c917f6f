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
import { build, transform } from 'esbuild';

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

/** What the command line, the server for agents and the engine's thread use of the engine, by its path there. */
const engineParts = new Set();

/** The engine is most of three bundles: it is one of its own, `engine.js`, which they share. */
const sharedEngine = {
  name: 'shared engine',
  setup(context) {
    const engine = join(root, 'extension', 'engine');
    context.onResolve({ filter: /\/engine\// }, ({ path, resolveDir, namespace }) => {
      const part = relative(engine, join(resolveDir, path));
      if (namespace !== 'file' || part.startsWith('..')) return undefined;
      engineParts.add(part);
      return { path: part, namespace: 'engine' };
    });
    context.onLoad({ filter: /^/, namespace: 'engine' }, ({ path }) => ({
      contents: `module.exports = require('./engine.js')[${JSON.stringify(path)}];`,
    }));
    context.onResolve({ filter: /^\.\/engine\.js$/, namespace: 'engine' }, ({ path }) => ({
      path,
      external: true,
    }));
  },
};

/** All that other bundles use of the engine. */
const engineOfParts = () => ({
  contents: [...engineParts]
    .sort()
    .map((part) => `export * as ${JSON.stringify(part)} from './extension/engine/${part}';`)
    .join('\n'),
  resolveDir: root,
});

/** What is not needed at every start is loaded when it is first needed, as a bundle of its own. */
const separate = (source, output) => ({
  name: `separate ${output}`,
  setup(context) {
    context.onResolve({ filter: new RegExp(`/${source}$`) }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: `./${output}`, external: true } : undefined,
    );
  },
});

/**
 * Of VS Code's interface the names that are used, taken once: esbuild makes a copy of all of it for each file that imports
 * it, which was half of the time that the extension took to load.
 */
const editorInterface = {
  name: 'interface of the editor',
  setup(context) {
    context.onResolve({ filter: /^vscode$/ }, ({ path, namespace }) =>
      namespace === 'vscode' ? { path, external: true } : { path, namespace: 'vscode' },
    );
    context.onLoad({ filter: /^/, namespace: 'vscode' }, () => {
      const texts = sources('extension').filter((path) => path.endsWith('.ts'));
      const used = texts.flatMap((path) =>
        [...readFileSync(join(root, path), 'utf8').matchAll(/\bvscode\.(\w+)/g)].map(([, name]) => name),
      );
      return { contents: `export const { ${[...new Set(used)].sort().join(', ')} } = require('vscode');` };
    });
    // The namespace as a value would have nothing but these names.
    context.onEnd(({ outputFiles = [] }) => {
      if (outputFiles.some(({ path, text }) => path.endsWith('.js') && /\bvscode_exports\b/.test(text)))
        fail("a file uses 'vscode' as a whole, not by its names");
    });
  },
};

/** zod has its messages in fifty languages, of which the server for agents speaks one. */
const englishOnly = {
  name: 'English only',
  setup(context) {
    context.onLoad({ filter: /\/node_modules\/zod\/v4\/locales\/index\.c?js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
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

/** Names stay as they are, for the stacks in logs: a bundle that is packed has no map. */
const readableNames = { minifyWhitespace: true, minifySyntax: true };

async function bundleProgram(source, output, { plugins = [], ...options } = {}) {
  const { inputs } = await bundle({
    ...(source !== undefined && { entryPoints: [source] }),
    outfile: join(dist, output),
    plugins: [nativePackages(), decoderOnFirstUse(), ...plugins],
    ...readableNames,
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
  const content = readFileSync(join(root, 'node_modules', source));
  const isScript = target.endsWith('.js');
  put(join(dist, target), isScript ? (await transform(content, { minify: true })).code : content);
  addPackageOf(`node_modules/${source}`);
}
await bundleProgram('extension/command_line/main.ts', 'cli.js', {
  banner: { js: '#!/usr/bin/env node' },
  plugins: [sharedEngine, separate('mcp/server', 'mcp.js')],
});
// Nearly all of it is other people's.
await bundleProgram('extension/command_line/mcp/server.ts', 'mcp.js', {
  plugins: [sharedEngine, englishOnly],
  minify: true,
});
await bundleProgram('extension/workbench/extension.ts', 'extension.js', {
  plugins: [editorInterface, separate('debug/adapter', 'debug_session.js')],
});
await bundleProgram('extension/debug/adapter.ts', 'debug_session.js');
await bundleProgram('extension/debug/server.ts', 'debug_adapter.js');
await bundleProgram('extension/workbench/engine_thread/thread.ts', 'engine_thread.js', {
  plugins: [sharedEngine],
});
await bundleProgram(undefined, 'engine.js', { stdin: engineOfParts() });
await bundleProgram('extension/workbench/documents/thread.ts', 'parser_thread.js');
put(join(dist, 'THIRD_PARTY_NOTICES.txt'), thirdPartyNotices());
await bundleTests();
buildRuntime();
