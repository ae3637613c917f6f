// Compiles that begin before the processes of a save are found: which of them is taken, and that of the others nothing is
// left. With real compilers, behind a wrapper that notes each start.
import { strict as assert } from 'node:assert';
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createCompileDatabases } from '../../extension/engine/compile/compile_database';
import { createCompiler } from '../../extension/engine/compile/compiler';
import { CompileError } from '../../extension/engine/compile/run_compiler';
import type { CompileEntry, CompileRequest, EngineContext } from '../../extension/engine/context';
import { ElfFile } from '../../extension/engine/elf/file';
import { EarlyCompile } from '../../extension/engine/save/early_compile';
import { exitStatus, patch } from '../support/hot_patch';
import { inSession, type Session, Unit } from '../support/session';
import { until } from '../support/until';

const NOTED = 'echo $$ >> starts\n';
const HELD = `${NOTED}while [ ! -e go ]; do sleep 0.01; done\n`;

function startsIn(session: Session): number[] {
  const lines = existsSync(session.path('starts')) ? session.read('starts').split('\n') : [];
  return lines.filter((line) => line !== '').map(Number);
}

class Early {
  private constructor(
    readonly session: Session,
    readonly early: EarlyCompile,
    readonly entry: CompileEntry,
  ) {}

  /** @param before what the wrapper does before it compiles */
  static begin(
    session: Session,
    { before = NOTED, signal }: { before?: string; signal?: AbortSignal } = {},
  ): Early {
    const file = session.write('unit.cc', 'int first() { return 1; }\n');
    chmodSync(session.write('wrapper', `#!/bin/sh\n${before}exec g++ "$@"\n`), 0o755);
    session.writeDatabase([{ directory: session.directory, file, command: './wrapper -c unit.cc' }]);
    mkdirSync(session.path('objects'));
    const compile = {
      ...createCompileDatabases({ roots: [session.directory] }),
      ...createCompiler({ temporaryDirectory: session.path('objects'), log: () => undefined }),
    };
    const early = new EarlyCompile({ compile } as unknown as EngineContext, { signal });
    early.begin([file]);
    return new Early(session, early, compile.entriesFor(file)[0]!);
  }

  starts(): number[] {
    return startsIn(this.session);
  }

  async started(): Promise<void> {
    await until(
      () => this.starts().length,
      (count) => count > 0,
    );
  }

  objects(): string[] {
    return readdirSync(this.session.path('objects'));
  }
}

