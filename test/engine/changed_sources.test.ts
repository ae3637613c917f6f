// Files that were written since a process's program was linked from them, however the debug information spells them.
import { strict as assert } from 'node:assert';
import { symlinkSync, utimesSync } from 'node:fs';
import { createEngine } from '../../extension/engine/create_engine';
import { inSession, type Session } from '../support/session';

const UNIT = '#include "twice.h"\nlong value(long n) { return twice(n); }\n';
const HEADER = 'static inline long twice(long n) { return n * 2; }\n';

async function start(session: Session): Promise<number> {
  session.copySample('family');
  session.write('unit.c', UNIT);
  session.write('twice.h', HEADER);
  await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O0'] });
  return (await session.start()).pid;
}

async function changed(session: Session, pid: number, root = session.directory): Promise<string[]> {
  const engine = createEngine({ temporaryDirectory: session.path('tmp'), roots: [root] });
  try {
    return (await engine.changedSources(pid)).map(({ file }) => file);
  } finally {
    await engine.dispose();
  }
}

describe('sources that were written since their program was linked', () => {
  it(
    'are found, headers with code among them, until the program is older than none of them',
    inSession(async (session) => {
      const pid = await start(session);
      assert.deepEqual(await changed(session, pid), []);
      session.write('unit.c', UNIT);
      session.write('twice.h', HEADER);
      assert.deepEqual(await changed(session, pid), [session.path('twice.h'), session.path('unit.c')]);
      utimesSync(session.path('unit.c'), 0, 0);
      assert.deepEqual(await changed(session, pid), [session.path('twice.h')]);
    }),
  );

  it(
    'are those below the folders, spelled as the folders are',
    inSession(async (session) => {
      const pid = await start(session);
      session.write('unit.c', UNIT);
      symlinkSync(session.directory, session.path('link'));
      assert.deepEqual(await changed(session, pid, session.path('link')), [session.path('link/unit.c')]);
      assert.deepEqual(await changed(session, pid, session.path('run')), []);
    }),
  );

  it(
    'are those of a library too, which may be older or newer than the program',
    inSession(async (session) => {
      session.copySample('family');
      session.write('unit.c', UNIT);
      session.write('twice.h', HEADER);
      await session.build({
        sources: ['unit.c'],
        output: 'libunit.so',
        flags: ['-g', '-fPIC', '-shared'],
      });
      session.write('unit.c', UNIT);
      await session.build({
        sources: ['main.c'],
        flags: ['-g'],
        linkFlags: ['-L.', '-lunit', '-Wl,-rpath,$ORIGIN'],
      });
      const { pid } = await session.start();
      assert.deepEqual(await changed(session, pid), [session.path('unit.c')]);
    }),
  );

  it(
    'are none that were removed',
    inSession(async (session) => {
      const pid = await start(session);
      session.write('unit.c', UNIT);
      await session.run('rm', ['unit.c']);
      assert.deepEqual(await changed(session, pid), []);
    }),
  );
});
