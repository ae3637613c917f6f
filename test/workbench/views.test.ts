// What the state looks like in the lenses above functions, in the tree and in the welcome view.
import { strict as assert } from 'node:assert';
import type { AheadReport, PatchableProcess } from '../../extension/engine/model/result';
import type { Event } from '../../extension/workbench/state/events';
import { processKey, type State, type Twin } from '../../extension/workbench/state/state';
import { contextOf } from '../../extension/workbench/views/context_values';
import { historyOf } from '../../extension/workbench/views/history_nodes';
import { lensesOf } from '../../extension/workbench/views/lens_content';
import type { TreeNode } from '../../extension/workbench/views/tree_node';
import { treeOf } from '../../extension/workbench/views/tree_nodes';
import {
  after,
  file,
  patched,
  patchedFunction,
  price,
  process,
  result,
  running,
  save,
  status,
} from './fixtures';

describe('lenses', () => {
  const titles = (...events: Event[]) => lensesOf(after(events), file, [price]).map((lens) => lens.title);

  it('are shown only while a process runs that was built from the file', () => {
    assert.deepEqual(titles(), []);
    assert.deepEqual(titles(...running), ['⚡ Hot Patch']);
  });

  it('tell version, time and threads of a patched function, and lead back and to its source', () => {
    assert.deepEqual(titles(...running, ...patched({ activeThreads: 2 })), [
      '⚡ Version 1 live in 84 ms',
      '2 threads in old code',
      'Revert',
      'Compare',
    ]);
  });

  it('say that an edit is compiled, until the text is another or is saved', () => {
    const ahead = (report: AheadReport | undefined): Event => ({ type: 'compiled-ahead', file, report });
    const changed = [
      { name: 'shop::price_of(long)', symbol: '_ZN4shop8price_ofEl', file, kind: 'changed' },
    ] as const;
    const ready = ahead({ outcome: 'ready', changed: [...changed], refusals: [] });
    const compiled = 'Compiled: live at the save';
    assert.deepEqual(titles(...running, ready), ['⚡ Hot Patch', compiled]);
    assert.deepEqual(titles(...running, ...patched(), ready).slice(0, 2), [
      '⚡ Version 1 live in 84 ms',
      compiled,
    ]);
    assert.deepEqual(titles(...running, ready, ahead(undefined)), ['⚡ Hot Patch']);
    assert.ok(!titles(...running, ready, ...patched()).includes(compiled));
    assert.deepEqual(titles(...running, ahead({ outcome: 'ready', changed: [], refusals: [] })), [
      '⚡ Hot Patch',
    ]);
  });

  it('say that a function is live before its file is confirmed, and those of other functions do not', () => {
    const live = { milliseconds: 71.4, functions: ['shop::price_of(long)'] };
    const saving = (functions: string[]): Event[] => [
      { type: 'operation-started', id: 9, action: 'save', files: [file] },
      { type: 'operation-step', id: 9, step: 'confirm', live: { ...live, functions } },
    ];
    const confirming = '⚡ live in 71 ms · confirming';
    assert.deepEqual(titles(...running, ...saving(live.functions)), [confirming]);
    assert.deepEqual(titles(...running, ...patched(), ...saving(live.functions)), [confirming]);
    assert.deepEqual(titles(...running, ...saving(['shop::order(long)'])), ['⚡ Hot Patch']);
  });

  it('of a function that is inlined say what it is live in, until its edit is taken back', () => {
    const host = { name: 'shop::order(long)', symbol: '_ZN4shop5orderEl', line: 50 };
    const edit = (before: number, hash: number, events: Event[]): Event[] => {
      const edited = [{ file, name: price.name, before, hash, change: 'a → b', into: ['shop::order'] }];
      return events.map((event) => (event.type === 'operation-finished' ? { ...event, edited } : event));
    };
    const first = edit(1, 2, patched(host));
    assert.deepEqual(titles(...running, ...first), [
      '⚡ live in 84 ms, inlined into shop::order',
      'Revert',
      'Compare',
    ]);
    const back = edit(2, 1, patched({ ...host, version: 2 }));
    assert.deepEqual(titles(...running, ...first, ...back), ['⚡ Hot Patch']);
  });

  it('of a function that was cloned are those of the function', () => {
    const clone = patchedFunction({
      name: 'shop::price_of(long) [clone .part.0]',
      symbol: '_ZN4shop8price_ofEl.part.0',
      address: '0x7',
      line: undefined,
    });
    const both = save(result(), [patchedFunction({ version: 3 }), clone]);
    assert.match(titles(...running, ...both)[0]!, /^⚡ Version 3 live in \d+ ms$/);
  });

  it('say above the file why it cannot be patched', () => {
    const report = {
      file,
      verdict: 'flags-differ',
      message: 'other flags',
      problems: [],
      timings: {},
    } as const;
    const check: Event = {
      type: 'check-finished',
      file,
      report: { ...report, problems: [] },
      text: '',
      at: 0,
      statuses: new Map(),
    };
    assert.match(titles(...running, check)[0]!, /other flags/);
  });

  it('of overloads are told apart by their parameters', () => {
    const overload = patchedFunction({
      name: 'shop::price_of(long, int)',
      symbol: 'two',
      address: '0x2',
      version: 3,
    });
    const statusOfBoth: Event = {
      type: 'status',
      key: processKey(process()),
      status: status([patchedFunction(), overload]),
      answered: false,
    };
    assert.match(titles(...running, statusOfBoth)[0]!, /Version 1/);
  });
});