function functionsIn(path: string): string[] {
  const object = ElfFile.open(path);
  try {
    return object.symbols().flatMap(({ name }) => (name.startsWith('_Z') ? [name] : []));
  } finally {
    object.close();
  }
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('a compile that began before the processes were found', () => {
  it(
    'is the one of the save, and the only one',
    inSession(async (session) => {
      const begun = Early.begin(session);
      const { object } = await begun.early.compileUnit(begun.entry, { listFiles: false });
      await begun.early.end();
      assert.deepEqual(functionsIn(object), ['_Z5firstv']);
      assert.equal(begun.starts().length, 1);
      // A second one of the same save is a compile of its own.
      await begun.early.compileUnit(begun.entry);
      assert.equal(begun.starts().length, 2);
    }),
  );

  for (const [what, text] of [
    ['of which the file was saved again', 'int second() { return 2; }\n'],
    ['of which the file was written again as it was', 'int first() { return 1; }\n'],
  ] as const)
    it(
      `${what} is stopped, and what is there now is compiled`,
      inSession(async (session) => {
        const begun = Early.begin(session, { before: HELD });
        await begun.started();
        session.write('unit.cc', text);
        const compiled = begun.early.compileUnit(begun.entry);
        session.write('go', '');
        assert.deepEqual(functionsIn((await compiled).object), [
          text.includes('second') ? '_Z6secondv' : '_Z5firstv',
        ]);
        await begun.early.end();
        assert.equal(begun.starts().length, 2);
        assert.equal(begun.objects().length, 1);
      }),
    );

  const others: [what: string, change: Partial<CompileEntry>, request: CompileRequest, word: string][] = [
    ['another command', { arguments: ['g++', '-O2', '-c', 'unit.cc'] }, {}, '-O2'],
    ['a further flag', {}, { extraFlags: ['-O1'] }, '-O1'],
    ['a list of files', {}, { listFiles: true }, '-MD'],
  ];
  for (const [what, change, request, word] of others)
    it(
      `is not taken where ${what} is wanted`,
      inSession(async (session) => {
        const { early, entry } = Early.begin(session);
        const { argv } = await early.compileUnit({ ...entry, ...change }, request);
        await early.end();
        assert.ok(argv.includes(word), argv.join(' '));
      }),
    );

  it(
    'and that nobody takes is stopped, and leaves nothing',
    inSession(async (session) => {
      const begun = Early.begin(session, { before: `trap "" TERM\n${HELD}` });
      await begun.started();
      await begun.early.end();
      assert.deepEqual(begun.starts().map(isRunning), [false]);
      assert.deepEqual(begun.objects(), []);
    }),
  );

  it(
    'of a save that is taken back is stopped with its reason, before and after it was taken',
    inSession(async (session) => {
      const save = new AbortController();
      const begun = Early.begin(session, { before: HELD, signal: save.signal });
      await begun.started();
      const taken = begun.early.compileUnit(begun.entry, { signal: save.signal });
      save.abort(new Error('saved again'));
      await assert.rejects(taken, /saved again/);
      await begun.early.end();
      assert.deepEqual(begun.starts().map(isRunning), [false]);
      begun.early.begin([begun.entry.source]);
      await assert.rejects(begun.early.compileUnit(begun.entry, { signal: save.signal }), /saved again/);
      await begun.early.end();
      assert.deepEqual(begun.objects(), []);
    }),
  );

  it(
    'is stopped by the signal with which it was taken',
    inSession(async (session) => {
      const begun = Early.begin(session, { before: HELD });
      await begun.started();
      const refused = new AbortController();
      const taken = begun.early.compileUnit(begun.entry, { signal: refused.signal });
      refused.abort(new Error('another unit refuses the save'));
      await assert.rejects(taken, /another unit/);
      assert.deepEqual(begun.starts().map(isRunning), [false]);
    }),
  );

  it(
    'and fails says so where it is taken',
    inSession(async (session) => {
      const { early, entry } = Early.begin(session, { before: 'echo no licence >&2; exit 9\n' });
      const failed: unknown = await early.compileUnit(entry).catch((thrown: unknown) => thrown);
      assert.ok(failed instanceof CompileError);
      assert.match(failed.message, /status 9: no licence/);
      await early.end();
    }),
  );
});

describe('a save of a file', () => {
  it(
    'of which no process runs leaves no compiler behind, and nothing of it',
    inSession(async (session) => {
      const file = session.write('unit.cc', 'int f() { return 1; }\n');
      chmodSync(session.write('wrapper', `#!/bin/sh\n${NOTED}sleep 600; true\n`), 0o755);
      session.writeDatabase([{ directory: session.directory, file, command: './wrapper -c unit.cc' }]);
      await patch([file], session.options, exitStatus.noProcess);
      assert.ok(!startsIn(session).some(isRunning));
      assert.deepEqual(readdirSync(session.path('tmp')), []);
    }),
  );

  it(
    'that does not compile tells of it once',
    inSession(async (session) => {
      const unit = await Unit.start(session, 'long value(long n) { return n; }\n');
      session.edit('unit.cc', 'return n', 'return m');
      const result = await patch(['unit.cc'], session.options, exitStatus.compileError);
      assert.deepEqual(
        result.refusals.map(({ code, line }) => [code, line]),
        [['compile-failed', 1]],
      );
      assert.equal(result.diagnostics.length, 1);
      assert.equal(await unit.value(4), 4);
    }),
  );
});
