// What an engine compiles lies in a directory of its own, which also goes when the engine was killed.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createTemporaryDirectory } from '../../extension/engine/compile/temporary_directory';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

describe('the temporary directory of an engine', () => {
  let parent: string;
  beforeEach(() => (parent = temporaryDirectory()));
  afterEach(() => removeTemporaryDirectory(parent));

  const ended = spawnSync('true').pid;
  /** What an engine leaves, with other numbers in its name. */
  function leftBy(numbers: { namespace?: number; pid?: number; start?: number }, hoursAgo = 0): string {
    const own = createTemporaryDirectory(parent);
    const [, namespace, pid, start, random] = /^hot-patch-engine-(\d+)\.(\d+)\.(\d+)-(\w+)$/.exec(
      basename(own),
    )!;
    const by = { namespace, pid, start, ...numbers };
    const directory = join(parent, `hot-patch-engine-${by.namespace}.${by.pid}.${by.start}-${random}`);
    renameSync(own, directory);
    writeFileSync(join(directory, 'unit.o'), 'an object');
    const then = Date.now() / 1000 - hoursAgo * 3600;
    utimesSync(directory, then, then);
    return directory;
  }

  it('is removed by the next engine when its own was killed, however early', () => {
    leftBy({ pid: ended });
    const empty = leftBy({ pid: ended });
    rmSync(join(empty, 'unit.o'));
    const own = createTemporaryDirectory(parent);
    assert.deepEqual(readdirSync(parent), [basename(own)]);
  });

  it('is removed by the next engine when its number belongs to another process now', () => {
    const killed = leftBy({ start: 1 });
    createTemporaryDirectory(parent);
    assert.equal(existsSync(killed), false);
  });

  it('is removed after a day when it may be of another PID namespace', () => {
    const abandoned = leftBy({ namespace: 1, pid: ended }, 25);
    const own = createTemporaryDirectory(parent);
    assert.equal(existsSync(abandoned), false);
    assert.deepEqual(readdirSync(parent), [basename(own)]);
  });

  it('stays while its engine runs, while that may be in another PID namespace, and when it is somebody else’s', () => {
    const other = join(parent, 'hot-patch-notes');
    mkdirSync(other);
    utimesSync(other, 1, 1);
    const kept = [createTemporaryDirectory(parent), leftBy({ namespace: 1, pid: ended }, 23), other];
    createTemporaryDirectory(parent);
    assert.deepEqual(kept.map(existsSync), [true, true, true]);
  });

  it('that cannot be made is no reason not to start', () => {
    assert.doesNotThrow(() => createTemporaryDirectory(join(parent, 'none')));
  });
});
