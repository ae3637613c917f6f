// What a window leaves for the one after it: sources of live versions and the history, as long as their process lives.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { saveVersions } from '../../extension/workbench/session/saved_versions';
import type { Event } from '../../extension/workbench/state/events';
import { processKey } from '../../extension/workbench/state/state';
import { Store } from '../../extension/workbench/state/store';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';
import { file, patchedFunction, process as processOf, result, status } from './fixtures';

const none: Event = { type: 'processes', processes: [] };

/** A process is found, and a save of this text made a version of two functions live in it. */
function patchedIn(pid: number, id: number, text: string): Event[] {
  const functions = [patchedFunction(), patchedFunction({ address: '0x7', symbol: 'two' })];
  const statuses = new Map([[processKey(processOf(pid)), status(functions, pid)]]);
  const processes = [{ pid, exe: functions[0]!.module, functions }];
  return [
    { type: 'processes', processes: [processOf(pid)] },
    { type: 'operation-started', id, action: 'save', files: [file] },
    {
      type: 'operation-finished',
      ...{ id, at: id, since: id, edited: [], statuses, whole: true },
      result: result({ processes }),
      texts: new Map([[file, text]]),
    },
  ];
}

describe('versions that were saved', () => {
  let directory: string;
  beforeEach(() => (directory = join(temporaryDirectory(), 'versions')));
  afterEach(() => removeTemporaryDirectory(join(directory, '..')));

  /** A window, from its start to its end. */
  async function window(...events: Event[]): Promise<Store> {
    const store = new Store();
    const messages: string[] = [];
    const saved = saveVersions(store, directory, (message) => messages.push(message));
    await saved.written();
    for (const event of events) store.dispatch(event);
    await saved.written();
    saved.dispose();
    assert.deepEqual(messages, []);
    return store;
  }

  it('are known again once their process is found, in the order in which they came', async () => {
    const first = await window(...patchedIn(process.pid, 10, 'old text'));
    const again = await window({ type: 'processes', processes: [processOf(process.pid)] });
    assert.deepEqual(again.state.delivered, first.state.delivered);
    const [entry] = again.state.history;
    assert.deepEqual({ message: undefined, confirmed: undefined, ...entry }, first.state.history[0]);
    const third = await window(...patchedIn(process.pid, 20, 'new text'));
    assert.deepEqual(
      third.state.history.map(({ id }) => id),
      [20, 10],
    );
  });

  it('wait for a process that is not found yet', async () => {
    await window(...patchedIn(process.pid, 10, 'text'));
    await window(none, ...patchedIn(process.ppid, 20, 'other text'), none);
    const { state } = await window({ type: 'processes', processes: [processOf(process.pid)] });
    assert.equal(state.delivered.size, 2);
  });

  it('keep each text once, and none that no version has', async () => {
    await window(...patchedIn(process.pid, 10, 'text'));
    assert.equal(readdirSync(directory).length, 2);
    await window(...patchedIn(process.pid, 20, 'text'), none);
    assert.deepEqual(readdirSync(directory), ['index.json']);
  });

  it('end with their process', async () => {
    const { pid } = spawnSync('true');
    await window(...patchedIn(pid, 10, 'text'));
    const { state } = await window({ type: 'processes', processes: [processOf(pid)] });
    assert.deepEqual([state.delivered.size, state.history.length], [0, 0]);
  });
});
