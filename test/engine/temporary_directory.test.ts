// What an engine compiles lies in a directory of its own, which also goes when the engine was killed.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createTemporaryDirectory } from '../../extension/engine/compile/temporary_directory';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

describe('the temporary directory of an engine', () => {
  let parent: string;
  beforeEach(() => (parent = temporaryDirectory()));
  afterEach(() => removeTemporaryDirectory(parent));

  const ended = spawnSync('true').pid;
  function leftBy(pid: number, hoursAgo: number, name = `hot-patch-engine-${pid}-AbCd12`): string {
    const directory = join(parent, name);
    mkdirSync(directory);
    writeFileSync(join(directory, 'unit.o'), 'an object');
    const then = Date.now() / 1000 - hoursAgo * 3600;
    utimesSync(directory, then, then);
    return directory;
  }

  it('is removed by the next engine when its own was killed', () => {
    const killed = createTemporaryDirectory(parent);
    const owner = readFileSync(join(killed, 'owner'), 'utf8');
    writeFileSync(join(killed, 'owner'), owner.replace(/ \d+ \d+/, ` ${ended} 1`));
    const own = createTemporaryDirectory(parent);
    assert.equal(existsSync(killed), false);
    assert.deepEqual(readdirSync(parent), [basename(own)]);
  });

  it('is removed by the next engine when its number belongs to another process now', () => {
    const killed = createTemporaryDirectory(parent);
    const owner = readFileSync(join(killed, 'owner'), 'utf8');
    writeFileSync(join(killed, 'owner'), owner.replace(/\d+\n/, '1\n'));
    createTemporaryDirectory(parent);
    assert.equal(existsSync(killed), false);
  });

  it('is removed after a day when nothing says whose it was', () => {
    const abandoned = leftBy(ended, 25);
    const own = createTemporaryDirectory(parent);
    assert.equal(existsSync(abandoned), false);
    assert.deepEqual(readdirSync(parent), [basename(own)]);
  });

  it('stays while its engine runs, while that may be in another PID namespace, and when it is somebody else’s', () => {
    const running = createTemporaryDirectory(parent);
    const foreign = createTemporaryDirectory(parent);
    writeFileSync(join(foreign, 'owner'), `pid:[1] ${ended} 1\n`);
    const kept = [running, foreign, leftBy(ended, 23), leftBy(ended, 25, 'hot-patch-notes')];
    createTemporaryDirectory(parent);
    assert.deepEqual(kept.map(existsSync), [true, true, true, true]);
  });

  it('that cannot be made is no reason not to start', () => {
    assert.doesNotThrow(() => createTemporaryDirectory(join(parent, 'none')));
  });
});
