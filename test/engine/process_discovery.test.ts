// From a saved file to processes, modules and units: real programs, and the choice between several as a pure function.
import { strict as assert } from 'node:assert';
import { Caches } from '../../extension/engine/caches';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createCompileDatabases } from '../../extension/engine/compile/compile_database';
import { createUnitFinder } from '../../extension/engine/compile/dependents';
import { createIncludeSearch, parseIncludes, readSource } from '../../extension/engine/compile/includes';
import type { LiveTarget } from '../../extension/engine/context';
import type { Target } from '../../extension/engine/engine';
import type { PatchableProcess } from '../../extension/engine/model/result';
import { HotPatchError } from '../../extension/engine/model/errors';
import { findRuntimes, parseIdentity } from '../../extension/engine/process/control_directory';
import { choose, createDiscovery, isOneFamily } from '../../extension/engine/process/discovery';
import { createModuleCache } from '../../extension/engine/process/modules';
import { createProcessList, parseStat, readStat } from '../../extension/engine/process/process_list';
import { inSession, type Session } from '../support/session';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

const code = (wanted: string) => (error: unknown) => error instanceof HotPatchError && error.code === wanted;

const waits = `#include <stdio.h>
#include "part.h"
int main(void) { printf("%d\\n", part()); fflush(stdout); getchar(); return 0; }
`;

/** A discovery of its own, as the engine builds it. */
function discovery(session: Session) {
  const caches = new Caches();
  const cache = createModuleCache(caches);
  const { entriesNear } = createCompileDatabases({ roots: [session.directory] });
  const list = createProcessList((pid) => cache.executable(pid));
  const { matching, targets } = createDiscovery(
    list,
    cache,
    createUnitFinder(entriesNear, createIncludeSearch(readSource)),
  );
  return { matching, targets, list, dispose: () => caches.clear() };
}

async function startProgram(session: Session, flags = ['-g']) {
  session.write('part.h', 'int part(void);\n');
  session.write('inner.h', 'static inline int inner(void) { return 1; }\n');
  session.write('part.c', '#include "part.h"\n#include "inner.h"\nint part(void) { return inner(); }\n');
  session.write('main.c', waits);
  await session.build({ sources: ['main.c', 'part.c'], flags });
  return session.startPlain();
}

/** Units that a save of the file concerns in the one process that was built from it. */
async function unitsOf(session: Session, pid: number, file: string) {
  const { matching, dispose } = discovery(session);
  try {
    const matches = (await matching(session.path(file))).filter(({ process }) => process.pid === pid);
    return matches.flatMap(({ modules }) => modules.flatMap(({ units }) => units));
  } finally {
    dispose();
  }
}

