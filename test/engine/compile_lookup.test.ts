// Where compile databases are found, what is made of their entries, and what happens while they are written.
import { strict as assert } from 'node:assert';
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createCompileDatabases, parseDatabase } from '../../extension/engine/compile/compile_database';
import type { EngineOptions } from '../../extension/engine/engine';
import { HotPatchError } from '../../extension/engine/model/errors';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

const code = (wanted: string) => (error: unknown) => error instanceof HotPatchError && error.code === wanted;

class Tree {
  readonly top = temporaryDirectory();

  path(...names: string[]): string {
    return join(this.top, ...names);
  }

  write(name: string, text: string): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** A database in a directory, with an entry for src/unit.c compiled with -DWHERE=<the directory's name>. */
  database(directory: string, ...entries: object[]): string {
    const usual = {
      directory: this.path(directory),
      file: this.path('src/unit.c'),
      command: `gcc -DWHERE=${directory || 'top'} -c ${this.path('src/unit.c')} -o unit.o`,
    };
    return this.write(
      join(directory, 'compile_commands.json'),
      JSON.stringify(entries.length > 0 ? entries : [usual]),
    );
  }

  find(options: EngineOptions = {}, file = 'src/unit.c') {
    return createCompileDatabases({ roots: [this.top], ...options }).entriesFor(this.path(file));
  }
}

function inTree(test: (tree: Tree) => void) {
  return () => {
    const tree = new Tree();
    try {
      tree.write('src/unit.c', 'int unit;\n');
      test(tree);
    } finally {
      removeTemporaryDirectory(tree.top);
    }
  };
}

const where = (entries: { arguments: string[] }[]) =>
  entries.map(({ arguments: words }) => words.find((word) => word.startsWith('-DWHERE='))?.slice(8));

describe('a compile database is found', () => {
  for (const directory of [
    '',
    'build',
    'build-debug',
    'out',
    'out/Debug',
    'out/build/x64',
    'cmake-build-release',
    'src',
  ])
    it(
      `in ${directory || 'a directory above the file'}`,
      inTree((tree) => {
        tree.database(directory);
        assert.deepEqual(where(tree.find()), [directory || 'top']);
      }),
    );

  it(
    'in several places, the nearest first',
    inTree((tree) => {
      tree.database('build');
      tree.database('src/build');
      tree.database('');
      assert.deepEqual(where(tree.find()), ['src/build', 'top', 'build']);
    }),
  );

  it(
    'only in the build directories that are named, if any are',
    inTree((tree) => {
      tree.database('build');
      tree.database('elsewhere/a');
      const file = tree.database('elsewhere/b');
      const buildDirectories = [tree.path('elsewhere/a'), file];
      assert.deepEqual(where(tree.find({ buildDirectories })), ['elsewhere/a', 'elsewhere/b']);
    }),
  );

  it(
    'not above the workspace folder',
    inTree((tree) => {
      tree.database('');
      assert.throws(() => tree.find({ roots: [tree.path('src')] }), code('no-compile-database'));
    }),
  );

  it(
    'once, when a link beside the sources leads to it',
    inTree((tree) => {
      symlinkSync(tree.database('build'), tree.path('compile_commands.json'));
      assert.deepEqual(where(tree.find()), ['build']);
    }),
  );
});

