// Where preambles are kept and when they are compiled: a directory of the user's alone, shared by engines, bounded, filled
// while nothing else is to be done. With the real compilers.
import { strict as assert } from 'node:assert';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cli } from '../support/paths';
import { Ahead, facts, prepared } from '../support/preambles';
import { inSession, type Session, Unit } from '../support/session';
import { until } from '../support/until';

/** What clang leaves for its developers when it crashes. */
const crashReports = () => readdirSync(tmpdir()).filter((name) => /^unit-[0-9a-f]{6}\.(cpp|sh)$/.test(name));

const isTrue = (answer: boolean): boolean => answer;

describe('the directory of preambles', () => {
  const unsafe: { what: string; make: (path: string) => void }[] = [
    { what: 'that others may write to', make: (path) => chmodSync(path, 0o777) },
    { what: 'that others may read', make: (path) => chmodSync(path, 0o750) },
    { what: 'in one that others may write to', make: (path) => chmodSync(join(path, '..'), 0o777) },
    {
      what: 'that is a link',
      make: (path) => {
        renameSync(path, `${path}.else`);
        symlinkSync(`${path}.else`, path);
      },
    },
    ...(process.getuid?.() === 0
      ? [{ what: 'of somebody else', make: (path: string) => chownSync(path, 65534, 65534) }]
      : []),
  ];
  for (const { what, make } of unsafe)
    it(
      `is not used: one ${what}`,
      inSession(async (session) => {
        const ahead = await prepared(session);
        make(ahead.directory);
        assert.equal(ahead.isReady(), false);
        assert.match(ahead.messages.at(-1)!, /no preambles in/);
        const { argv } = (await ahead.compile()).compiled;
        assert.ok(!argv.includes('-include'));
        // Nothing is written there either.
        const before = readdirSync(ahead.directory);
        session.edit('unit.cc', 'long value', '#define MORE 1\nlong value');
        await ahead.prepare(/no preambles in/);
        assert.deepEqual(readdirSync(ahead.directory), before);
      }),
    );

  it(
    'is made for the user alone',
    inSession(async (session) => {
      const ahead = await prepared(session);
      assert.equal(statSync(ahead.directory).mode & 0o777, 0o700);
    }),
  );

  for (const compiler of ['g++', 'clang++'])
    for (const { what, spoil } of [
      { what: 'cut off', spoil: (path: string) => truncateSync(path, statSync(path).size >> 1) },
      {
        what: 'overwritten in the middle',
        spoil: (path: string) => {
          const bytes = readFileSync(path);
          bytes.fill(0xa5, bytes.length >> 2, bytes.length >> 1);
          writeFileSync(path, bytes);
        },
      },
      { what: 'empty', spoil: (path: string) => truncateSync(path, 0) },
    ])
      it(
        `is left out when what lies in it is ${what}, also when that does not show (${compiler})`,
        inSession(async (session) => {
          session.write(
            'unit.cc',
            '#include <string>\nlong value(long n) { return std::to_string(n).size(); }\n',
          );
          const ahead = new Ahead(session, 'unit.cc', [compiler, '-O0', '-g']);
          await ahead.prepare();
          const plain = facts(await ahead.compilePlain());
          const path = ahead.keptFile('hot_patch_preamble.h.gch');
          const before = statSync(path);
          spoil(path);
          assert.equal(ahead.isReady(), false);
          assert.deepEqual(facts(await ahead.compile()), plain);
          // A disk that lost it behind our back.
          const known = ahead.keptFile('facts.json');
          const stats = statSync(path);
          const stamp = `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}`;
          const old = `${before.dev}:${before.ino}:${before.size}:${before.mtimeMs}`;
          writeFileSync(known, readFileSync(known, 'utf8').replace(old, stamp));
          assert.ok(ahead.isReady());
          const reports = crashReports();
          assert.deepEqual(facts(await ahead.compile()), plain);
          // clang crashes of it.
          assert.deepEqual(crashReports(), reports);
        }),
      );

  it(
    'keeps what was used last when there is no room for all',
    inSession(async (session) => {
      const ahead = await prepared(session);
      const size = statSync(ahead.keptFile('hot_patch_preamble.h.gch')).size;
      const small = new Ahead(session, 'unit.cc', [...ahead.entry.arguments.slice(0, -4)], {
        limit: size * 2.5,
      });
      const [first] = ahead.kept;
      const variant = async (name: string): Promise<string> => {
        const before = ahead.kept;
        session.write('unit.cc', `#define ${name} 1\n${session.read('unit.cc')}`);
        await small.prepare();
        return ahead.kept.find((one) => !before.includes(one))!;
      };
      const second = await variant('SECOND_ONE');
      assert.deepEqual(ahead.kept.sort(), [first, second].sort());
      // The first is used again.
      utimesSync(join(ahead.directory, second, 'facts.json'), new Date(1), new Date(1));
      const third = await variant('THIRD_ONE');
      assert.deepEqual(ahead.kept.sort(), [first, third].sort());
    }),
  );

  it(
    'is swept of what a killed engine left, and of nothing else',
    inSession(async (session) => {
      const ahead = await prepared(session);
      const [kept] = ahead.kept;
      const part = join(ahead.directory, kept!, '1-2-3.part');
      const abandoned = join(ahead.directory, '0'.repeat(64));
      mkdirSync(abandoned);
      mkdirSync(join(ahead.directory, 'mine'));
      for (const path of [part, join(ahead.directory, kept!, '4-5-6.part')]) writeFileSync(path, '');
      for (const path of [part, abandoned, join(ahead.directory, 'mine')])
        utimesSync(path, new Date(1), new Date(1));
      session.edit('unit.cc', 'long value', '#define MORE 1\nlong value');
      await ahead.prepare();
      assert.ok(!existsSync(part) && !existsSync(abandoned));
      assert.ok(
        existsSync(join(ahead.directory, kept!, '4-5-6.part')) && existsSync(join(ahead.directory, 'mine')),
      );
    }),
  );

  it(
    'is shared: two engines compile the same one at once, and each can take it',
    inSession(async (session) => {
      session.write('unit.cc', '#include <iostream>\nlong value(long n) { std::cerr << n; return n; }\n');
      for (const compiler of ['g++', 'clang++']) {
        const engines = [0, 1, 2].map(() => new Ahead(session, 'unit.cc', [compiler, '-g']));
        await Promise.all(engines.map((engine) => engine.prepare()));
        const plain = facts(await engines[0]!.compilePlain());
        for (const engine of engines) {
          const unit = await engine.compile();
          assert.ok(unit.compiled.argv.includes('-include'));
          assert.deepEqual(facts(unit), plain);
        }
        const files = engines[0]!.kept.flatMap((name) => readdirSync(join(engines[0]!.directory, name)));
        assert.ok(!files.some((name) => name.includes('.part')), files.join());
      }
    }),
  );
});

