// The runtime that is loaded into started programs: the prebuilt one where it loads, else one built on the spot.
import { strict as assert } from 'node:assert';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runtimeDirectory } from '../../extension/workbench/session/runtime_library';
import { root } from '../support/paths';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

describe('the runtime for started programs', () => {
  let directory: string;
  const messages: string[] = [];
  before(() => (directory = temporaryDirectory()));
  after(() => removeTemporaryDirectory(directory));

  it('is the prebuilt one where that loads', async () => {
    const places = { extension: root, storage: directory };
    assert.equal(await runtimeDirectory(places, (m) => messages.push(m)), undefined);
    assert.deepEqual(messages, []);
  });

  it('is built from the packed sources where the prebuilt one does not load, and only once', async () => {
    const extension = join(directory, 'extension');
    cpSync(join(root, 'native'), join(extension, 'native'), { recursive: true });
    mkdirSync(join(extension, 'dist', 'native', 'lib'), { recursive: true });
    writeFileSync(join(extension, 'dist', 'native', 'lib', 'libhot_fix.so'), 'not for this machine');
    const places = { extension, storage: join(directory, 'storage') };
    const built = (await runtimeDirectory(places, (m) => messages.push(m)))!;
    assert.ok(existsSync(join(built, 'libhot_fix.so')));
    assert.match(messages[0]!, /does not load here/);
    assert.equal(await runtimeDirectory(places, (m) => messages.push(m)), built);
    assert.equal(messages.length, 1);
  });
});
