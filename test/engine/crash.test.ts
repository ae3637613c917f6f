// A process that crashed, as the engine tells of it: signal, function, line, version, and how it came there.
import { strict as assert } from 'node:assert';
import type { CrashReport } from '../../extension/engine/model/result';
import { ready, withEngines } from '../support/engines';
import { inSession, type Session, Unit } from '../support/session';

const source = `#include <csignal>
#include <cstdlib>
static long *volatile nowhere;
static void own(int) { std::abort(); }
__attribute__((noinline)) static long deep(long n) {
  if (n == 3) *nowhere = n;
  if (n == 4) std::abort();
  if (n == 5) return reinterpret_cast<long (*)()>(nowhere)() + 1;
  return n * 2;
}
long value(long n) {
  if (n == 6) std::signal(SIGSEGV, own);
  const long result = deep(n == 6 ? 3 : n) + 1;
  return result;
}
`;
const lineOf = (text: string, what: string) => text.split('\n').findIndex((line) => line.includes(what)) + 1;

/** Has the program compute value(n), by which it crashes, and asks a second engine for the report, as a second window. */
function crashBy(session: Session, unit: Unit, n: number): Promise<CrashReport> {
  return withEngines(session, async (create) => {
    const engines = [create(), create()];
    const known = await ready(engines[0]!, unit.program.pid);
    unit.program.send(String(n));
    await unit.program.exit();
    const reports = [];
    for (const engine of engines) {
      // Where the directories of processes that have ended are removed.
      await engine.processes();
      reports.push(await engine.crash(known));
    }
    assert.deepEqual(reports[0], reports[1]);
    assert.ok(reports[0], 'no report');
    return reports[0];
  });
}

const named = ({ frames }: CrashReport) =>
  frames.flatMap(({ function: name, file, line }) => (file?.endsWith('unit.cc') ? [`${name}:${line}`] : []));

describe('a process that crashed', () => {
  for (const [compiler, level] of [
    ['g++', '-O0'],
    ['g++', '-O2'],
    ['clang++', '-O0'],
    ['clang++', '-O2'],
  ] as const)
    it(
      `is told of with function, line and version of patched code (${compiler} ${level})`,
      inSession(async (session) => {
        const flags = [level, '-g'];
        const unit = await Unit.start(session, source, { flags, compiler });
        const text = session.read('unit.cc').replace('n * 2', '1 + n * 2');
        session.edit('unit.cc', 'n * 2', '1 + n * 2');
        await session.patch('unit.cc');
        const report = await crashBy(session, unit, 3);
        assert.equal(report.signal, 'SIGSEGV');
        assert.equal(report.cause, 'null pointer (address 0x0)');
        const [crashed, caller] = named(report);
        assert.equal(crashed, `deep(long):${lineOf(text, '*nowhere = n')}`);
        assert.match(caller!, /^value\(long\):1[34]$/);
        const [first] = report.frames;
        assert.equal(first!.version, 1);
        assert.ok(report.at >= first!.patchedAt! && report.at - first!.patchedAt! < 600_000);
        assert.ok(
          report.frames.some(({ function: name }) => name === 'main'),
          JSON.stringify(report.frames),
        );
      }),
    );

  it(
    'is told of when nothing of it is patched, and by its own function where it called abort() or nothing',
    inSession(async (session) => {
      const flags = ['-O1', '-g'];
      const unit = await Unit.start(session, source, { flags });
      const text = session.read('unit.cc');
      const aborted = await crashBy(session, unit, 4);
      assert.equal(`${aborted.signal} ${aborted.cause}`, 'SIGABRT abort()');
      assert.equal(named(aborted)[0], `deep(long):${lineOf(text, 'n == 4')}`);
      assert.ok(aborted.frames.every(({ patchedAt }) => patchedAt === undefined));

      const again = async (n: number) =>
        crashBy(
          session,
          Object.assign(Object.create(Unit.prototype) as Unit, { program: await session.start() }),
          n,
        );
      const nowhere = await again(5);
      assert.equal(nowhere.frames[0]!.address, '0x0');
      assert.equal(named(nowhere)[0], `deep(long):${lineOf(text, 'reinterpret_cast')}`);

      // Through the frame that the kernel makes for a handler of its own.
      const handled = await again(6);
      assert.deepEqual(
        named(handled).map((place) => place.replace(/:.*/, '')),
        ['own(int)', 'deep(long)', 'value(long)'],
      );
    }),
  );
});