describe('compiling ahead', () => {
  /** A compiler that tells how it is run, and waits while there is a file `hold`. */
  const wrap = (session: Session): string => {
    const path = session.write(
      'g++',
      `#!/bin/sh
case " $* " in *" c++-header "*)
  nice >> ${session.path('niceness')}
  while [ -e ${session.path('hold')} ]; do sleep 0.05; done
esac
exec /usr/bin/env g++ "$@"
`,
    );
    chmodSync(path, 0o755);
    return path;
  };

  it(
    'is done at the lowest priority, gives way to every other compile, and is begun anew behind it',
    inSession(async (session) => {
      session.write('unit.cc', '#include <string>\nlong value(long n) { return n; }\n');
      const ahead = new Ahead(session, 'unit.cc', [wrap(session), '-g']);
      const hold = session.write('hold', '');
      const { text, flags } = ahead.text;
      ahead.compiler.prepare(ahead.entry, text, flags);
      const times = (): number =>
        existsSync(session.path('niceness')) ? session.read('niceness').split('\n').length - 1 : 0;
      await until(() => times() === 1, isTrue);
      await ahead.compile();
      await until(() => times() === 2, isTrue);
      rmSync(hold);
      await until(() => ahead.isReady(), isTrue);
      assert.match(session.read('niceness'), /^(19\n)+$/);
      await ahead.preambles.dispose();
    }),
  );

  it(
    'ends with the engine and leaves nothing',
    inSession(async (session) => {
      session.write('unit.cc', '#include <string>\nlong value(long n) { return n; }\n');
      const ahead = new Ahead(session, 'unit.cc', [wrap(session), '-g']);
      session.write('hold', '');
      const { text, flags } = ahead.text;
      ahead.compiler.prepare(ahead.entry, text, flags);
      await until(() => existsSync(session.path('niceness')), isTrue);
      await ahead.preambles.dispose();
      assert.deepEqual(
        ahead.kept.flatMap((name) => readdirSync(join(ahead.directory, name))),
        ['hot_patch_preamble.h'],
      );
    }),
  );

  it(
    'follows the saves that are watched, not those of one command',
    inSession(async (session) => {
      const source = '#include <string>\nlong value(long n) { return n + std::string("ab").size(); }\n';
      const unit = await Unit.start(session, source, { flags: ['-O0', '-g'] });
      const kept = session.path('cache', 'hot-patch', 'preambles');
      await unit.editAndPatch('n + std', 'n - std');
      assert.ok(!existsSync(kept));
      const watch = await session.startCommand(process.execPath, [
        cli,
        'watch',
        '--verbose',
        '--json',
        session.directory,
      ]);
      await watch.errorLine(/^watching/);
      session.edit('unit.cc', 'n - std', 'n * std');
      await watch.line();
      await watch.errorLine(/preamble of .*unit.cc compiled ahead/);
      session.edit('unit.cc', 'n * std', 'n + 2 * std');
      const result = JSON.parse(await watch.line()) as { firstLight?: { outcome: string } };
      assert.equal(result.firstLight?.outcome, 'confirmed');
      await watch.errorLine(/ -include .*hot_patch_preamble\.h/);
      assert.equal(await unit.value(1), 5);
    }),
  );
});
