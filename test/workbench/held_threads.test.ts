// What is said of threads that are held after a crash, from reports to words. The same by a real crash: held.test.ts.
import { strict as assert } from 'node:assert';
import type { HeldThread, HeldWay } from '../../extension/engine/model/held';
import type { Event } from '../../extension/workbench/state/events';
import { indicatorOf } from '../../extension/workbench/views/indicator';
import { lensesOf } from '../../extension/workbench/views/lens_content';
import { statusBarContent } from '../../extension/workbench/views/status_bar_content';
import { treeOf } from '../../extension/workbench/views/tree_nodes';
import { after, file, patched, process, running } from './fixtures';

const way = (kind: HeldWay['kind'], frames: number, more: Partial<HeldWay> = {}): HeldWay => ({
  ...{ kind, frames, meaning: `what ${kind} means.`, warnings: [] },
  ...more,
});
const crash = way('crash', 0);
const thread = (more: Partial<HeldThread> = {}): HeldThread => ({
  ...{ pid: process().pid, exe: process().exe, tid: 7, thread: 'game-loop', id: 1, at: 0 },
  ...{ signal: 'SIGSEGV', cause: 'null pointer (address 0x8)', ownFrame: 1, refused: [] },
  frames: [
    { address: '0x1', module: '/lib/libc.so.6', function: 'memcpy' },
    { address: '0x2', module: process().exe, function: 'shop::price_of(long)', file, line: 9 },
  ],
  ways: [way('call', 2), way('instruction', 0), crash],
  ...more,
});
const held = (...threads: HeldThread[]): Event => ({ type: 'held', threads });
const said = (...events: Event[]) => statusBarContent(indicatorOf(after(events))).text;

describe('a thread that is held after a crash', () => {
  it('is counted in the status bar before anything else, and is forgotten with its process', () => {
    assert.equal(said(...running, held(thread())), '$(debug-pause) 1 thread held');
    assert.equal(said(...running, held(thread(), thread({ tid: 8 }))), '$(debug-pause) 2 threads held');
    assert.doesNotMatch(said(...running, held(thread()), { type: 'processes', processes: [] }), /held/);
  });

  it('is a row of its process at the line of the code that is not a library, with its frames', () => {
    const [node] = treeOf(after([...running, held(thread({ ways: [crash] }))]))[0]!.children;
    assert.equal(node!.label, 'thread game-loop held at shop.cc:9');
    assert.equal(node!.description, 'SIGSEGV: null pointer (address 0x8)');
    assert.deepEqual([node!.file, node!.line, node!.children.length], [file, 9, 2]);
  });

  it('has lenses at its line for the ways that are offered, with what each means', () => {
    const warned = way('instruction', 0, { warnings: ['a lock stays locked.'] });
    const state = after([...running, held(thread({ ways: [warned, crash] }))]);
    const lenses = lensesOf(state, file, []).filter(({ line }) => line === 8);
    assert.deepEqual(
      lenses.map(({ title }) => title),
      [
        '$(debug-pause)\u00a0Thread game-loop held: SIGSEGV: null pointer (address 0x8)',
        'Retry the Instruction',
        'Let It Crash',
      ],
    );
    assert.equal(lenses[1]!.tooltip, 'what instruction means. Warning: a lock stays locked.');
  });

  const edits: [
    what: string,
    change: [first: number, last: number, atStart: boolean, breaks: number],
    line: number,
  ][] = [
    ['a line above it', [3, 3, false, 1], 9],
    ['a line before its own', [8, 8, true, 1], 9],
    ['in its own line', [8, 8, false, 1], 8],
    ['below it', [9, 12, false, 0], 8],
    ['over two lines above it, which are gone', [2, 4, true, 0], 6],
    ['over its own line', [6, 9, true, 0], 6],
  ];
  for (const [what, [first, last, endsAtStart, breaks], line] of edits)
    it(`stays at its line when somebody types ${what}`, () => {
      const typed: Event = { type: 'typed', file, changes: [{ first, last, endsAtStart, breaks }] };
      const lines = (...events: Event[]) =>
        lensesOf(after([...running, held(thread()), ...events]), file, [])
          .filter(({ title }) => title.includes('held'))
          .map((lens) => lens.line);
      assert.deepEqual(lines(typed), [line]);
      // One that is held anew is at the line of what runs.
      assert.deepEqual(lines(typed, held(thread({ id: 2 }))), [8]);
    });

  const saves: [what: string, more: Partial<HeldThread>, isOffered: boolean][] = [
    ['is offered', {}, true],
    ['is not, where that cannot be made', { ways: [way('call', 3), crash] }, false],
    ['is not, where the save came before', { at: Number.MAX_SAFE_INTEGER }, false],
    ['is not, where another was saved', { ownFrame: 0, ways: [way('call', 1), crash] }, false],
  ];
  for (const [what, more, isOffered] of saves)
    it(`once its function is saved the call ${what}`, () => {
      const text = said(...running, ...patched(), held(thread(more)));
      assert.equal(/saved: retry the call/.test(text), isOffered, text);
    });
});
