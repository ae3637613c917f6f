// Everything that happens at a time: files that are written, saves, reverts, another window that patches, looks and
// comparisons. Whatever the order in which answers come, once it has come to rest margin, lens, tree and status bar say
// what runs. Engine, editor and clock are the test's own; the order is a seed's.
import { strict as assert } from 'node:assert';
import { mock } from 'node:test';
import type {
  LoadedPatch,
  PatchedFunction,
  PatchResult,
  ProcessStatus,
} from '../../extension/engine/model/result';
import type { AsyncEngine } from '../../extension/workbench/engine_thread/client';
import { compareFiles } from '../../extension/workbench/session/comparisons';
import { Operations } from '../../extension/workbench/session/operations';
import { watchPendingFiles } from '../../extension/workbench/session/pending_files';
import { watchProcesses } from '../../extension/workbench/session/process_watch';
import type { SourceFunction } from '../../extension/workbench/state/source_function';
import { patchedFunctions, pendingOf, runningSource } from '../../extension/workbench/state/queries';
import { processKey } from '../../extension/workbench/state/state';
import { Store } from '../../extension/workbench/state/store';
import { marksOf } from '../../extension/workbench/views/function_marks';
import { indicatorOf } from '../../extension/workbench/views/indicator';
import { lensesOf } from '../../extension/workbench/views/lens_content';
import { file, patchedFunction, process, result, status } from './fixtures';

const SEEDS = 500;
const ACTS = 6;
const BUILT = 'text 0';
const PIDS = [1, 2];

/** What one process runs: the text of each version, and which is the present one. */
class Program {
  readonly texts = [BUILT];
  version = 0;
  sequence = 1;

  constructor(readonly pid: number) {}

  get text(): string {
    return this.texts[this.version]!;
  }

  /** A save of this text. */
  take(text: string): PatchResult['outcome'] {
    if (text === this.text) return 'unchanged';
    if (text === BUILT) return this.goBack();
    this.version = this.texts.push(text) - 1;
    this.sequence++;
    return 'patched';
  }

  goBack(): PatchResult['outcome'] {
    this.version = 0;
    this.sequence++;
    return 'reverted';
  }

  functions(): PatchedFunction[] {
    return this.texts.length === 1 ? [] : [patchedFunction({ version: this.version })];
  }

  status(): ProcessStatus {
    const patches = this.texts.slice(1).map((_, index) => ({ id: index + 1 }) as LoadedPatch);
    return { ...status(this.functions(), this.pid), sequence: this.sequence, patches };
  }
}

function functionsOf(text: string): SourceFunction[] {
  const place = { startLine: 33, endLine: 36, nameLine: 33, parameters: 1 };
  return [{ name: 'shop::price_of', ...place, hash: Number(text.slice('text '.length)) }];
}

/** Mulberry32: numbers below `count`, the same for the same seed. */
function randomFrom(seed: number): (count: number) => number {
  let state = seed;
  return (count) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  };
}

const turns = async () => {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve();
};

class Window {
  readonly store = new Store((error) => {
    throw error;
  });
  readonly told: string[] = [];
  private readonly programs = PIDS.map((pid) => new Program(pid));
  private onDisk = BUILT;
  /** The editor reads a file that was written by another program some time later. */
  private shown = BUILT;
  private writtenAt: number | undefined;
  private readonly steps: (() => void)[] = [];
  private tell = () => undefined as void;
  private readonly engine = this.makeEngine();
  private readonly processes = watchProcesses(
    () => this.engine,
    this.store,
    () => ['/project'],
    () => true,
    () => undefined,
    (message) => assert.match(message, /unread/),
  );
  private readonly operations = new Operations(() => this.engine, this.store, {
    textOf: () => this.textOf(),
    edited: { find: () => Promise.resolve([]), areLive: () => undefined },
    mayAttach: () => false,
    firstLight: () => false,
    lookForProcesses: () => this.processes.look(),
    log: () => undefined,
  });
  private readonly comparisons = compareFiles(
    () => this.engine,
    this.store,
    () => this.textOf(),
    () => undefined,
    () => void this.step().then(() => this.comparisons.check(file)),
  );
  private readonly pending = watchPendingFiles(
    () => this.engine,
    this.store,
    this.comparisons,
    (listener) => {
      this.tell = listener;
      return { dispose: () => undefined };
    },
    () => true,
    (message) => assert.fail(message),
  );

