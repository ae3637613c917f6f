// What the reports come to in the one state: problems that are replaced, versions whose source is known, a history
// that can be gone back to.
import { strict as assert } from 'node:assert';
import type { Event } from '../../extension/workbench/state/events';
import { knownText, pendingOf } from '../../extension/workbench/state/queries';
import { processKey } from '../../extension/workbench/state/state';
import { Store } from '../../extension/workbench/state/store';
import { historyOf, stepsBackTo } from '../../extension/workbench/views/history_nodes';
import { problemItems } from '../../extension/workbench/views/problem_items';
import { after, file, patched, patchedFunction, process, result, running, save, status } from './fixtures';

describe('problems', () => {
  const error = { severity: 'error', message: "expected ';'", file, line: 3, column: 9 } as const;
  const header = { ...error, file: '/project/shop.h' };
  const broken = result({
    outcome: 'failed',
    diagnostics: [error, { ...error, severity: 'note', message: 'to match this' }, header],
    refusals: [{ code: 'compile-failed', message: 'The compiler reported errors' }],
  });

  it('carry the places of the compiler, notes with their message', () => {
    const [item, other] = problemItems(after([...running, ...save(broken)]));
    assert.deepEqual([item!.file, item!.start], [file, { line: 2, column: 8 }]);
    assert.equal(item!.notes[0]!.message, 'to match this');
    assert.equal(other!.file, '/project/shop.h');
  });

  it('of a file are gone when it compiles, also those in its headers', () => {
    assert.deepEqual(problemItems(after([...running, ...save(broken), ...patched()])), []);
  });

  it('of a refusal stand at the line that causes it and are gone with the process', () => {
    const refusals = [{ code: 'layout-changed', message: 'moved', file, line: 12, pid: 4242 } as const];
    const refused = [...running, ...save(result({ outcome: 'refused', refusals }))];
    const [item] = problemItems(after(refused));
    assert.deepEqual(
      [item!.start.line, item!.code, item!.severity],
      [11, { ours: 'layout-changed' }, 'error'],
    );
    assert.deepEqual(problemItems(after([...refused, { type: 'processes', processes: [] }])), []);
  });

  it('of a save that would be refused are warnings before it, as long as the text is the same', () => {
    const refusals = [{ code: 'layout-changed', message: 'moved', file, line: 12 } as const];
    const foreseen: Event = {
      type: 'compiled-ahead',
      file,
      report: { outcome: 'refused', changed: [], refusals: [...refusals] },
    };
    const [item] = problemItems(after([...running, foreseen]));
    assert.deepEqual([item!.start.line, item!.severity], [11, 'warning']);
    assert.match(item!.message, /^A save would be refused: moved/);
    const typed: Event = { type: 'compiled-ahead', file, report: undefined };
    assert.deepEqual(problemItems(after([...running, foreseen, typed])), []);
  });

  it('of how a file is compiled are gone when compile commands are looked up anew, others stay', () => {
    const refused = (code: 'untrusted-compile-database' | 'layout-changed') => [
      ...running,
      ...save(result({ outcome: 'refused', refusals: [{ code, message: 'no', file }] })),
      { type: 'commands-changed' } as const,
    ];
    assert.deepEqual(problemItems(after(refused('untrusted-compile-database'))), []);
    assert.equal(problemItems(after(refused('layout-changed'))).length, 1);
  });

  it('are not made of what the status bar says: that there is no process', () => {
    const refusals = [{ code: 'no-process', message: 'none' } as const];
    assert.deepEqual(
      problemItems(after([...running, ...save(result({ outcome: 'refused', refusals }))])),
      [],
    );
  });

  it('that two units report alike are listed once', () => {
    const twice = result({ outcome: 'failed', diagnostics: [header, header] });
    assert.equal(problemItems(after([...running, ...save(twice)])).length, 1);
  });
});

