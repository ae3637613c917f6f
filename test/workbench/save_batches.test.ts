// Which saves are one patch, and that none is lost: slow ones, replaced ones, those that VS Code announces to nobody.
import { strict as assert } from 'node:assert';
import { mock } from 'node:test';
import { SaveBatches } from '../../extension/workbench/session/save_batches';
import { counts } from '../../extension/workbench/session/save_policy';

const explicit = { explicit: true, dirty: true };
const automatic = { explicit: false, dirty: true };

describe('saves that VS Code reports', () => {
  let saved: string[][];
  let since: number[];
  let batches: SaveBatches;
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    [saved, since] = [[], []];
    batches = new SaveBatches(
      (_file, save) => counts(save, 'manual'),
      (files, at) => {
        saved.push([...files].sort());
        since.push(at);
      },
    );
  });
  afterEach(() => {
    batches.dispose();
    mock.timers.reset();
  });
  const wait = (milliseconds: number) => mock.timers.tick(milliseconds);

  it('together are one patch', () => {
    batches.willSave('a.cc', explicit);
    batches.willSave('b.cc', explicit);
    batches.didSave('a.cc');
    wait(500);
    batches.didSave('b.cc');
    wait(1000);
    assert.deepEqual(saved, [['a.cc', 'b.cc']]);
  });

  it('are told with when the first of them began, which is before it is written', () => {
    const begun = performance.now();
    batches.willSave('a.cc', explicit);
    const later = performance.now();
    while (performance.now() === later);
    batches.willSave('b.cc', explicit);
    batches.didSave('b.cc');
    batches.didSave('a.cc');
    wait(1000);
    assert.ok(since[0]! >= begun && since[0]! <= later);
  });

  it('are patched also when their formatter takes longer than the others wait for it', () => {
    batches.willSave('fast.cc', explicit);
    batches.willSave('slow.cc', explicit);
    batches.didSave('fast.cc');
    wait(5000);
    assert.deepEqual(saved, [['fast.cc']]);
    batches.didSave('slow.cc');
    wait(20);
    assert.deepEqual(saved, [['fast.cc'], ['slow.cc']]);
  });

  it('that are never written hold up others once and not again', () => {
    batches.willSave('cancelled.cc', explicit);
    batches.willSave('a.cc', explicit);
    batches.didSave('a.cc');
    wait(1000);
    batches.willSave('a.cc', explicit);
    batches.didSave('a.cc');
    wait(20);
    assert.deepEqual(saved, [['a.cc'], ['a.cc']]);
  });

  it('without formatting, which are announced to nobody, are explicit', () => {
    batches.didSave('a.cc');
    wait(20);
    assert.deepEqual(saved, [['a.cc']]);
  });

  it('by auto-save do not patch', () => {
    batches.willSave('a.cc', automatic);
    batches.didSave('a.cc');
    wait(2000);
    assert.deepEqual(saved, []);
  });

  it('by Ctrl+S are not lost when an auto-save takes their place before they are written', () => {
    batches.willSave('a.cc', explicit);
    batches.willSave('a.cc', automatic);
    batches.didSave('a.cc');
    wait(20);
    assert.deepEqual(saved, [['a.cc']]);
  });

  it('by Ctrl+S while an auto-save is being written count, though VS Code begins no second save', async () => {
    batches.willSave('a.cc', automatic);
    await batches.explicitly('a.cc', () => Promise.resolve(batches.didSave('a.cc')));
    wait(20);
    assert.deepEqual(saved, [['a.cc']]);
  });

  it('by Ctrl+S count also when the auto-save begins in the same moment', async () => {
    await batches.explicitly('a.cc', () => {
      batches.willSave('a.cc', automatic);
      batches.didSave('a.cc');
      return Promise.resolve();
    });
    wait(20);
    batches.willSave('a.cc', automatic);
    batches.didSave('a.cc');
    wait(20);
    assert.deepEqual(saved, [['a.cc']]);
  });
});
