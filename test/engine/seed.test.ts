// The published sample (native/demo), both ways: the hand-written patch with `kill -USR1`, and the same change made
// by editing app.cc. Same output, same process.
import { strict as assert } from 'node:assert';
import { copyFileSync, cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { dist, root } from '../support/paths';
import type { Program } from '../support/program';
import { inSession, type Session } from '../support/session';

async function startSample(session: Session): Promise<Program> {
  cpSync(join(root, 'native/demo/test_prj'), session.path('source'), { recursive: true });
  mkdirSync(session.path('hot_fix'));
  copyFileSync(join(dist, 'native/include/hot_fix.h'), session.path('hot_fix', 'hot_fix.h'));
  copyFileSync(join(dist, 'native/lib/libhot_fix.a'), session.path('hot_fix', 'libhot_fix.a'));
  await session.run('make', [
    '-C',
    'source',
    `OUT=${session.directory}`,
    `HOT_FIX=${session.path('hot_fix')}`,
  ]);
  const program = await session.startPlain('test_prj');
  assert.deepEqual(program.lines.slice(0, 1), [`pid ${program.pid}`]);
  return program;
}

/** The lines from one to the next of its kind. */
async function round(program: Program, first: string, count: number): Promise<string[]> {
  const lines = [await program.line(first)];
  while (lines.length < count) lines.push(await program.line());
  return lines;
}

const before = Array.from({ length: 10 }, (_, times) => `before fix cur times ${times}`);
const after = Array.from({ length: 3 }, (_, times) => `after fix cur times ${times}`);

describe('the published sample', () => {
  it(
    'is fixed by the hand-written patch and kill -USR1',
    inSession(async (session) => {
      const program = await startSample(session);
      assert.deepEqual(await round(program, before[0]!, 10), before);

      process.kill(program.pid, 'SIGUSR1');
      await program.line(/^after {2}fix_func addr 0x[0-9a-f]+$/);
      assert.equal(await program.line(), 'load new fix function');
      assert.deepEqual(await round(program, after[0]!, 3), after);
      assert.deepEqual(await round(program, after[0]!, 3), after);
      assert.ok(program.running);
    }),
  );

  it(
    'is fixed by editing app.cc, and unfixed by undoing the edit',
    inSession(async (session) => {
      const program = await startSample(session);
      assert.deepEqual(await round(program, before[0]!, 10), before);

      const original = session.edit('source/app.cc', 'times < 10', 'times < 3');
      session.edit('source/app.cc', '"before fix', '"after fix');
      await session.patch(['source/app.cc', '-p', '.']);
      assert.deepEqual(await round(program, after[0]!, 3), after);

      session.write('source/app.cc', original);
      await session.patch(['source/app.cc', '-p', '.'], 'reverted');
      assert.deepEqual(await round(program, before[0]!, 10), before);
      assert.ok(program.running);
    }),
  );

  it(
    'takes the hand-written patch through `hot-patch load` as well, and tells what it did',
    inSession(async (session) => {
      const program = await startSample(session);
      await program.line(before[9]);
      const run = await session.hotPatch('load', '--json', String(program.pid), session.path('patch.so'));
      assert.equal(run.status, 0, run.stderr);
      await program.line('load new fix function');
      const [status] = await session.status('--pid', String(program.pid));
      assert.equal(status!.patches[0]!.kind, 'fix_table');
      assert.equal(status!.functions[0]!.symbol, '_Z8fix_funcv');
      await session.revert('--pid', String(program.pid));
      assert.deepEqual(await round(program, before[0]!, 10), before);
    }),
  );
});
