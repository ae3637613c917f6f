// What the status bar says in each state, from reports to words. The same states by real causes: indicator.test.ts.
import { strict as assert } from 'node:assert';
import type { CheckReport, Problem } from '../../extension/engine/model/result';
import type { Event } from '../../extension/workbench/state/events';
import { processKey } from '../../extension/workbench/state/state';
import { indicatorOf, olderTroubles } from '../../extension/workbench/views/indicator';
import { statusBarContent } from '../../extension/workbench/views/status_bar_content';
import { after, file, patched, patchedFunction, process, result, running, save, status } from './fixtures';

const said = (...events: Event[]) => statusBarContent(indicatorOf(after(events))).text;
const refusal = {
  code: 'layout-changed',
  message: 'struct Customer has another size',
  file,
  line: 12,
} as const;
const error = { severity: 'error', message: "expected ';'", file, line: 3, column: 9 } as const;
const failed = { code: 'compile-failed', message: 'The compiler reported errors' } as const;

function checked(verdict: CheckReport['verdict']): Event {
  const report = { file, verdict, message: 'why', problems: [], timings: {} };
  return { type: 'check-finished', file, report, text: 'text', at: 0, statuses: new Map() };
}

describe('the status bar, of functions that are live ahead of their file,', () => {
  const started = { type: 'operation-started', id: 1, action: 'save', files: [file] } as const;
  it('says when they are, while the file is still compiled', () => {
    assert.match(
      said(started, {
        type: 'operation-step',
        id: 1,
        step: 'confirm',
        live: { milliseconds: 118, functions: ['f'] },
      }),
      /live in 118 ms · confirming/,
    );
  });
  it('says what came of them', () => {
    const firstLight = { outcome: 'confirmed', live: 118.2, exact: 1902 } as const;
    assert.match(
      said(...running, ...save(result({ firstLight }))),
      /live in 118 ms · confirmed after 1\.9 s/,
    );
  });
  it('says when optimised code of the whole file took their place', () => {
    const firstLight = { outcome: 'replaced', live: 118.2, exact: 1902 } as const;
    assert.match(
      said(...running, ...save(result({ firstLight }))),
      /live in 118 ms · exact code after 1\.9 s/,
    );
  });
  it('says nothing of those that were taken back', () => {
    const firstLight = { outcome: 'withdrawn', live: 118.2, exact: 1902 } as const;
    assert.doesNotMatch(
      said(...save({ ...result({ outcome: 'refused', refusals: [refusal] }), firstLight })),
      /live/,
    );
  });
});