  constructor(private readonly random: (count: number) => number) {}

  /** The window as it is once the file is open and was compared. */
  async open(): Promise<void> {
    const all = PIDS.map((pid) => process(pid));
    this.store.dispatch({ type: 'environment', environment: { database: true } });
    await this.rest();
    this.store.dispatch({ type: 'active-file', file });
    this.store.dispatch({ type: 'matches', file, processes: all });
    void this.comparisons.check(file);
  }

  /** Something that a user, another program or another window does, without waiting for what came before. */
  act(): void {
    // A file that is another and the same again while it is compiled is beyond what is told apart.
    const isBack = this.store.state.operation === undefined && this.random(4) === 0;
    const text = isBack ? BUILT : `text ${this.told.length + 1}`;
    const program = this.programs[this.random(PIDS.length)]!;
    const acts: Record<string, () => unknown> = {
      write: () => {
        this.write(text);
        void this.step().then(() => (this.shown = this.onDisk));
      },
      save: () => {
        this.write(text);
        this.shown = text;
        return this.operations.saved([file]);
      },
      patch: () => this.operations.patch({ action: 'patch', files: [file] }),
      revert: () =>
        this.operations.revert(
          'revert',
          PIDS.map((pid) => ({ pid, functions: 'all' as const })),
        ),
      'another window patches': () => program.take(this.onDisk),
      'another window reverts': () => program.goBack(),
      look: () => this.processes.look(),
      check: () => this.comparisons.check(file),
    };
    // What others do to processes that the window has not looked at yet it cannot tell from what it does itself.
    const isKnown = PIDS.every((pid) => this.store.state.statuses.has(processKey(process(pid))));
    const names = Object.keys(acts).filter((one) => isKnown || !one.startsWith('another'));
    const name = names[this.random(names.length)]!;
    this.told.push(name === 'write' || name === 'save' ? `${name} ${text}` : name);
    acts[name]!();
  }

  /** Some of what waits goes on, in any order. */
  async goOn(): Promise<void> {
    for (let count = this.random(8); count > 0; count--) await this.next();
    mock.timers.tick(1 + this.random(700));
    await turns();
  }

  /** Until nothing happens any more that was not asked for. */
  async rest(): Promise<void> {
    for (let second = 0; second < 25; second++) {
      while (this.steps.length > 0) await this.next();
      mock.timers.tick(1000);
      await turns();
    }
    while (this.steps.length > 0) await this.next();
  }

  dispose(): void {
    this.processes.dispose();
    this.pending.dispose();
  }

  /** What is to be seen is what is. */
  verify(): void {
    const { state } = this.store;
    const functions = functionsOf(this.shown);
    assert.equal(this.shown, this.onDisk);
    for (const running of patchedFunctions(state)) {
      const program = this.programs.find(({ pid }) => pid === running.process.pid)!;
      assert.equal(running.function.version, program.version, 'status');
      const source = runningSource(state, file, running);
      if (source) assert.equal(source.text, program.text, 'source of the version that runs');
    }
    const differs = this.programs.some(({ text }) => text !== this.onDisk);
    const isPatched = this.programs.some(({ version }) => version > 0);
    const marks = marksOf(state, file, functions, (_, text) => functionsOf(text));
    assert.deepEqual(
      marks.map(({ kind }) => kind),
      differs ? ['differs'] : isPatched ? ['live'] : [],
      'marks',
    );
    assert.deepEqual(
      pendingOf(state).map((one) => one.written.report?.verdict),
      differs ? ['edited'] : [],
      'pending',
    );
    const [lens] = lensesOf(state, file, functions);
    assert.match(lens!.title, isPatched ? /Version/ : /Hot Patch/, 'lens');
    const indicator = indicatorOf(state);
    if (indicator.kind === 'ready')
      assert.equal(indicator.verdict, differs ? 'edited' : 'ready', 'status bar');
    else assert.equal(indicator.kind, 'live');
  }

