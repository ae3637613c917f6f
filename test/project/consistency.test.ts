// Promises of the repository about itself: layers, the one error table, its documentation. No process is started
// but the generator's own check.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { ERROR_TABLE } from '../../extension/engine/model/error_table';
import { objection, roomOf, ROOMS } from '../../scripts/layers.mjs';
import { root } from '../support/paths';

function typescriptFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

/** Modules that a source file imports, in any of the ways TypeScript has. */
function imports(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/(?:\bfrom |^import |\bimport\()'([^'\n]+)'/gm)].map((match) => match[1]!);
}

describe('the engine', () => {
  /** Variables of modules that outlive an engine, with the reason why two engines may share them. */
  const SHARED: Readonly<Record<string, string>> = {
    'host.ts heldBack': 'threads of Node.js, of which there are four for all engines',
    'process/system_calls.ts loaded': 'the C library of this process',
    'process/system_calls.ts threadKill': 'the C library of this process',
    'process/runtime_client.ts requestCount': 'names are unique among all engines of this process',
    'save/deliver.ts patchCount': 'names are unique among all engines of this process',
  };

  it('keeps nothing in variables of modules, so that two engines share nothing', () => {
    const kept = typescriptFiles('extension/engine').flatMap((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      // An empty map is there to be filled; a table of constants is not.
      const variables = text.matchAll(
        /^(?:export )?(?:let (\w+)|const (\w+)[^=\n]* = new (?:WeakMap|(?:Map|Set)(?:<.*>)?\(\)))/gm,
      );
      const fields = text.matchAll(/^ +(?:private |public )?static (?:readonly )?(\w+)[^=\n]* = new /gm);
      const names = [...variables, ...fields].map((match) => match[1] ?? match[2]!);
      return names.map((name) => `${relative('extension/engine', file)} ${name}`);
    });
    assert.deepEqual(kept.sort(), Object.keys(SHARED).sort());
  });
});

describe('the sources', () => {
  /** What one reads in one go. Longer ones say in their first lines why. */
  const LINES = 450;
  it('have no file that is too long to be read in one go', () => {
    const folders = ['extension', 'native', 'scripts', 'test'];
    const paths = folders.flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.(?:ts|mjs|cjs|cc?|h|S|hpp)$/.test(name))
        .map((name) => join(folder, name)),
    );
    assert.ok(paths.length > 300);
    const long = paths.filter(
      (path) => readFileSync(join(root, path), 'utf8').split('\n').length > LINES + 1,
    );
    assert.deepEqual(long, []);
  });
});

describe('the layers', () => {
  const paths = typescriptFiles('extension').map((file) => relative('extension', file));
  const modulesOf = (path: string) => imports(join('extension', path));

  it('are kept by every file of the extension', () => {
    assert.ok(paths.length > 100);
    assert.deepEqual(
      paths.flatMap((path) => modulesOf(path).flatMap((module) => objection(path, module) ?? [])),
      [],
    );
  });

  it('reject, for each room, a room above it and a package it has no business with', () => {
    for (const [name] of ROOMS) {
      const path = paths.find((candidate) => roomOf(candidate) === name);
      // A room may be declared before its first file is written.
      if (path === undefined) continue;
      const up = relative(dirname(path), 'workbench/extension');
      if (name !== 'workbench')
        assert.match(objection(path, up.startsWith('.') ? up : `./${up}`) ?? '', /may not import/, path);
      assert.match(objection(path, 'left-pad') ?? '', /may not import the package/, path);
    }
    assert.match(objection('engine/process/maps.ts', 'koffi') ?? '', /only .* touches koffi/);
    assert.match(objection('engine/elf/file.ts', 'vscode') ?? '', /may not import the package vscode/);
  });

  it('have no import circle, not even of types', () => {
    const graph = new Map(
      paths.map((path) => [
        path,
        modulesOf(path)
          .filter((module) => module.startsWith('.'))
          .map((module) => `${join(dirname(path), module)}.ts`)
          .filter((target) => paths.includes(target)),
      ]),
    );
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, way: readonly string[]): void => {
      if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' → '));
      if (done.has(path) || way.includes(path)) return;
      for (const next of graph.get(path) ?? []) visit(next, [...way, path]);
      done.add(path);
    };
    for (const path of paths) visit(path, []);
    assert.deepEqual(circles, []);
  });
});

