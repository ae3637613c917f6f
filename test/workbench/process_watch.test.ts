// How often processes are looked at, and that nothing is left of those that have ended. The engine and the clock are
// the test's own; following.test.ts has the real ones.
import { strict as assert } from 'node:assert';
import { mock } from 'node:test';
import type {
  Attachability,
  PatchableProcess,
  PatchedFunction,
  Problem,
} from '../../extension/engine/model/result';
import type { AsyncEngine } from '../../extension/workbench/engine_thread/client';
import { watchProcesses } from '../../extension/workbench/session/process_watch';
import { Store } from '../../extension/workbench/state/store';
import { initialState } from '../../extension/workbench/state/state';
import { file, patchedFunction, process, result, status } from './fixtures';

const turns = async () => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};

describe('the processes of a workspace', () => {
  let running: PatchableProcess[] = [];
  let live: PatchedFunction[] = [];
  let looks = 0;
  let underWay = 0;
  let answer: Promise<void> | undefined;
  let statusAnswer: Promise<void> | undefined;
  let sequence = 1;
  let asked: number[] = [];
  let outcome: Attachability['outcome'] = 'attachable';
  let problem: Problem | undefined;
  /** Looks for processes and at one count as one look: what is asked while another answer is awaited is a second. */
  const begins = () => assert.equal(++underWay, 1, 'two looks at a time');
  const engine = {
    async processes() {
      begins();
      looks++;
      await answer;
      underWay--;
      return running;
    },
    async status(pid: number) {
      begins();
      const said = { ...status(live, pid), sequence };
      await statusAnswer;
      underWay--;
      return said;
    },
    attachability(pids: number[]) {
      asked.push(...pids);
      return Promise.resolve(pids.map((pid) => ({ pid, outcome, ...(problem && { problem }) })));
    },
  } as unknown as AsyncEngine;
  let store: Store;
  let messages: string[];
  let watch: ReturnType<typeof watchProcesses>;

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    [running, live, looks, underWay, answer, statusAnswer, messages, sequence] = [
      [],
      [],
      0,
      0,
      undefined,
      undefined,
      [],
      1,
    ];
    store = new Store();
    const log = (message: string) => void messages.push(message);
    const folders = () => ['/project'];
    watch = watchProcesses(
      () => engine,
      store,
      folders,
      () => true,
      () => undefined,
      log,
    );
  });
  afterEach(() => {
    watch.dispose();
    mock.timers.reset();
  });
  const seconds = async (count: number) => {
    for (let second = 0; second < count; second++) {
      mock.timers.tick(1000);
      await turns();
    }
  };

  it('are looked at once a second, and not again while a look takes longer', async () => {
    await seconds(10);
    assert.ok(looks >= 9 && looks <= 11, `${looks} looks in 10 seconds`);
    let finish = () => undefined as void;
    answer = new Promise((resolve) => (finish = resolve));
    looks = 0;
    await seconds(10);
    assert.equal(looks, 1);
    finish();
    await turns();
    await seconds(1);
    assert.equal(looks, 2);
  });

  it('are left alone while an operation is under way, which reports by itself', async () => {
    await seconds(1);
    store.dispatch({ type: 'operation-started', id: 1, action: 'save', files: [file] });
    looks = 0;
    await seconds(5);
    assert.equal(looks, 0);
  });

  it('are looked at one after the other, however many ask at once', async () => {
    running = [process(7)];
    let finish = () => undefined as void;
    statusAnswer = new Promise((resolve) => (finish = resolve));
    const first = watch.look();
    await turns();
    const second = watch.look();
    finish();
    // The third is asked for when the first has just ended and the second is under way.
    await first;
    await Promise.all([second, watch.look(), watch.look()]);
    assert.equal(looks, 4);
    assert.deepEqual(messages, []);
  });

  it('are shown with what was read of them during an operation, once that has ended', async () => {
    running = [process(7)];
    await seconds(1);
    let finish = () => undefined as void;
    statusAnswer = new Promise((resolve) => (finish = resolve));
    [live, sequence] = [[patchedFunction()], 2];
    const look = watch.look();
    await turns();
    store.dispatch({ type: 'operation-started', id: 1, action: 'save', files: [file] });
    finish();
    await look;
    store.dispatch({ type: 'operation-superseded', id: 1 });
    await seconds(2);
    const [shown] = [...store.state.statuses.values()];
    assert.equal(shown!.functions.length, 1);
  });

  it('keep what an operation reported when an earlier answer comes after it', async () => {
    running = [process(7)];
    await seconds(1);
    let finish = () => undefined as void;
    statusAnswer = new Promise((resolve) => (finish = resolve));
    [live, sequence] = [[patchedFunction({ version: 2 })], 2];
    const look = watch.look();
    await turns();
    const [key] = [...store.state.statuses.keys()];
    const newer = { ...status([patchedFunction({ version: 3 })], 7), sequence: 5 };
    store.dispatch({ type: 'operation-started', id: 1, action: 'save', files: [file] });
    store.dispatch({
      type: 'operation-finished',
      ...{
        id: 1,
        at: 1,
        since: 1,
        edited: [],
        result: result(),
        statuses: new Map([[key!, newer]]),
        texts: new Map(),
        whole: true,
      },
    });
    finish();
    await look;
    assert.equal(store.state.statuses.get(key!)!.functions[0]!.version, 3);
  });

  it('leave nothing behind when they end, however many there were', async () => {
    const patched = (pid: number) => {
      const statuses = new Map([[`${pid}@${1000 + pid}#${pid + 1}`, status([patchedFunction()], pid)]]);
      const texts = new Map([[file, `text ${pid}`]]);
      const ended = result({ processes: [{ pid, exe: '/project/service', functions: [patchedFunction()] }] });
      store.dispatch({ type: 'matches', file, processes: [process(pid)] });
      store.dispatch({ type: 'operation-started', id: pid, action: 'save', files: [file] });
      store.dispatch({
        type: 'operation-finished',
        ...{ id: pid, at: pid, since: pid, edited: [], result: ended, statuses, texts, whole: true },
      });
    };
    for (let pid = 1; pid <= 300; pid++) {
      [running, live] = [[process(pid)], []];
      await seconds(1);
      assert.equal(store.state.statuses.size, 1);
      live = [patchedFunction()];
      patched(pid);
      assert.equal(store.state.delivered.size, 1);
    }
    running = [];
    await seconds(1);
    const { history, lost } = store.state;
    assert.ok(history.length <= 200, 'the history is a list of the last ones');
    assert.deepEqual(
      lost.map(({ pid }) => pid),
      [300],
    );
    assert.deepEqual(
      { ...store.state, history: [], lost: [] },
      { ...initialState, processes: [], matches: new Map([[file, []]]) },
    );
    assert.deepEqual(messages, []);
  });

  describe('that have no runtime', () => {
    const plain = (pid: number) => process(pid, { state: 'no-runtime', runtime: undefined });
    beforeEach(() => ([asked, outcome, problem] = [[], 'attachable', undefined]));

    it('are followed too, and asked now and then whether they can be attached to', async () => {
      running = [plain(7)];
      await seconds(4);
      assert.deepEqual(store.state.unprepared, [{ ...plain(7), obstacle: undefined }]);
      assert.deepEqual(store.state.processes, []);
      assert.deepEqual(asked, [7]);
      [outcome, problem] = ['refused', { code: 'debugged', message: 'gdb has it', pid: 7 }];
      await seconds(5);
      assert.deepEqual(store.state.unprepared, [{ ...plain(7), obstacle: problem }]);
      [outcome, problem] = ['attachable', undefined];
      await watch.look();
      assert.deepEqual(
        store.state.unprepared.map(({ obstacle }) => obstacle),
        [undefined],
      );
      running = [];
      await seconds(1);
      assert.deepEqual(store.state.unprepared, []);
    });

    it('are asked about once more when one that was attached to runs another program', async () => {
      running = [process(7)];
      await seconds(1);
      assert.deepEqual(asked, []);
      running = [plain(7)];
      await seconds(1);
      assert.deepEqual(asked, [7]);
    });

    it('are left out while the runtime is about to announce itself, and when a package brought them', async () => {
      outcome = 'ready';
      running = [plain(7), { ...plain(8), exe: '/project/node_modules/esbuild/bin/esbuild' }];
      await seconds(1);
      assert.deepEqual(store.state.unprepared, []);
      assert.deepEqual(asked, [7]);
    });
  });

  it('that cannot be read are one line in the log, not one a second', async () => {
    engine.status = () => Promise.reject(new Error('no permission'));
    running = [process(7)];
    await seconds(5);
    assert.deepEqual(messages, ['status of service (7): Error: no permission']);
  });
});
