// Files that were written and that nobody tells of: VS Code's watcher has not started, or the system has no watches left.
// The clock and the engine are the test's own; pending.test.ts has the real ones.
import { strict as assert } from 'node:assert';
import { mock } from 'node:test';
import { watchPendingFiles } from '../../extension/workbench/session/pending_files';
import { pendingOf } from '../../extension/workbench/state/queries';
import { Store } from '../../extension/workbench/state/store';
import { file, running } from './fixtures';

const turns = async () => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};

describe('files that were written and that nobody tells of', () => {
  let store: Store;
  let written: { file: string; at: number }[];
  let looks: number;
  let listener: (() => void) | undefined;
  let watch: { dispose(): void };
  const pending = () => pendingOf(store.state).map(({ written: { report } }) => report?.verdict);
  const seconds = async (count: number) => {
    for (let tenth = 0; tenth < count * 10; tenth++) {
      mock.timers.tick(100);
      await turns();
    }
  };

  beforeEach(async () => {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    [written, looks, listener] = [[], 0, undefined];
    store = new Store();
    const engine = {
      changedSources: () => {
        looks++;
        return Promise.resolve(written);
      },
    };
    const files = {
      check: (checked: string) => {
        const report = { file: checked, verdict: 'edited' as const, message: '', problems: [], timings: {} };
        store.dispatch({
          type: 'check-finished',
          ...{ file: checked, text: 'text', at: 6, report, statuses: new Map() },
        });
        return Promise.resolve();
      },
    };
    const tellOf = (told: () => void) => {
      listener = told;
      return { dispose: () => (listener = undefined) };
    };
    watch = watchPendingFiles(
      () => engine,
      store,
      files,
      tellOf,
      () => true,
      (message) => assert.fail(message),
    );
    for (const event of running) store.dispatch(event);
    await seconds(1);
  });
  afterEach(() => {
    watch.dispose();
    mock.timers.reset();
  });

  it('are found and compared within 11 seconds', async () => {
    assert.deepEqual(pending(), []);
    written = [{ file, at: 5 }];
    await seconds(11);
    assert.deepEqual(pending(), ['edited']);
  });

  it('are found at once when somebody does tell', async () => {
    written = [{ file, at: 5 }];
    listener!();
    await seconds(1);
    assert.deepEqual(pending(), ['edited']);
  });

  it('cost one look in 10 seconds, and none once the window is closed', async () => {
    const before = looks;
    await seconds(60);
    assert.equal(looks - before, 6);
    watch.dispose();
    await seconds(60);
    assert.equal(looks - before, 6);
    assert.equal(listener, undefined);
  });
});
