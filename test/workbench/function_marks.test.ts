// Which functions are marked in the margin, whatever is known of their sources and in whatever order it became known.
import { strict as assert } from 'node:assert';
import type { Event } from '../../extension/workbench/state/events';
import { whatRuns } from '../../extension/workbench/state/checked_files';
import { patchedFunctions, pendingOf, runningSource } from '../../extension/workbench/state/queries';
import { processKey } from '../../extension/workbench/state/state';
import { marksOf } from '../../extension/workbench/views/function_marks';
import { after, file, patched, patchedFunction, price, process, running, status } from './fixtures';

describe('marks in the margin', () => {
  const kinds = (hash: number, ...events: Event[]) =>
    marksOf(after(events), file, [{ ...price, hash }], () => [{ ...price, hash: 1 }]).map(
      (mark) => mark.kind,
    );

  it('show a patched function, and one that differs from what runs', () => {
    assert.deepEqual(kinds(1, ...running, ...patched()), ['live']);
    assert.deepEqual(kinds(2, ...running, ...patched()), ['differs']);
  });

  it('show what is live before its file is confirmed, until other text is typed', () => {
    const live = { milliseconds: 71, functions: ['shop::price_of(long)'] };
    const saving: Event[] = [
      { type: 'operation-started', id: 9, action: 'save', files: [file] },
      { type: 'operation-step', id: 9, step: 'confirm', live },
    ];
    const state = after([...running, ...patched(), ...saving]);
    const kindsOf = (isDirty: boolean) =>
      marksOf(state, file, [{ ...price, hash: 2 }], () => [price], isDirty).map(({ kind }) => kind);
    assert.deepEqual(kindsOf(false), ['live']);
    assert.deepEqual(kindsOf(true), ['differs']);
  });

  const read = (version: number, sequence: number): Event => ({
    type: 'status',
    key: processKey(process()),
    status: { ...status([patchedFunction({ version })]), sequence },
    answered: false,
  });
  const edited = (version: number, sequence: number): Event => ({
    type: 'check-finished',
    ...{ file, text: 'text', at: 2e12 },
    statuses: new Map([[processKey(process()), { ...status([patchedFunction({ version })]), sequence }]]),
    report: {
      ...{ file, verdict: 'edited', message: '', problems: [], timings: {} },
      changed: [{ name: 'shop::price_of(long)', symbol: '', file, kind: 'changed' }],
    },
  });

  it('do not take a text for the original because no status was read when it became live', () => {
    const [start, end] = patched();
    const unread = [...running, start!, { ...end, statuses: new Map() } as Event];
    assert.deepEqual(kinds(2, ...unread, read(1, 2), read(0, 3), edited(0, 3)), ['differs']);
    assert.equal(pendingOf(after(unread))[0]!.written.report, undefined);
  });

  it('know the original also when a comparison tells first of the version that took its place', () => {
    const ready = (text: string, version: number, sequence: number): Event =>
      ({ ...edited(version, sequence), report: whatRuns(file), text, at: sequence }) as Event;
    const [start, end] = patched({}, 'new text');
    const state = after([...running, ready('old text', 0, 1), start!, ready('new text', 1, 2), end!]);
    const [one] = patchedFunctions(after([read(0, 3)], state));
    assert.equal(runningSource(state, file, one!)?.text, 'old text');
  });

  it('show what a comparison found in the file, which the editor has not read again yet', () => {
    const original: Event = { ...edited(0, 1), report: { ...whatRuns(file) } } as Event;
    assert.deepEqual(kinds(1, ...running, original, ...patched(), read(0, 2)), []);
    assert.deepEqual(kinds(1, ...running, original, ...patched(), read(0, 2), edited(0, 2)), ['differs']);
    assert.deepEqual(kinds(1, ...running, original, ...patched(), read(0, 2), edited(1, 1)), []);
  });

  it('show an edit of a function that was never patched once the file was found to be what runs', () => {
    const report = { file, verdict: 'ready', message: '', problems: [], timings: {} } as const;
    const check: Event = {
      type: 'check-finished',
      file,
      report: { ...report, problems: [] },
      text: 'text',
      at: 0,
      statuses: new Map(),
    };
    assert.deepEqual(kinds(2, ...running), []);
    assert.deepEqual(kinds(1, ...running, check), []);
    assert.deepEqual(kinds(2, ...running, check), ['differs']);
  });
});