describe('entries of a file', () => {
  it(
    'are found through symbolic links on either side',
    inTree((tree) => {
      symlinkSync(tree.path('src'), tree.path('link'));
      tree.database('', { directory: tree.path('link'), file: 'unit.c', arguments: ['gcc', '-c', 'unit.c'] });
      const [entry] = tree.find();
      assert.equal(entry!.source, tree.path('src/unit.c'));
      assert.equal(entry!.spelledSource, 'unit.c');
      assert.equal(entry!.directory, tree.path('link'));
      assert.equal(tree.find({}, 'link/unit.c').length, 1);
      symlinkSync(tree.path('src/unit.c'), tree.path('src/alias.c'));
      assert.equal(tree.find({}, 'src/alias.c').length, 1);
    }),
  );

  it(
    'spell the source as the command does, not as the entry does',
    inTree((tree) => {
      tree.database('build', {
        directory: tree.path('build'),
        file: tree.path('src/unit.c'),
        command: 'gcc -c ../src/./unit.c -o obj/unit.o',
      });
      const [entry] = tree.find();
      assert.equal(entry!.spelledSource, '../src/./unit.c');
      assert.equal(entry!.output, tree.path('build/obj/unit.o'));
    }),
  );

  it(
    'take the command out of a shell list',
    inTree((tree) => {
      tree.database('', {
        directory: tree.top,
        file: 'src/unit.c',
        command: 'cd . && gcc -O2 -c src/unit.c && : done',
      });
      assert.deepEqual(tree.find()[0]!.arguments, ['gcc', '-O2', '-c', 'src/unit.c']);
    }),
  );

  it(
    'are those that compile, unless there are no others; repeated ones count once',
    inTree((tree) => {
      const entry = (...words: string[]) => ({
        directory: tree.top,
        file: 'src/unit.c',
        arguments: ['gcc', ...words, 'src/unit.c'],
      });
      tree.database(
        '',
        entry('-E'),
        entry('-c', '-O2'),
        entry('-fsyntax-only'),
        entry('-MM'),
        entry('-c', '-O2'),
      );
      assert.deepEqual(
        tree.find().map(({ arguments: words }) => words),
        [['gcc', '-c', '-O2', 'src/unit.c']],
      );
      tree.database('', entry('-E'));
      assert.equal(tree.find().length, 1);
    }),
  );

  it(
    'whose object exists come first',
    inTree((tree) => {
      const entry = (output: string) => ({
        directory: tree.top,
        file: 'src/unit.c',
        arguments: ['gcc', `-DWHERE=${output}`, '-c', 'src/unit.c', '-o', output],
      });
      tree.database('', entry('never.o'), entry('built.o'));
      tree.write('built.o', '');
      assert.deepEqual(where(tree.find()), ['built.o', 'never.o']);
    }),
  );

  it(
    'are an error when there are none, which names the database',
    inTree((tree) => {
      tree.database('');
      tree.write('src/other.c', '');
      assert.throws(() => tree.find({}, 'src/other.c'), code('no-compile-command'));
      assert.throws(() => tree.find({}, 'src/other.c'), /compile_commands\.json/);
      assert.throws(() => tree.find({}, 'src/none.c'), code('file-not-found'));
    }),
  );
});

describe('a compile database that is being written', () => {
  it(
    'is used as it was, and as it is when it is whole again',
    inTree((tree) => {
      const path = tree.database('');
      const databases = createCompileDatabases({ roots: [tree.top] });
      const found = () => where(databases.entriesFor(tree.path('src/unit.c')));
      const at = (seconds: number) => utimesSync(path, seconds, seconds);
      assert.deepEqual(found(), ['top']);
      writeFileSync(path, '');
      assert.deepEqual(found(), ['top']);
      writeFileSync(path, '[{"directory": ');
      at(1000);
      assert.deepEqual(found(), ['top']);
      const words = ['gcc', '-DWHERE=new', '-c', 'src/unit.c'];
      tree.database('', { directory: tree.top, file: 'src/unit.c', arguments: words });
      at(2000);
      assert.deepEqual(found(), ['new']);
    }),
  );

  it(
    'is an error when it never was whole',
    inTree((tree) => {
      tree.write('compile_commands.json', '[{"directory": ');
      assert.throws(() => tree.find(), code('bad-compile-database'));
    }),
  );

  it('may have elements that are not commands', () => {
    const good = { directory: '/', file: 'a.c', arguments: ['gcc', ''] };
    assert.deepEqual(parseDatabase(JSON.stringify([null, 1, {}, { directory: '/', file: 'b.c' }, good])), [
      good,
    ]);
    assert.throws(() => parseDatabase('{}'));
  });
});
