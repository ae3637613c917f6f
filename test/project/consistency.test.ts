// Promises of the repository about itself: layers, the one error table, its documentation. No process is started
// but the generator's own check.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERROR_TABLE } from '../../extension/engine/model/error_table';
import { root } from '../support/paths';

function typescriptFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

/** Modules that a source file imports, in any of the ways TypeScript has. */
function imports(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*['"]([^'"]+)['"]/g)].map(
    (match) => match[1]!,
  );
}

describe('the engine', () => {
  const files = [...typescriptFiles('extension/engine'), ...typescriptFiles('extension/command_line')];

  it('never imports vscode, nor a layer above it', () => {
    assert.ok(files.length > 10);
    const above = /^vscode$|\/(workbench|debug)(\/|$)/;
    assert.deepEqual(
      files.flatMap((file) =>
        imports(file)
          .filter((module) => above.test(module))
          .map((module) => `${file}: ${module}`),
      ),
      [],
    );
  });

  it('touches koffi in one file', () => {
    const users = typescriptFiles('extension').filter((file) => imports(file).includes('koffi'));
    assert.deepEqual(users, [join('extension', 'engine', 'process', 'system_calls.ts')]);
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