  private write(text: string): void {
    mock.timers.tick(1);
    this.onDisk = text;
    this.writtenAt = Date.now();
    mock.timers.tick(1);
    void this.step().then(() => this.tell());
  }

  private step(): Promise<void> {
    return new Promise((resolve) => this.steps.push(resolve));
  }

  private async next(): Promise<void> {
    const [resolve] = this.steps.splice(this.random(this.steps.length), 1);
    resolve?.();
    await turns();
  }

  private async textOf(): Promise<string> {
    await this.step();
    return this.onDisk;
  }

  private makeEngine(): AsyncEngine {
    /** Asked for at one time, found at another, heard of at a third. */
    const answer =
      <P extends unknown[], T>(find: (...parameters: P) => T) =>
      async (...parameters: P): Promise<T> => {
        await this.step();
        const found = find(...parameters);
        await this.step();
        return found;
      };
    const all = () => PIDS.map((pid) => process(pid));
    const programOf = (pid: number) => this.programs.find((one) => one.pid === pid)!;
    const took = (program: Program, outcome: PatchResult['outcome']) => ({
      outcome,
      process: { pid: program.pid, exe: '', functions: program.functions() },
    });
    const resultOf = (all: readonly ReturnType<typeof took>[]): PatchResult => {
      const touched = all.filter(({ outcome }) => outcome !== 'unchanged').map(({ process: one }) => one);
      const order: PatchResult['outcome'][] = ['patched', 'reverted', 'unchanged'];
      return result({
        outcome: order.find((outcome) => all.some((one) => one.outcome === outcome)),
        processes: touched,
        changed: touched.map(() => ({ name: 'shop::price_of(long)', symbol: '', file, kind: 'changed' })),
      });
    };
    return {
      processes: answer(all),
      processesOf: answer(all),
      status: answer((pid: number) => {
        if (this.store.state.operation && this.random(9) === 0) throw new Error('unread');
        return programOf(pid).status();
      }),
      changedSources: answer(() => (this.writtenAt === undefined ? [] : [{ file, at: this.writtenAt }])),
      check: async () => {
        const text = await this.textOf();
        await this.step();
        const isEdited = this.programs.some((one) => one.text !== text);
        await this.step();
        const changed = [{ name: 'shop::price_of(long)', symbol: '', file, kind: 'changed' as const }];
        const verdict = isEdited ? ('edited' as const) : ('ready' as const);
        return [{ file, verdict, message: '', problems: [], timings: {}, changed: isEdited ? changed : [] }];
      },
      patch: async ({ signal }: { signal?: AbortSignal }) => {
        const text = await this.textOf();
        const outcomes: ReturnType<typeof took>[] = [];
        if (signal?.aborted) throw new Error('withdrawn');
        for (const program of this.programs) {
          outcomes.push(took(program, program.take(text)));
          await this.step();
        }
        return resultOf(outcomes);
      },
      revert: async ({ pids }: { pids: number[] }) => {
        await this.step();
        const outcomes = pids.map((pid) => took(programOf(pid), programOf(pid).goBack()));
        await this.step();
        return resultOf(outcomes);
      },
    } as unknown as AsyncEngine;
  }
}

describe('what is to be seen once all has come to rest', () => {
  beforeEach(() =>
    mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_790_000_000_000 }),
  );
  afterEach(() => mock.timers.reset());

  it(`is what runs, in ${SEEDS} orders of events`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = randomFrom(seed);
      const window = new Window(random);
      await window.open();
      for (let act = 0; act < ACTS; act++) {
        await window.goOn();
        window.act();
      }
      await window.rest();
      try {
        window.verify();
      } catch (error) {
        throw new Error(`seed ${seed}, ${window.told.join(', ')}`, { cause: error });
      } finally {
        window.dispose();
      }
    }
  });
});
