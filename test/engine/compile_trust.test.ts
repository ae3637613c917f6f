// A compile database says which programs to run: one that somebody else could have written is never used by itself, and
// commands that cannot be run are told with the reason.
import { strict as assert } from 'node:assert';
import { chmodSync, chownSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expandResponseFiles } from '../../extension/engine/compile/command';
import { createCompileDatabases } from '../../extension/engine/compile/compile_database';
import { searchDatabases } from '../../extension/engine/compile/database_search';
import { createTrust } from '../../extension/engine/compile/trust';
import { HotPatchError } from '../../extension/engine/model/errors';
import { inSession, Unit } from '../support/session';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

const STRANGER = 54321;

interface Tree {
  top: string;
  file: string;
  write: (name: string, text: string) => string;
  /** A database with one command for the file. */
  database: (directory: string, entry?: object) => string;
  /** What was thrown when its command is looked for. */
  error: (options?: { buildDirectories?: string[] }) => HotPatchError;
}

function inTree(test: (tree: Tree) => void) {
  return () => {
    const top = temporaryDirectory();
    const write = (name: string, text: string): string => {
      const path = join(top, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      return path;
    };
    const file = write('work/src/unit.c', 'int unit;\n');
    const find = (options = {}) => createCompileDatabases({ roots: [top], ...options }).entriesFor(file);
    try {
      test({
        top,
        file,
        write,
        database: (directory, entry = { command: 'gcc -c unit.c' }) =>
          write(
            join(directory, 'compile_commands.json'),
            JSON.stringify([{ directory: dirname(file), file, ...entry }]),
          ),
        error: (options) => {
          try {
            assert.ok(find(options)[0]?.arguments);
          } catch (error) {
            assert.ok(error instanceof HotPatchError, String(error));
            return error;
          }
          throw new Error('a command was found');
        },
      });
    } finally {
      removeTemporaryDirectory(top);
    }
  };
}

/** As if the test ran as a user that owns nothing of it. Root's own files are trusted by everybody. */
function belongsToStranger(path: string): ReturnType<typeof createTrust> {
  const uid = process.getuid!();
  if (uid !== 0) return createTrust(STRANGER);
  chownSync(path, STRANGER, STRANGER);
  return createTrust();
}

describe('a compile database', () => {
  it(
    'that everybody may write to is not used, and the message says why, and what to name',
    inTree(({ top, database, error }) => {
      chmodSync(database('work'), 0o666);
      const { code, message, place } = error();
      assert.equal(code, 'untrusted-compile-database');
      assert.deepEqual(place.untrusted, [join(top, 'work')]);
      assert.match(message, /everybody may write to .*compile_commands\.json/);
    }),
  );

  it(
    'in a build directory that everybody may write to is not used, sticky or not',
    inTree(({ top, database, error }) => {
      for (const mode of [0o777, 0o1777]) {
        database('work/build');
        chmodSync(join(top, 'work/build'), mode);
        assert.match(error().message, /everybody may write to .*\/build/);
      }
    }),
  );

  it(
    'beside a directory that everybody may write to is not looked for there, although the file itself is below it',
    inTree(({ top, database, error }) => {
      database('build_x');
      chmodSync(top, 0o1777);
      assert.match(error().message, /ignored: what is in .*everybody may write to/);
    }),
  );

  it(
    'of another user is not used',
    inTree(({ file, top, database }) => {
      const trust = belongsToStranger(database('work'));
      const { paths, ignored } = searchDatabases(file, [], [top], trust);
      assert.deepEqual(paths, []);
      assert.match(ignored.map(({ what }) => what).join(), /belongs to user/);
    }),
  );

  it(
    'that a link leads to is judged by where it really lies',
    inTree(({ top, database, error }) => {
      database('elsewhere');
      chmodSync(join(top, 'elsewhere'), 0o777);
      symlinkSync(join(top, 'elsewhere'), join(top, 'work/build'));
      assert.match(error().message, /everybody may write to .*\/elsewhere/);
    }),
  );

  it(
    'that the user has named is not questioned',
    inTree(({ top, file, database }) => {
      chmodSync(database('named'), 0o666);
      const [entry] = createCompileDatabases({ buildDirectories: [join(top, 'named')] }).entriesFor(file);
      assert.deepEqual(entry!.arguments, ['gcc', '-c', 'unit.c']);
    }),
  );

  it(
    'above the workspace folder is not looked for',
    inTree(({ top, file, database }) => {
      database('.');
      assert.throws(
        () => createCompileDatabases({ roots: [join(top, 'work')] }).entriesFor(file),
        (error) => error instanceof HotPatchError && error.code === 'no-compile-database',
      );
    }),
  );

  it(
    'that is planted beside the running program runs nothing',
    inSession(async (session) => {
      const unit = await Unit.start(session, 'long value(long n) { return n * 2; }\n');
      const script = session.write('stranger.sh', `#!/bin/sh\ntouch ${session.path('ran')}\n`);
      chmodSync(script, 0o755);
      session.writeDatabase([
        { directory: session.directory, file: 'unit.cc', command: `${script} unit.cc` },
      ]);
      chmodSync(session.path('compile_commands.json'), 0o666);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      for (const command of ['patch', 'check']) await session.hotPatch(command, 'unit.cc');
      assert.equal(existsSync(session.path('ran')), false);
      assert.equal(await unit.value(2), 4);
    }),
  );

  it(
    'may begin with a byte order mark',
    inTree(({ write, file, top }) => {
      const entry = { directory: dirname(file), file, command: 'gcc -c unit.c' };
      write('work/compile_commands.json', `\uFEFF${JSON.stringify([entry])}`);
      assert.equal(createCompileDatabases({ roots: [top] }).entriesFor(file).length, 1);
    }),
  );
});

describe('a command that cannot be run', () => {
  const bad: Record<string, [object, RegExp]> = {
    'because a quote is not closed': [{ command: 'gcc "-c unit.c' }, /cannot be split into words/],
    'because it has no words': [{ arguments: [] }, /is empty/],
    'because it has a NUL': [{ arguments: ['gcc', '-c', 'unit.c\0'] }, /has a NUL/],
  };
  for (const [why, [entry, message]] of Object.entries(bad))
    it(
      `${why} is told as such`,
      inTree(({ database, error }) => {
        database('work', entry);
        assert.equal(error().code, 'bad-compile-command');
        assert.match(error().message, message);
      }),
    );

  it(
    'gives way to another one for the same file that can',
    inTree(({ write, file, top }) => {
      const directory = dirname(file);
      const entries = [
        { directory, file, arguments: [] },
        { directory, file, command: 'gcc -c unit.c' },
      ];
      write('work/compile_commands.json', JSON.stringify(entries));
      const [entry] = createCompileDatabases({ roots: [top] }).entriesFor(file);
      assert.deepEqual(entry!.arguments, ['gcc', '-c', 'unit.c']);
    }),
  );

  for (const [name, files] of Object.entries({
    'include each other in a circle': { '/w/a': '@b', '/w/b': '@a' },
    'multiply with each step': { '/w/a': '@b @b @b', '/w/b': '@a @a @a x' },
  }))
    it(`because its response files ${name} is told as such`, () => {
      assert.throws(
        () => expandResponseFiles(['gcc', '@a'], '/w', (path) => (files as Record<string, string>)[path]),
        (error) => error instanceof HotPatchError && error.code === 'bad-compile-command',
      );
    });
});
