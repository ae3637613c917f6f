// The order of operations: one at a time, the newest save wins, none is lost.
import { strict as assert } from 'node:assert';
import { OperationQueue, type SaveEnd } from '../../extension/workbench/session/operation_queue';

/** A patch that ends when the test says so, or when it is told to give up. */
class Patches {
  readonly started: string[][] = [];
  private finish: ((end: SaveEnd) => void)[] = [];
  readonly queue = new OperationQueue(
    (files, signal) => {
      this.started.push([...files]);
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve('withdrawn'));
        this.finish.push(resolve);
      });
    },
    (error) => this.errors.push(String(error)),
  );
  readonly errors: string[] = [];
  end(): void {
    this.finish.at(-1)!('done');
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('saves', () => {
  it('of a file that is being patched take the place of that patch', async () => {
    const patches = new Patches();
    const first = patches.queue.save(['a.cc']);
    const second = patches.queue.save(['a.cc']);
    await turn();
    assert.deepEqual(patches.started, [['a.cc'], ['a.cc']]);
    patches.end();
    await Promise.all([first, second]);
  });

  it('that were withdrawn are patched with the one that took their place', async () => {
    const patches = new Patches();
    const first = patches.queue.save(['a.cc', 'b.cc']);
    const second = patches.queue.save(['b.cc']);
    await turn();
    assert.deepEqual(patches.started[1]!.sort(), ['a.cc', 'b.cc']);
    patches.end();
    await Promise.all([first, second]);
  });

  it('of other files wait, and wait together', async () => {
    const patches = new Patches();
    const all = [patches.queue.save(['a.cc']), patches.queue.save(['b.cc']), patches.queue.save(['c.cc'])];
    await turn();
    assert.deepEqual(patches.started, [['a.cc']]);
    patches.end();
    await turn();
    assert.deepEqual(patches.started, [['a.cc'], ['b.cc', 'c.cc']]);
    patches.end();
    await Promise.all(all);
  });

  it('let a command wait for its turn', async () => {
    const patches = new Patches();
    const order: string[] = [];
    const saved = patches.queue.save(['a.cc']).then(() => order.push('saved'));
    const command = patches.queue.run(() => Promise.resolve(order.push('command')));
    await turn();
    assert.deepEqual(order, []);
    patches.end();
    await Promise.all([saved, command]);
    assert.deepEqual(order.sort(), ['command', 'saved']);
  });

  it('go on after a command that failed', async () => {
    const patches = new Patches();
    const failed = patches.queue.run(() => Promise.reject(new Error('no')));
    const saved = patches.queue.save(['a.cc']);
    await assert.rejects(failed, /no/);
    await turn();
    patches.end();
    await saved;
  });

  it('go on after a patch that threw, which it should not', async () => {
    const errors: unknown[] = [];
    const done: string[] = [];
    const queue = new OperationQueue(
      ([file]) => {
        if (file === 'bad.cc') throw new Error('a view failed');
        done.push(file!);
        return Promise.resolve('done');
      },
      (error) => errors.push(error),
    );
    await queue.save(['bad.cc']);
    await queue.save(['good.cc']);
    assert.deepEqual([done, errors.length], [['good.cc'], 1]);
  });

  it('that are cancelled end, and are not begun again by themselves', async () => {
    const patches = new Patches();
    const cancelled = patches.queue.save(['a.cc']);
    await turn();
    patches.queue.cancel();
    await cancelled;
    const next = patches.queue.save(['b.cc']);
    await turn();
    assert.deepEqual(patches.started, [['a.cc'], ['b.cc']]);
    patches.end();
    await next;
  });

  it('let a command be cancelled', async () => {
    const patches = new Patches();
    const command = patches.queue.run(
      (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('given up'))),
    );
    patches.queue.cancel();
    assert.equal(await command, 'given up');
  });
});