describe('the status bar', () => {
  it('says that it works on Linux only', () => {
    assert.match(said({ type: 'environment', environment: { platform: false } }), /Linux only/);
  });
  it('says that the workspace is not trusted', () => {
    assert.match(said({ type: 'environment', environment: { trusted: false } }), /restricted/);
  });
  it('says that there is no compile database', () => {
    assert.match(said({ type: 'environment', environment: { database: false } }), /no compile_commands/);
  });
  it('says that there is no process', () => {
    assert.match(said({ type: 'processes', processes: [] }, { type: 'active-file', file }), /no process/);
  });
  describe('of a process without the runtime', () => {
    const plain = process(7, { state: 'no-runtime', runtime: undefined });
    const seen = (obstacle?: Problem): Event[] => [
      { type: 'active-file', file },
      { type: 'matches', file, processes: [plain] },
      { type: 'processes', processes: [], unprepared: [{ ...plain, obstacle }] },
    ];
    const missing = { code: 'no-runtime', message: 'it has no runtime', pid: 7 } as const;
    const yama = { code: 'yama', message: 'only its parents may', pid: 7 } as const;

    it('says that it is not attached', () => {
      assert.match(said(...seen()), /service \(7\) · not attached/);
    });
    it('says so, and not that it was refused, after a save', () => {
      const state = after([...seen(), ...save(result({ outcome: 'failed', refusals: [missing] }))]);
      const { text, level } = statusBarContent(indicatorOf(state));
      assert.match(text, /not attached/);
      assert.equal(level, 'normal');
      assert.deepEqual([state.history, state.reports], [[], []]);
    });
    it('says why it cannot be attached to, as seen before or as the save met it', () => {
      const before = statusBarContent(indicatorOf(after(seen(yama))));
      const met = [...seen(), ...save(result({ outcome: 'failed', refusals: [yama] }))];
      for (const { text, tooltip, level } of [before, statusBarContent(indicatorOf(after(met)))]) {
        assert.match(text, /not attached/);
        assert.match(tooltip, /only its parents may[^]*ptrace_scope/);
        assert.equal(level, 'warning');
      }
    });
    it('says no longer that its predecessor has ended', () => {
      const gone: Event = { type: 'processes', processes: [] };
      assert.match(said(...running, ...patched(), gone), /service has ended/);
      assert.match(said(...running, ...patched(), gone, ...seen()), /service \(7\) · not attached/);
    });
    it('says that the predecessor in the same process has ended, seen on its way to another program', () => {
      const leaving = {
        ...process(4242),
        state: 'no-runtime',
        runtime: undefined,
        obstacle: undefined,
      } as const;
      const seenSo: Event = { type: 'processes', processes: [], unprepared: [leaving] };
      assert.match(said(...running, ...patched(), seenSo), /service has ended/);
    });
    it('forgets it when it ends', () => {
      assert.match(said(...seen(), { type: 'processes', processes: [] }), /no process/);
    });
  });
  it('names the program and its pid when a save would patch it', () => {
    assert.match(said(...running), /service \(4242\)/);
  });
  it('counts processes of one program', () => {
    const processes = [process(1), process(2)];
    assert.match(
      said(...running, { type: 'processes', processes }, { type: 'matches', file, processes }),
      /2 × service/,
    );
  });
  it('says that the process is of another user', () => {
    const processes = [{ ...process(1), state: 'other-user' as const }];
    const seen: Event = { type: 'matches', file, processes };
    assert.match(
      said({ type: 'processes', processes: [] }, { type: 'active-file', file }, seen),
      /another user's process/,
    );
  });
  it('says that it is checking, and what the check found', () => {
    assert.match(said(...running, { type: 'check-started', file }), /checking/);
    assert.match(said(...running, checked('ready')), /service/);
    assert.match(said(...running, checked('flags-differ')), /flags differ/);
    assert.match(said(...running, checked('no-command')), /no compile command/);
    assert.match(said(...running, checked('other-build')), /other build/);
  });
  it('names the step while a save is under way', () => {
    const start: Event = { type: 'operation-started', id: 5, action: 'save', files: [file] };
    assert.match(said(...running, start, { type: 'operation-step', id: 5, step: 'compile' }), /Compiling/);
  });
  it('says in how many milliseconds a save was live', () => {
    assert.match(said(...running, ...patched()), /live in 84 ms/);
  });
  it('says that nothing had changed, or that the original is back', () => {
    assert.match(said(...running, ...save(result({ outcome: 'unchanged' }))), /unchanged/);
    assert.match(said(...running, ...save(result({ outcome: 'reverted' }))), /original in 84 ms/);
  });
  it('counts compile errors until the file compiles', () => {
    const broken = save(result({ outcome: 'failed', diagnostics: [error], refusals: [failed] }));
    assert.match(said(...running, ...broken), /1 compile error/);
    assert.match(said(...running, ...broken, ...patched()), /live/);
  });
  it('says that a save was refused until one is not', () => {
    const refused = save(result({ outcome: 'refused', refusals: [refusal] }));
    assert.match(said(...running, ...refused), /refused/);
    assert.match(said(...running, ...refused, ...save(result({ outcome: 'unchanged' }))), /unchanged/);
  });
  describe('after several saves', () => {
    const other = '/project/other.cc';
    const ofOther = (events: Event[]): Event[] =>
      events.map((event) => (event.type === 'operation-started' ? { ...event, files: [other] } : event));
    const refused = ofOther(
      save(result({ outcome: 'refused', files: [other], refusals: [{ ...refusal, file: other }] })),
    );

    it('shows the result of the last one, and older problems in the tooltip only', () => {
      const state = after([...running, ...refused, ...patched()]);
      const { text, tooltip, level } = statusBarContent(indicatorOf(state), olderTroubles(state));
      assert.match(text, /live in 84 ms/);
      assert.equal(level, 'normal');
      assert.match(tooltip, /An earlier save of other\.cc did not succeed/);
    });
    it('shows what the last one met also beside another file', () => {
      assert.match(said(...running, ...patched(), ...refused), /refused/);
      assert.deepEqual(olderTroubles(after([...running, ...patched(), ...refused])), []);
    });
    it('says nothing more of a refusal once its file was written otherwise', () => {
      const written = (at: number): Event => ({ type: 'source-changed', file: other, at });
      assert.match(said(...running, ...refused, written(1_789_999_998_000)), /refused/);
      assert.match(said(...running, ...refused, written(1_790_000_000_500)), /service \(4242\)/);
    });
    it('says nothing more of what the processes were once others run', () => {
      const several = [{ code: 'several-processes', message: 'which?' } as const];
      const before: Event[] = [
        { type: 'processes', processes: [] },
        { type: 'active-file', file },
      ];
      const asked = [...before, ...save(result({ outcome: 'failed', refusals: several }))];
      assert.match(said(...asked), /refused/);
      assert.match(said(...asked, ...running), /service/);
    });
  });
  it('counts an error once that two units with the same header report', () => {
    const header = { ...error, file: '/project/shape.h' };
    const errors = [header, { ...header, line: 9 }, header, { ...header, line: 9 }];
    const broken = save(result({ outcome: 'failed', diagnostics: errors, refusals: [failed] }));
    assert.match(said(...running, ...broken), /2 compile errors/);
  });
  it('says that a patched process has ended, until the next one runs', () => {
    const gone: Event = { type: 'processes', processes: [] };
    assert.match(said(...running, ...patched(), gone), /service has ended/);
    assert.match(said(...running, ...patched(), gone, { type: 'lost-dismissed' }), /no process/);
  });
  it('says that a runtime does not answer, until it does', () => {
    const key = processKey(process());
    const status = { pid: 4242, exe: '', sequence: 2, patches: [], functions: [patchedFunction()] };
    const silent: Event = { type: 'silent', key };
    assert.match(said(...running, ...patched(), silent), /does not answer/);
    assert.match(
      said(...running, ...patched(), silent, { type: 'status', key, status, answered: true }),
      /live/,
    );
  });
  it('shows nothing of a save that a newer one replaced', () => {
    const start: Event = { type: 'operation-started', id: 5, action: 'save', files: [file] };
    assert.match(said(...running, start, { type: 'operation-superseded', id: 5 }), /service \(4242\)/);
  });
  it('says no longer that a save is live when another window took it back', () => {
    const read = (version: number): Event => ({
      type: 'status',
      key: processKey(process()),
      status: status([patchedFunction({ version })]),
      answered: true,
    });
    assert.match(said(...running, ...patched(), read(1)), /live in 84 ms/);
    assert.match(said(...running, ...patched(), read(0)), /service \(4242\)/);
  });
  it('no longer says of an earlier save that it is live when the last one was given up', () => {
    const start: Event = { type: 'operation-started', id: 5, action: 'save', files: [file] };
    const given: Event = { type: 'operation-superseded', id: 5 };
    assert.match(said(...running, ...patched(), start, given), /service \(4242\)/);
  });
});