describe('the error table', () => {
  const definition = readFileSync(join(root, 'native/include/hot_fix_errors.def'), 'utf8');
  const codes = [...definition.matchAll(/^HOT_FIX_ERROR\(\w+, "([^"]+)"/gm)].map((match) => match[1]!);

  it('is the same in C++ and in TypeScript', () => {
    assert.deepEqual(Object.keys(ERROR_TABLE), codes);
    const check = spawnSync(process.execPath, ['scripts/generate-errors.mjs', '--check'], { cwd: root });
    assert.equal(check.status, 0, check.stderr.toString());
  });

  it('has no code that nothing raises', () => {
    const sources = [
      ...typescriptFiles('extension').filter((file) => !file.endsWith('error_table.ts')),
      ...['native/src', 'native/attach'].flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
          .filter((name) => /\.(cc|h)$/.test(name))
          .map((name) => join(folder, name)),
      ),
    ].map((file) => readFileSync(join(root, file), 'utf8'));
    const names = [...definition.matchAll(/^HOT_FIX_ERROR\((\w+), "([^"]+)"/gm)];
    const unused = names.filter(
      ([, name, code]) =>
        !sources.some((text) => text.includes(`'${code}'`) || text.includes(`Code::${name}`)),
    );
    assert.deepEqual(
      unused.map(([, , code]) => code),
      [],
    );
  });

  it('has one section of TROUBLESHOOTING.md for each code, in the same order, and none besides', () => {
    const text = readFileSync(join(root, 'TROUBLESHOOTING.md'), 'utf8');
    const sections = [...text.matchAll(/^### (\S+)\n+([\s\S]*?)(?=^#|$(?![\s\S]))/gm)];
    assert.deepEqual(
      sections.map((match) => match[1]),
      codes,
    );
    for (const [, code, body] of sections) {
      assert.ok(body!.length > 80, `the section of ${code} says too little`);
    }
  });
});

describe('the documentation', () => {
  it('names files that are there', () => {
    const folders = ['', 'extension/', 'extension/engine/', 'extension/workbench/', 'native/', 'native/src/'];
    const all = ['extension', 'native', 'test', 'scripts']
      .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }))
      .map((path) => basename(path));
    const exists = (path: string): boolean =>
      path.includes('/')
        ? folders.some((folder) => existsSync(join(root, folder, path)))
        : all.includes(path) || existsSync(join(root, path));
    const documents = ['.', 'docs'].flatMap((folder) =>
      readdirSync(join(root, folder)).flatMap((name) => (name.endsWith('.md') ? [join(folder, name)] : [])),
    );
    const missing = documents.flatMap((document) =>
      [...readFileSync(join(root, document), 'utf8').matchAll(/`([\w./-]+\.(?:ts|cc|h|S|mjs|def))`/g)]
        .map((match) => match[1]!)
        // What a port would add.
        .filter((path) => !path.includes('aarch64') && !exists(path))
        .map((path) => `${document}: ${path}`),
    );
    assert.deepEqual(missing, []);
  });
});

describe('the security claims', () => {
  it('name tests that exist', () => {
    const text = readFileSync(join(root, 'docs/SECURITY.md'), 'utf8');
    const named = [...text.matchAll(/`(test\/[\w/]+): ([^`]+)`/g)];
    assert.ok(named.length > 20);
    for (const [, file, name] of named) {
      const tests = readFileSync(join(root, `${file}.test.ts`), 'utf8');
      assert.ok(tests.includes(name!), `${file} has no test named: ${name}`);
    }
  });
});