describe('a saved file concerns', () => {
  it(
    'the unit it is the source of',
    inSession(async (session) => {
      const { pid } = await startProgram(session);
      assert.deepEqual(await unitsOf(session, pid, 'part.c'), [
        { edited: session.path('part.c'), source: session.path('part.c'), evidence: 'debug-information' },
      ]);
    }),
  );

  it(
    'all units that include it, when it is a header',
    inSession(async (session) => {
      const { pid } = await startProgram(session);
      assert.deepEqual(
        (await unitsOf(session, pid, 'inner.h')).map(({ source }) => source),
        [session.path('part.c')],
      );
      assert.deepEqual((await unitsOf(session, pid, 'part.h')).map(({ source }) => source).sort(), [
        session.path('main.c'),
        session.path('part.c'),
      ]);
    }),
  );

  it(
    'all units that include it, when it only defines macros, through other headers and search paths',
    inSession(async (session) => {
      session.write('config/limits.h', '#define LIMIT 7\n');
      session.write('settings.h', '#  include <limits.h>\n');
      session.write('part.h', 'int part(void);\n');
      session.write('part.c', '#include "settings.h"\nint part(void) { return LIMIT; }\n');
      session.write('main.c', waits);
      await session.build({ sources: ['main.c', 'part.c'], flags: ['-g', '-Iconfig'] });
      const { pid } = await session.startPlain();
      assert.deepEqual(await unitsOf(session, pid, 'config/limits.h'), [
        { edited: session.path('config/limits.h'), source: session.path('part.c'), evidence: 'include' },
      ]);
    }),
  );

  it(
    'the units that have come to include it since the program was built',
    inSession(async (session) => {
      const { pid } = await startProgram(session);
      session.write('added.h', 'static inline int added(void) { return 2; }\n');
      assert.deepEqual(await unitsOf(session, pid, 'added.h'), []);
      session.edit('part.c', '#include "inner.h"', '#include "inner.h"\n#include "added.h"');
      assert.deepEqual(await unitsOf(session, pid, 'added.h'), [
        { edited: session.path('added.h'), source: session.path('part.c'), evidence: 'include' },
      ]);
    }),
  );

  it(
    'the unit of that name, when the program has no debug information',
    inSession(async (session) => {
      const { pid } = await startProgram(session, ['-O1']);
      const [unit, ...others] = await unitsOf(session, pid, 'part.c');
      assert.deepEqual(others, []);
      assert.deepEqual([unit!.source, unit!.evidence], [session.path('part.c'), 'file-symbol']);
    }),
  );

  it(
    'the same unit when it is reached through a symbolic link',
    inSession(async (session) => {
      const { pid } = await startProgram(session);
      symlinkSync(session.directory, session.path('link'));
      const [unit] = await unitsOf(session, pid, 'link/part.c');
      assert.equal(unit!.source, session.path('part.c'));
    }),
  );

  it(
    'nothing, when another file has its name',
    inSession(async (session) => {
      const { pid } = await startProgram(session);
      session.write('other/part.c', 'int part(void) { return 9; }\n');
      assert.deepEqual(await unitsOf(session, pid, 'other/part.c'), []);
    }),
  );

  it(
    'a process without the runtime, which is said',
    inSession(async (session) => {
      const { pid } = await startProgram(session);
      const { targets, dispose } = discovery(session);
      try {
        await assert.rejects(
          () => targets([session.path('part.c')], { kind: 'match' }),
          (error) => {
            assert.ok(code('no-runtime')(error));
            assert.match((error as Error).message, new RegExp(String(pid)));
            return true;
          },
        );
        await assert.rejects(
          () => targets([session.path('none.c')], { kind: 'match' }),
          code('file-not-found'),
        );
        session.write('alone.c', 'int alone;\n');
        await assert.rejects(() => targets([session.path('alone.c')], { kind: 'match' }), code('no-process'));
        await assert.rejects(
          () => targets([session.path('alone.c')], { kind: 'pid', pids: [pid] }),
          code('no-process'),
        );
        await assert.rejects(
          () => targets([session.path('part.c')], { kind: 'pid', pids: [2 ** 22 + 1] }),
          code('process-gone'),
        );
      } finally {
        dispose();
      }
    }),
  );
});

describe('includes', () => {
  it('are read from the text', () => {
    const text =
      '#include "a.h"\n  #  include <b/c.h> // x\n// #include "no.h"\nint x; #include "no.h"\n#import "d.h"\n';
    assert.deepEqual(
      parseIncludes(text).map(({ name, quoted }) => [name, quoted]),
      [
        ['a.h', true],
        ['b/c.h', false],
        ['d.h', true],
      ],
    );
  });
});

