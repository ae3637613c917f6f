// What becomes of an operation whose circumstances change while it is prepared. The engine is the test's own.
import { strict as assert } from 'node:assert';
import type { AsyncEngine } from '../../extension/workbench/engine_thread/client';
import { Operations, type Surroundings } from '../../extension/workbench/session/operations';
import { Store } from '../../extension/workbench/state/store';
import { file, result } from './fixtures';

const surroundings = (more: Partial<Surroundings>): Surroundings => ({
  textOf: () => 'text',
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
          return 'text';
        },
      }),
    );
    await operations.saved([file]);
    await newer;
    assert.equal(compiled.length, 1);
    assert.equal(compiled[0]!.aborted, false);
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
});
