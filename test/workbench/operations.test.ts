// What becomes of an operation whose circumstances change while it is prepared. The engine is the test's own.
import { strict as assert } from 'node:assert';
import type { AsyncEngine } from '../../extension/workbench/engine_thread/client';
import { Operations, type Surroundings } from '../../extension/workbench/session/operations';
import { Store } from '../../extension/workbench/state/store';
import { file, patchedFunction, process, result, status } from './fixtures';

const surroundings = (more: Partial<Surroundings>): Surroundings => ({
  textOf: () => Promise.resolve('text'),
  edited: { find: () => Promise.resolve([]), areLive: () => undefined },
  mayAttach: () => false,
  firstLight: () => true,
  lookForProcesses: () => Promise.resolve(),
  log: () => undefined,
  ...more,
});

describe('a save', () => {
  it('that a newer one replaces while its texts are read is not compiled', async () => {
    const compiled: (AbortSignal | undefined)[] = [];
    const engine = {
      patch: ({ signal }: { signal?: AbortSignal }) => {
        compiled.push(signal);
        return Promise.resolve(result());
      },
    } as unknown as AsyncEngine;
    let newer: Promise<void> | undefined;
    const operations: Operations = new Operations(
      () => engine,
      new Store(),
      surroundings({
        textOf: () => {
          newer ??= operations.saved([file]);
          return Promise.resolve('text');
        },
      }),
    );
    await operations.saved([file]);
    await newer;
    assert.equal(compiled.length, 1);
    assert.equal(compiled[0]!.aborted, false);
  });

  it('of a program that has only just started is known to be live in it', async () => {
    const store = new Store();
    const live = status([patchedFunction()]);
    const touched = { pid: 4242, exe: '', functions: live.functions };
    const engine = {
      patch: () => Promise.resolve(result({ processes: [touched] })),
      status: () => Promise.resolve(live),
    } as unknown as AsyncEngine;
    const lookForProcesses = () => {
      store.dispatch({ type: 'processes', processes: [process()] });
      return Promise.resolve();
    };
    const operations = new Operations(() => engine, store, surroundings({ lookForProcesses }));
    await operations.saved([file]);
    const { delivered, history } = store.state;
    assert.deepEqual(
      [...delivered.values()].map(({ text }) => text),
      ['text'],
    );
    assert.deepEqual(
      history[0]!.processes.map(({ pid }) => pid),
      [4242],
    );
  });

  it('goes on, and the next too, when a listener to its result fails', async () => {
    const engine = { patch: () => Promise.resolve(result()) } as unknown as AsyncEngine;
    const messages: string[] = [];
    const store = new Store();
    const operations = new Operations(
      () => engine,
      store,
      surroundings({ log: (message) => messages.push(message) }),
    );
    operations.onResult(() => {
      throw new Error('another extension failed');
    });
    await operations.saved([file]);
    await operations.saved([file]);
    assert.equal(store.state.operation, undefined);
    assert.equal(messages.filter((message) => message.includes('another extension failed')).length, 2);
  });

  it('tells its time from Ctrl+S on: while the file was written, and while another save was under way', async () => {
    const firstLight = { outcome: 'confirmed' as const, live: 10, exact: 40, functions: [] };
    let end = (): void => undefined;
    const shown: number[] = [];
    const engine = {
      patch: async ({ files, onProgress }: Parameters<AsyncEngine['patch']>[0]) => {
        if (files[0] !== file) await new Promise<void>((resolve) => (end = resolve));
        onProgress?.({ step: 'confirm', live: { milliseconds: 10, functions: [] } });
        return { ...result({ timings: { total: 40 } }), firstLight };
      },
    } as unknown as AsyncEngine;
    const store = new Store();
    store.subscribe(({ operation }) => {
      if (operation?.live) shown.push(operation.live.milliseconds);
    });
    const operations = new Operations(() => engine, store, surroundings({}));
    const other = operations.saved(['/project/other.cc']);
    const save = operations.saved([file], performance.now() - 500);
    await new Promise((resolve) => setImmediate(resolve));
    end();
    await Promise.all([other, save]);
    const { milliseconds, confirmed } = store.state.last!;
    assert.ok(milliseconds >= 510, `live in ${milliseconds} ms`);
    assert.ok(confirmed!.milliseconds >= 540, `confirmed after ${confirmed!.milliseconds} ms`);
    assert.ok(shown.at(-1)! >= 510, `shown ${shown.at(-1)} ms`);
  });
});
