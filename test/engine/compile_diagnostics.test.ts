// Compiler output as diagnostics with places: from the compilers here, and from recorded output of others.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDiagnostics } from '../../extension/engine/compile/diagnostics';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

function parse(output: string, source = '') {
  return parseDiagnostics(output, '/w', '/w/unit.cc', (_, line) => source.split('\n')[line - 1]);
}

/** Text that a diagnostic marks in its source line. */
function marked(
  source: string,
  { line, column, endColumn }: { line: number; column: number; endColumn?: number },
) {
  return source.split('\n')[line - 1]!.slice(column - 1, (endColumn ?? column) - 1);
}

describe('diagnostics of the compiler here', () => {
  const compile = (source: string, ...flags: string[]) => {
    const directory = temporaryDirectory();
    try {
      writeFileSync(join(directory, 'unit.cc'), source);
      const args = ['-fsyntax-only', '-fdiagnostics-color=never', '-fmessage-length=0', ...flags, 'unit.cc'];
      const { stderr } = spawnSync('g++', args, {
        cwd: directory,
        encoding: 'utf8',
        env: { ...process.env, LC_ALL: 'C.UTF-8' },
      });
      const found = parseDiagnostics(
        stderr,
        directory,
        join(directory, 'unit.cc'),
        (_, line) => source.split('\n')[line - 1],
      );
      for (const { file } of found) assert.equal(file, join(directory, 'unit.cc'));
      return found;
    } finally {
      removeTemporaryDirectory(directory);
    }
  };

  it('mark the token', () => {
    const source = 'long value(long n) { return n * undeclared_name; }\n';
    const [error] = compile(source);
    assert.equal(error!.severity, 'error');
    assert.match(error!.message, /undeclared_name/);
    assert.equal(error!.line, 1);
    assert.equal(error!.column, 33);
    assert.equal(marked(source, error!), 'undeclared_name');
  });

  it('mark the token behind tabs and letters beyond ASCII', () => {
    const source = 'int f() {\n\t\treturn\t/* größer → */ undeclared_name;\n}\n';
    const [error] = compile(source);
    assert.equal(error!.line, 2);
    assert.equal(marked(source, error!), 'undeclared_name');
  });

  it('name the option of a warning', () => {
    const [warning] = compile('void f() { int unused; }\n', '-Wall');
    assert.deepEqual([warning!.severity, warning!.option], ['warning', '-Wunused-variable']);
    assert.doesNotMatch(warning!.message, /\[/);
  });

  it('include notes and missing headers', () => {
    assert.match(compile('#include "none.h"\n')[0]!.message, /none\.h/);
    const found = compile('int f(int);\n\nint g() { return f(1, 2); }\n');
    assert.deepEqual(
      found.map(({ severity, line }) => [severity, line]),
      [
        ['error', 3],
        ['note', 1],
      ],
    );
  });

  it('say of an option that is not known that the command is at fault', () => {
    const [error] = compile('int x;\n', '-fno-such-option');
    assert.deepEqual([error!.severity, error!.line], ['error', 1]);
    assert.match(error!.message, /-fno-such-option/);
  });
});

describe('diagnostics of other compilers', () => {
  it('of clang, with the excerpt without a margin', () => {
    const source = '\treturn n * undeclared;';
    const output = `unit.cc:1:13: error: use of undeclared identifier 'undeclared'
        return n * undeclared;
                   ^~~~~~~~~~
1 error generated.
`;
    const [error, ...rest] = parse(output, source);
    assert.deepEqual(rest, []);
    assert.equal(marked(source, error!), 'undeclared');
    assert.equal(error!.column, 13);
  });

  it('of clang, with -Werror', () => {
    const [error] = parse(`/x/a.h:3:7: error: unused variable 'x' [-Werror,-Wunused-variable]\n`);
    assert.deepEqual(error, {
      severity: 'error',
      message: "unused variable 'x'",
      option: '-Wunused-variable',
      file: '/x/a.h',
      line: 3,
      column: 7,
    });
  });

  it('of gcc 8, whose excerpt is indented by a blank', () => {
    const source = 'int f() { return oops; }';
    const output = `unit.cc: In function 'int f()':
unit.cc:1:18: error: 'oops' was not declared in this scope
 int f() { return oops; }
                  ^~~~
`;
    const [error] = parse(output, source);
    assert.equal(marked(source, error!), 'oops');
  });

  it('of the assembler, which counts no columns', () => {
    const [error] = parse("unit.cc: Assembler messages:\nunit.cc:7: Error: no such instruction: `foo'\n");
    assert.deepEqual([error!.severity, error!.line, error!.column], ['error', 7, 1]);
  });

  it('leave lines that are no diagnostics alone', () => {
    assert.deepEqual(
      parse('In file included from a.h:1,\n                 from unit.cc:2:\nccache: hit\n'),
      [],
    );
  });
});