describe('of several processes', () => {
  const process = (pid: number, change: Partial<PatchableProcess> = {}): PatchableProcess => ({
    pid,
    startTime: pid,
    parentPid: 1,
    exe: '/p',
    name: 'p',
    commandLine: ['/p', String(pid)],
    cwd: '/',
    state: 'ready',
    ...change,
  });
  const match = (process: PatchableProcess, rank: 0 | 1 | 2 = 0, rebuilt = false) => ({
    process,
    rank,
    modules: [{ module: { rebuilt, path: '/p' }, units: [] }] as unknown as LiveTarget['modules'],
  });
  const parents = new Map([
    [10, 1],
    [11, 10],
    [12, 11],
    [20, 1],
  ]);
  const parentOf = (pid: number) => parents.get(pid);
  const pids = (matches: readonly LiveTarget[]) => matches.map(({ process: { pid } }) => pid);
  const any = { kind: 'match' } as const;

  it('the only one is taken', () => {
    assert.deepEqual(pids(choose([match(process(10))], ['f'], any, parentOf)), [10]);
  });

  it('none is taken unless all are asked for, and they are named', () => {
    const both = [match(process(10)), match(process(20))];
    assert.throws(() => choose(both, ['f'], any, parentOf), /10 \(\/p 10\), 20 \(\/p 20\)/);
    assert.deepEqual(pids(choose(both, ['f'], { kind: 'all' }, parentOf)), [10, 20]);
  });

  it('a server and the workers it forked count as one', () => {
    assert.ok(isOneFamily([{ pid: 10 }, { pid: 11 }, { pid: 12 }], parentOf));
    assert.ok(!isOneFamily([{ pid: 11 }, { pid: 20 }], parentOf));
    const family = [match(process(10)), match(process(11)), match(process(12))];
    assert.deepEqual(pids(choose(family, ['f'], any, parentOf)), [10, 11, 12]);
  });

  it('those that cannot be patched do not stand in the way of the one that can', () => {
    const matches = [
      match(process(10), 0, true),
      match(process(20, { state: 'no-runtime' })),
      match(process(11)),
    ];
    assert.deepEqual(pids(choose(matches, ['f'], any, parentOf)), [11]);
  });

  it('weak evidence gives way to strong evidence', () => {
    assert.deepEqual(pids(choose([match(process(10), 2), match(process(20))], ['f'], any, parentOf)), [20]);
  });

  it('of those with nothing but a unit of that name, the one that lies nearest to the file is taken', () => {
    const at = (pid: number, path: string, rank: 0 | 2 = 2) => ({
      ...match(process(pid), rank),
      modules: [{ module: { rebuilt: false, path }, units: [] }] as unknown as LiveTarget['modules'],
    });
    const own = at(10, '/home/me/game/build/game');
    const stranger = at(20, '/home/me/game2/build/game');
    const file = ['/home/me/game/src/main.c'];
    for (const target of [any, { kind: 'all' }] as const) {
      assert.deepEqual(pids(choose([stranger, own], file, target, parentOf)), [10]);
    }
    const beside = at(20, '/home/me/game/tools/editor');
    assert.throws(() => choose([own, beside], file, any, parentOf), code('several-processes'));
    const described = [at(10, '/home/me/game/build/game', 0), at(20, '/opt/game', 0)];
    assert.throws(() => choose(described, file, any, parentOf), code('several-processes'));
    assert.deepEqual(pids(choose([stranger], file, any, parentOf)), [20]);
  });

  it('one that is chosen and cannot be patched is an error that says why', () => {
    const target: Target = { kind: 'pid', pids: [10] };
    assert.throws(() => choose([match(process(10), 0, true)], ['f'], target, parentOf), code('rebuilt'));
    assert.throws(
      () => choose([match(process(10, { state: 'no-runtime' }))], ['f'], target, parentOf),
      code('no-runtime'),
    );
    assert.throws(() => choose([], ['f'], target, parentOf), code('no-process'));
  });

  it('an empty choice is an error, and not a save that finds nothing to do', () => {
    assert.throws(() => choose([], ['f'], { kind: 'pid', pids: [] }, parentOf), code('no-process'));
    assert.throws(() => choose([], ['f'], { kind: 'all' }, parentOf), code('no-process'));
  });
});