describe('files that were written since their program was built', () => {
  const written = (at: number): Event => ({ type: 'sources-written', files: new Map([[file, at]]) });
  const checked = (verdict: 'ready' | 'edited', at: number): Event => ({
    type: 'check-finished',
    ...{ file, text: 'text', at, statuses: new Map() },
    report: { file, verdict, message: '', problems: [], timings: {} },
  });
  const pending = (...events: Event[]) =>
    pendingOf(after([...running, ...events])).map(({ written: { report } }) => report?.verdict);

  it('are pending until a comparison finds that they are what runs', () => {
    assert.deepEqual(pending(), []);
    assert.deepEqual(pending(written(5)), [undefined]);
    assert.deepEqual(pending(written(5), checked('edited', 6)), ['edited']);
    assert.deepEqual(pending(written(5), checked('ready', 6)), []);
  });

  it('are not judged by a text that was read before', () => {
    assert.deepEqual(pending(written(5), checked('ready', 4)), [undefined]);
    assert.deepEqual(pending(written(5), checked('ready', 6), written(7)), [undefined]);
    assert.deepEqual(pending(written(5), checked('ready', 6), written(5)), []);
  });

  it('are not judged by a check that a save has overtaken', () => {
    const live = [...running, written(5), ...patched({}, 'new text')];
    const late = after([...live, checked('ready', 6)]);
    assert.equal(knownText(late, file), 'new text');
    assert.equal(knownText(after([...live, checked('ready', 2e12)]), file), 'text');
  });

  it('are not pending once a save made them live, and are after it was taken back', () => {
    assert.deepEqual(pending(written(5), ...patched()), []);
    const original = status([patchedFunction({ version: 0 })]);
    const reverted: Event[] = [
      { type: 'operation-started', id: 9, action: 'revert', files: [] },
      {
        type: 'operation-finished',
        ...{ id: 9, at: 2, since: 1, texts: new Map(), edited: [], whole: false },
        result: result({ outcome: 'reverted', files: [] }),
        statuses: new Map([[processKey(process()), original]]),
      },
    ];
    assert.deepEqual(pending(written(5), ...patched(), ...reverted), [undefined]);
  });

  it('are compared again when another window takes their patches back, or makes others live', () => {
    const read = (version: number): Event => ({
      type: 'status',
      key: processKey(process()),
      status: status([patchedFunction({ version })]),
      answered: true,
    });
    const live = [written(5), ...patched()];
    assert.deepEqual(pending(...live, read(1)), []);
    assert.deepEqual(pending(...live, read(0)), [undefined]);
    assert.deepEqual(pending(...live, read(2)), [undefined]);
  });

  it('are compared again when another process runs them, and forgotten with the last', () => {
    const ready = [written(5), checked('ready', 6)];
    assert.deepEqual(pending(...ready, { type: 'processes', processes: [process(), process(4243)] }), [
      undefined,
    ]);
    assert.deepEqual(pending(written(5), { type: 'processes', processes: [] }), []);
  });
});

describe('the history', () => {
  it('lists patches, not saves that changed nothing', () => {
    const state = after([
      ...running,
      ...patched(),
      ...save(result({ outcome: 'unchanged', timings: { total: 3 } })),
    ]);
    assert.equal(historyOf(state).length, 1);
    assert.match(historyOf(state)[0]!.label, /^shop::price_of$/);
  });

  it('leads back to the state after each patch, and no further once it is that state', () => {
    const first = after([...running, ...patched()]);
    const second = after(patched({ version: 2 }), first);
    assert.deepEqual(stepsBackTo(second, second.history[1]!), [
      { pid: 4242, functions: [{ address: '0x555555556160', version: 1 }] },
    ]);
    assert.deepEqual(
      historyOf(second).map((node) => node.kind),
      ['history.entry', 'history.restorable'],
    );
    const gone = after([{ type: 'processes', processes: [] }], second);
    assert.deepEqual(
      historyOf(gone).map((node) => node.kind),
      ['history.entry', 'history.entry'],
    );
  });
});

describe('a save of two processes', () => {
  const failure = { code: 'thread-unresponsive', message: 'busy', pid: 2 } as const;
  const processes = [process(1), process(2)];
  const [start, end] = save(
    result({
      outcome: 'failed',
      processes: [{ pid: 1, exe: '', functions: [patchedFunction()] }],
      refusals: [failure],
      changed: [{ name: 'shop::price_of(long)', symbol: '', file, kind: 'changed' }],
    }),
    [patchedFunction()],
    'new text',
    1,
  );
  const both: Event[] = [
    { type: 'processes', processes },
    { type: 'matches', file, processes },
    ...[start!, end!],
  ];

  it('that one took and the other did not is in the history as what it is, with the way back to it', () => {
    const state = after([...running, ...both]);
    const [node] = historyOf(state);
    assert.match(node!.description, /live in 1 of 2 processes/);
    const reverted: Event = {
      type: 'status',
      key: processKey(process(1)),
      status: status([patchedFunction({ version: 0 })], 1),
      answered: false,
    };
    assert.equal(historyOf(after([reverted], state))[0]!.kind, 'history.restorable');
  });

  it('leaves the source of the version that runs in the one', () => {
    const { delivered } = after([...running, ...both]);
    assert.deepEqual(
      [...delivered.values()].map(({ text }) => text),
      ['new text'],
    );
  });
});

describe('what a save says about other files', () => {
  it('is nothing: the text of a file that was patched earlier is not what runs because another was saved', () => {
    const other = '/project/other.cc';
    const [start, end] = save(result(), [patchedFunction({ file: other })]);
    const texts = new Map([
      [file, 'saved'],
      [other, 'edited since, and not saved into the process'],
    ]);
    const state = after([...running, start!, { ...end, texts } as Event]);
    assert.deepEqual([...state.checks.keys()], [file]);
  });
});

describe('the store', () => {
  it('tells every listener, also after one that fails', () => {
    const errors: unknown[] = [];
    const told: string[] = [];
    const store = new Store((error) => errors.push(error));
    store.subscribe(() => {
      throw new Error('a view failed');
    });
    store.subscribe(() => told.push('told'));
    store.dispatch({ type: 'active-file', file });
    assert.deepEqual([told, errors.length], [['told'], 1]);
  });
});