describe('the tree', () => {
  const flat = (nodes: readonly TreeNode[]): TreeNode[] =>
    nodes.flatMap((node) => [node, ...flat(node.children)]);
  const labels = (...events: Event[]) =>
    flat(treeOf(after(events))).map((node) => `${node.label}|${node.description ?? ''}`);

  it('leads from the process to each mprotect call', () => {
    assert.deepEqual(labels(...running, ...patched()), [
      'service|pid 4242',
      'service|program',
      'shop::price_of|version 1 · verified',
      'Trampoline 0x555555556160|jmp-rel32 → 0x555500001000',
      'Before|55 48 89 e5 53',
      'After|e9 9b ae aa ff',
      'Page 0x555555556000|4096 bytes',
      'PROT_READ|PROT_WRITE|PROT_EXEC → 0|',
      'PROT_READ|PROT_EXEC → 0|',
      'Versions|2',
      'Original|1 thread · 120 bytes · 0x555555556160',
      'Version 1|runs now · 130 bytes · 0x555500001000',
      'No thread in old code|every call runs this version',
    ]);
  });

  it('says of each mprotect call what it was given and returned, as it is written in C', () => {
    const calls = flat(treeOf(after([...running, ...patched()]))).filter((node) => node.kind === 'call');
    assert.deepEqual(
      calls.map(({ tooltip }) => tooltip),
      [
        '`mprotect(…, PROT_READ|PROT_WRITE|PROT_EXEC)` returned 0.',
        '`mprotect(…, PROT_READ|PROT_EXEC)` returned 0.',
      ],
    );
  });

  it('shows a failed call in red, with the name of its errno and what it means', () => {
    const calls = [{ protection: 'PROT_READ|PROT_WRITE|PROT_EXEC', result: -1, errno: 13 }];
    const pages = [{ start: '0x1000', length: 4096, calls }];
    const nodes = flat(treeOf(after([...running, ...patched({ pages })])));
    const call = nodes.find((node) => node.kind === 'call')!;
    assert.equal(call.description, 'EACCES: permission denied');
    assert.equal(call.color, 'error');
  });

  const rows = (twins: State['twins'], ...processes: PatchableProcess[]) => {
    const state = after([
      { type: 'processes', processes },
      { type: 'twins', twins },
    ]);
    return treeOf(state).map(({ description }) => description);
  };

  it('tells processes of one program apart by what no other has: arguments, port, launch, folder', () => {
    const [one, two] = [process(1), process(2)];
    const other = process(2, { commandLine: ['./service', '9090'] });
    assert.deepEqual(rows(new Map(), one), ['pid 1']);
    assert.deepEqual(rows(new Map(), one, other), ['8080 · pid 1', '9090 · pid 2']);
    const twins = (first: Twin, second: Twin) =>
      new Map([
        [processKey(one), first],
        [processKey(two), second],
      ]);
    assert.deepEqual(rows(twins({ ports: [80] }, { ports: [81, 82] }), one, two), [
      'port 80 · pid 1',
      'port 81, port 82 · pid 2',
    ]);
    const named = twins({ ports: [80], name: 'east' }, { ports: [80], name: 'west' });
    assert.deepEqual(rows(named, one, two), ['east · pid 1', 'west · pid 2']);
    assert.deepEqual(rows(new Map(), one, process(2, { cwd: '/tmp' })), ['/project · pid 1', '/tmp · pid 2']);
    assert.deepEqual(rows(new Map(), one, two), ['pid 1', 'pid 2']);
    assert.deepEqual(rows(named, one, two, process(3, { commandLine: ['./service', '9090'] })), [
      'east · pid 1',
      'west · pid 2',
      '9090 · pid 3',
    ]);
  });

  it('says first what a narrow side bar must not cut off', () => {
    const keys = [processKey(process(1))];
    const chosen: Event = { type: 'selection', selection: { kind: 'processes', keys } };
    const silent: Event = { type: 'silent', key: processKey(process(1)) };
    const of = (...events: Event[]) =>
      treeOf(after([{ type: 'processes', processes: [process(1)] }, ...events]))[0]!.description;
    assert.equal(of(chosen), 'selected · pid 1');
    assert.equal(of(silent), 'does not answer · pid 1');
    const plain = { ...process(1, { runtime: undefined }), obstacle: undefined };
    assert.equal(of({ type: 'processes', processes: [], unprepared: [plain] }), 'not attached · pid 1');
    const refused = result({
      outcome: 'refused',
      refusals: [{ code: 'layout-changed', message: 'moved', file }],
    });
    assert.match(historyOf(after([...running, ...save(refused)]))[0]!.description, /^refused · /);
    const one = { pid: 4242, exe: '/project/build/service', functions: [] };
    const migrated = result({ processes: [{ ...one, migrated: [{ type: 'shop::Item', objects: 3 }] }] });
    assert.match(
      historyOf(after([...running, ...save(migrated)]))[0]!.description,
      /^3 objects of shop::Item migrated · /,
    );
  });

  it('lists a process that cannot be read with the reason, and the others as ever', () => {
    const problem = { code: 'unreadable-file' as const, message: 'The notes of /project/service never end' };
    const processes = [process(1, { problem }), process(2)];
    const [bad, good] = treeOf(after([{ type: 'processes', processes }]));
    assert.equal(bad!.description, 'cannot be read · pid 1');
    assert.deepEqual([bad!.icon, bad!.color], ['warning', 'warning']);
    assert.match(bad!.tooltip!, /^The notes of \/project\/service never end\./);
    assert.equal(good!.description, 'pid 2');
  });

  it('keeps its ids from state to state', () => {
    const ids = (version: number) =>
      flat(treeOf(after([...running, ...patched({ version })]))).map((node) => node.id);
    assert.deepEqual(ids(1), ids(0));
    assert.equal(new Set(ids(1)).size, ids(1).length);
  });
});

describe('the welcome view', () => {
  const welcome = (...events: Event[]) => contextOf(after(events))['hotPatch.welcome'];

  it('explains the first thing that is missing', () => {
    const none: Event = { type: 'processes', processes: [] };
    assert.equal(welcome({ type: 'environment', environment: { platform: false } }), 'platform');
    assert.equal(welcome({ type: 'environment', environment: { trusted: false } }), 'untrusted');
    assert.equal(welcome(none, { type: 'environment', environment: { database: false } }), 'database');
    assert.equal(welcome(none, { type: 'environment', environment: { database: true } }), 'process');
    const plain = { ...process(7, { state: 'no-runtime', runtime: undefined }), obstacle: undefined };
    assert.equal(welcome({ type: 'processes', processes: [], unprepared: [plain] }), 'none');
    assert.equal(welcome(...running), 'none');
  });
});
