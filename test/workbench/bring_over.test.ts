// A program that is started again while it is looked at: it has no runtime in its first moments, and counts as another
// process once it has. The clock is the test's own; restart.test.ts has real programs.
import { strict as assert } from 'node:assert';
import { stat } from 'node:fs/promises';
import { mock } from 'node:test';
import type { PatchableProcess } from '../../extension/engine/model/result';
import { offerToBringOver, type BringOver } from '../../extension/workbench/session/bring_over';
import type { PatchOrder } from '../../extension/workbench/session/operations';
import { Store } from '../../extension/workbench/state/store';
import { processKey } from '../../extension/workbench/state/state';
import { file, patched, patchedFunction, process as processLike, result, running, status } from './fixtures';

/** What is asked of real processes is this one's. */
const { pid } = process;
/** Until what reads of the process was done has been done, and what follows from it. */
const turns = async () => {
  for (let turn = 0; turn < 4; turn++) await stat(`/proc/${pid}/exe`);
};

describe('a program that is started again', () => {
  let store: Store;
  let bringOver: BringOver;
  let orders: PatchOrder[];
  let questions: { pid: number; isRestart: boolean }[];

  const ofTest = (startTime: number, more: Partial<PatchableProcess> = {}) =>
    processLike(pid, { startTime, ...more });
  const plain = (startTime: number) => ({
    ...ofTest(startTime, { state: 'no-runtime', runtime: undefined }),
    obstacle: undefined,
  });
  const see = async (processes: PatchableProcess[], unprepared: ReturnType<typeof plain>[] = []) => {
    store.dispatch({ type: 'processes', processes, unprepared });
    await turns();
  };

  beforeEach(async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    [orders, questions] = [[], []];
    store = new Store();
    bringOver = offerToBringOver(
      store,
      {
        patch: (order) => {
          orders.push(order);
          return Promise.resolve(result());
        },
      },
      {
        isTakenCareOf: () => false,
        mayAttach: () => true,
        isWanted: (one, _files, isRestart) => {
          questions.push({ pid: one.pid, isRestart });
          return Promise.resolve(isRestart);
        },
      },
    );
    for (const event of running) store.dispatch(event);
    await see([ofTest(1)]);
    const statuses = new Map([[processKey(ofTest(1)), status([patchedFunction()], pid)]]);
    for (const event of patched())
      store.dispatch(event.type === 'operation-finished' ? { ...event, statuses } : event);
  });
  afterEach(() => {
    bringOver.dispose();
    mock.timers.reset();
  });

  it('by its user has its patches without a question, also when it was seen before its runtime was there', async () => {
    bringOver.restarted('/project/build/service', []);
    await see([]);
    await see([], [plain(2)]);
    await see([ofTest(2)]);
    assert.deepEqual(orders, [{ action: 'bring-over', files: [file], pids: [pid] }]);
    assert.deepEqual(questions, [{ pid, isRestart: true }]);
    mock.timers.tick(10_000);
    await turns();
    assert.equal(orders.length, 1);
  });

  it('by somebody else is asked about, once', async () => {
    await see([]);
    await see([], [plain(2)]);
    await see([ofTest(2)]);
    assert.deepEqual([questions, orders], [[{ pid, isRestart: false }], []]);
  });

  it('without the runtime is attached to once it is certain that it has none', async () => {
    bringOver.restarted('/project/build/service', []);
    await see([]);
    await see([], [plain(2)]);
    assert.deepEqual(questions, []);
    mock.timers.tick(10_000);
    await turns();
    assert.deepEqual(orders, [{ action: 'bring-over', files: [file], pids: [pid], attachTo: [pid] }]);
  });
});