describe('the control directories', () => {
  const uid = process.getuid!();
  const hasWorker = () => true;
  const identity = (pid: number, startTime: number) =>
    JSON.stringify({ protocol: 1, version: '9', pid, startTime, signal: 10, workerTid: pid });

  function inDirectory(test: (base: string, put: (pid: number, text: string) => string) => void) {
    return () => {
      const base = temporaryDirectory();
      const put = (pid: number, text: string) => {
        const directory = join(base, `hot_fix-${uid}`, String(pid));
        mkdirSync(dirname(directory), { recursive: true, mode: 0o700 });
        mkdirSync(directory, { mode: 0o700 });
        writeFileSync(join(directory, 'process.json'), text);
        return directory;
      };
      try {
        test(base, put);
      } finally {
        removeTemporaryDirectory(base);
      }
    };
  }

  it(
    'are found by pid and start time',
    inDirectory((base, put) => {
      const address = { version: '9', protocol: 1, signal: 10, workerTid: 100 };
      const directory = put(100, identity(100, 7));
      const found = findRuntimes(uid, [base], () => 7, hasWorker);
      assert.deepEqual(
        [...found],
        [[100, { address: { ...address, controlDirectory: directory }, asleep: false }]],
      );
      assert.equal(findRuntimes(uid, [base], () => 8, hasWorker).size, 0, 'another process has that pid now');
    }),
  );

  it(
    'sleep when they say so',
    inDirectory((base, put) => {
      put(100, JSON.stringify({ ...(JSON.parse(identity(100, 7)) as object), asleep: true }));
      assert.equal(findRuntimes(uid, [base], () => 7, hasWorker).get(100)?.asleep, true);
    }),
  );

  it(
    'of processes that are gone are removed',
    inDirectory((base, put) => {
      const gone = put(100, identity(100, 7));
      const starting = put(101, 'half-writ');
      findRuntimes(uid, [base], (pid) => (pid === 101 ? 1 : undefined), hasWorker);
      assert.deepEqual([existsSync(gone), existsSync(starting)], [false, true]);
      const other = JSON.stringify({ ...(JSON.parse(identity(100, 7)) as object), pidNamespace: 'pid:[1]' });
      const container = put(100, other);
      findRuntimes(uid, [base], () => undefined, hasWorker);
      assert.ok(existsSync(container), 'its process cannot be seen from here');
    }),
  );

  it(
    'that others could write to, or that are links, are not believed',
    inDirectory((base, put) => {
      chmodSync(put(100, identity(100, 7)), 0o777);
      const real = put(200, identity(201, 7));
      symlinkSync(real, join(base, `hot_fix-${uid}`, '201'));
      const found = findRuntimes(uid, [base], () => 7, hasWorker);
      assert.deepEqual([...found.keys()], []);
    }),
  );

  it('say only what they must, in the right types', () => {
    assert.equal(parseIdentity('{}'), undefined);
    assert.equal(parseIdentity('[]'), undefined);
    assert.equal(parseIdentity('{"protocol":1,"pid":"1","startTime":1}'), undefined);
    assert.equal(parseIdentity('{"protocol":2,"pid":1,"startTime":1}')?.protocol, 2);
  });
});

describe('the list of processes', () => {
  it('takes names with blanks and parentheses from /proc/PID/stat', () => {
    const fields = Array.from({ length: 40 }, (_, index) => String(index + 4)).join(' ');
    assert.deepEqual(parseStat(`12 (a) b (c)) S ${fields}`), {
      name: 'a) b (c)',
      state: 'S',
      parentPid: 4,
      startTime: 22,
      isKernelThread: false,
    });
  });

  it('knows kernel threads by their flag', () => {
    const flags = 0x0020_8040;
    const fields = `2 0 0 0 -1 ${flags} ${Array.from({ length: 33 }, () => '0').join(' ')}`;
    assert.equal(parseStat(`12 (kworker/0:1) I ${fields}`)?.isKernelThread, true);
  });

  it('has this process, with what it was started with', async () => {
    const list = createProcessList(() => ({ rebuilt: false }));
    const own = (await list()).find(({ pid }) => pid === process.pid)!;
    assert.equal(own.startTime, readStat(process.pid)!.startTime);
    assert.equal(own.exe, process.execPath);
    assert.equal(own.state, 'no-runtime');
    assert.equal(own.cwd, process.cwd());
  });
});
