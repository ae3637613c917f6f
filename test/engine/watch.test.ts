// `hot-patch watch`: the same save without an editor.
import { strict as assert } from 'node:assert';
import { cli } from '../support/paths';
import { inSession, Unit } from '../support/session';

const source = 'static long calls = 0;\nlong value(long n) { calls++; return n * 2 + calls; }\n';

describe('hot-patch watch', () => {
  it(
    'patches each save, reports a compile error, and goes on with the next save',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const watch = await session.startCommand(process.execPath, [cli, 'watch', session.directory]);
      await watch.errorLine(/watch/i);

      session.edit('unit.cc', 'n * 2', 'n * 3');
      await watch.errorLine(/patched/i);
      assert.equal(await unit.value(10), 31);

      const good = session.edit('unit.cc', 'n * 3', 'n * * ;');
      await watch.errorLine(/error/i);
      assert.equal(await unit.value(10), 32);

      session.write('unit.cc', good.replace('n * 3', 'n * 4'));
      await watch.errorLine(/patched/i);
      assert.equal(await unit.value(10), 43);
      assert.ok(watch.running);
    }),
  );

  it(
    'ends on SIGINT with the patches still in place',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const watch = await session.startCommand(process.execPath, [cli, 'watch', session.directory]);
      await watch.errorLine(/watch/i);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      await watch.errorLine(/patched/i);
      process.kill(watch.pid, 'SIGINT');
      await watch.exit();
      assert.equal(await unit.value(10), 31);
    }),
  );
});
