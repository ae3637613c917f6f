// What the extension has the engine do to processes: each operation is one call, reported to the store when it
// starts, at each step and when it ends. Failures of any kind end as a result with a problem; nothing is thrown.
import type { Target } from '../../engine/engine';
import type { AttachResult, PatchableProcess, PatchResult, ProcessStatus } from '../../engine/model/result';
import { toProblem } from '../../engine/model/errors';
import type { AsyncEngine } from '../engine_thread/client';
import { isNotAttached } from '../state/not_attached';
import { targetProcesses, targetsOf, unpreparedOf } from '../state/queries';
import { processKey, type Action, type EditedFunction, type ProcessKey } from '../state/state';
import type { Store } from '../state/store';
import type { EditedFunctions } from './edited_functions';
import { OperationQueue, type SaveEnd } from './operation_queue';

export interface PatchOrder {
  readonly action: Action;
  readonly files: readonly string[];
  /** The chosen processes by default. */
  readonly pids?: readonly number[];
  readonly functionName?: string;
  /** A function to be taken out of the optimisation for debugging, or to be put back. */
  readonly deoptimise?: string;
  readonly optimise?: string;
  /** Processes without the runtime that the user wants it brought into first. */
  readonly attachTo?: readonly number[];
}

/** What operations need to know and do beside the engine. */
export interface Surroundings {
  /** What a file holds; undefined when it cannot be read. */
  textOf(file: string): Promise<string | undefined>;
  /** Whether a process may be attached to without asking. */
  mayAttach(process: PatchableProcess): boolean;
  /** Whether edited functions may be live before their file is compiled whole. */
  firstLight(): boolean;
  /** Functions whose text was changed by what is live now. */
  readonly edited: Pick<EditedFunctions, 'find' | 'areLive'>;
  /** Looks for processes: one that was attached to counts as another than before. */
  lookForProcesses(): Promise<void>;
  log(message: string): void;
}

export interface Versions {
  readonly pid: number;
  readonly functions: 'all' | readonly { readonly address: string; readonly version: number }[];
}

export class Operations {
  /** Entries of the history are kept for the next window, where they must not meet their own numbers. */
  private lastId = Date.now();
  private readonly queue: OperationQueue;
  /** Of files that wait for their turn: when their user pressed Ctrl+S. */
  private readonly asked = new Map<string, number>();
  private readonly listeners = new Set<(result: PatchResult, action: Action) => void>();
  private readonly unattachedListeners = new Set<(order: PatchOrder) => void>();

  constructor(
    private readonly engine: () => AsyncEngine,
    private readonly store: Store,
    private readonly surroundings: Surroundings,
  ) {
    this.queue = new OperationQueue(
      (files, signal) => this.save(files, signal),
      (error) => this.surroundings.log(`a save ended with ${String(error)}`),
    );
  }

  /** Results of all operations as they end, but of those that a newer save took the place of. */
  onResult(listener: (result: PatchResult, action: Action) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Orders that came to nothing because their processes have no runtime, and nobody said that it may be brought in. */
  onNotAttached(listener: (order: PatchOrder) => void): () => void {
    this.unattachedListeners.add(listener);
    return () => this.unattachedListeners.delete(listener);
  }

  /** Files that were saved together. A newer save of one of them takes the place of this.
   * @param since when the user pressed Ctrl+S (`performance.now()`): the times that are told count from there */
  saved(files: readonly string[], since = performance.now()): Promise<void> {
    for (const file of files) this.asked.set(file, since);
    return this.queue.save(files);
  }

  patch(order: PatchOrder): Promise<PatchResult> {
    return this.queue.run((signal) => this.patchNow(order, signal));
  }

  /** Brings the runtime into running processes. A refusal is a value. */
  attach(pids: readonly number[]): Promise<readonly AttachResult[]> {
    return this.queue.run(async () => {
      const id = ++this.lastId;
      let results: readonly AttachResult[] = [];
      this.store.dispatch({ type: 'operation-started', id, action: 'attach', files: [] });
      try {
        return (results = await this.attachNow(id, pids));
      } finally {
        this.store.dispatch({ type: 'attach-finished', id, results });
      }
    });
  }

  /** Takes all patches of the processes back and leaves their runtimes asleep. */
  detach(pids: readonly number[]): Promise<PatchResult> {
    return this.queue.run(async () => {
      const result = await this.perform('detach', [], false, () => this.engine().detach([...pids]));
      await this.surroundings.lookForProcesses();
      return result;
    });
  }

  load(pid: number, file: string): Promise<PatchResult> {
    return this.queue.run(() => this.perform('load', [file], false, () => this.engine().load(pid, file)));
  }

  /** Withdraws what is under way, as far as it can be: what a process has taken is applied. */
  cancel(): void {
    this.queue.cancel();
  }

  /** Runs when nothing is under way, and lets nothing begin until it is done. */
  between(task: () => Promise<void>): Promise<void> {
    return this.queue.run(task);
  }

  /** Each process goes to its versions; the results are told as one. */
  revert(action: 'revert' | 'restore', versions: readonly Versions[]): Promise<PatchResult> {
    return this.queue.run(() =>
      this.perform(action, [], false, async () => {
        const results: PatchResult[] = [];
        for (const { pid, functions } of versions) {
          const request = { pids: [pid], functions: functions === 'all' ? functions : [...functions] };
          results.push(await this.engine().revert(request));
        }
        return merged(results);
      }),
    );
  }

  private async save(files: readonly string[], signal: AbortSignal): Promise<SaveEnd> {
    const asked = new Map(files.map((file) => [file, this.asked.get(file)!]));
    const since = Math.min(...asked.values());
    const result = await this.patchNow({ action: 'save', files }, signal, since);
    if (result.outcome === 'failed' && signal.aborted) return 'withdrawn';
    // Those that were saved again meanwhile wait for their turn.
    for (const [file, at] of asked) if (this.asked.get(file) === at) this.asked.delete(file);
    return 'done';
  }

  /** @param since when the user asked for it (`performance.now()`) */
  private async patchNow(
    order: PatchOrder,
    signal: AbortSignal,
    since = performance.now(),
  ): Promise<PatchResult> {
    const result = await this.perform(
      order.action,
      order.files,
      order.functionName === undefined,
      (id) => this.attachAndPatch(order, id, signal, since),
      signal,
    );
    if (isNotAttached(result) && !result.attached) this.inform(this.unattachedListeners, order);
    return result;
  }

  private async attachAndPatch(
    order: PatchOrder,
    id: number,
    signal: AbortSignal,
    since: number,
  ): Promise<PatchResult> {
    const target = this.targetOf(order);
    const attached: AttachResult[] = [];
    const attach = async (processes: readonly PatchableProcess[]): Promise<void> => {
      const wanted = processes.filter((process) => {
        const isMeant = target.kind !== 'pid' || target.pids.includes(process.pid);
        return isMeant && (order.attachTo?.includes(process.pid) ?? this.surroundings.mayAttach(process));
      });
      const pids = wanted.map(({ pid }) => pid);
      if (pids.length > 0) attached.push(...(await this.attachNow(id, pids)));
    };
    const patch = async (): Promise<PatchResult> => {
      const waited = performance.now() - since;
      const result = await this.engine().patch({
        files: [...order.files],
        target,
        functionName: order.functionName,
        deoptimise: order.deoptimise,
        optimise: order.optimise,
        signal,
        firstLight: this.surroundings.firstLight(),
        onProgress: ({ step, live, pid }) => {
          const ahead = live && { ...live, milliseconds: live.milliseconds + waited };
          this.store.dispatch({ type: 'operation-step', id, step, live: ahead, pid });
        },
      });
      return countedFrom(result, waited);
    };
    await attach(unpreparedOf(this.store.state, order.files));
    let result = await patch();
    if (isNotAttached(result) && attached.length === 0) {
      // A process that has only just started, or a file that is not in sight.
      await attach(await this.withoutRuntime(order.files));
      if (attached.length > 0) result = await patch();
    }
    return attached.length === 0 ? result : withAttached(result, attached);
  }

  private async withoutRuntime(files: readonly string[]): Promise<PatchableProcess[]> {
    const found = await Promise.all(files.map((file) => this.engine().processesOf(file)));
    return found.flat().filter(({ state }) => state === 'no-runtime');
  }

  private async attachNow(id: number, pids: readonly number[]): Promise<AttachResult[]> {
    this.store.dispatch({ type: 'operation-step', id, step: 'attach' });
    const results = await this.engine().attach([...new Set(pids)]);
    for (const { pid, outcome, problem } of results) {
      this.surroundings.log(`attach to ${pid}: ${problem ? `${problem.code}: ${problem.message}` : outcome}`);
    }
    await this.surroundings.lookForProcesses();
    return results;
  }

  private targetOf(order: PatchOrder): Target {
    if (order.pids) return { kind: 'pid', pids: [...order.pids] };
    const { selection } = this.store.state;
    return selection.kind === 'all'
      ? { kind: 'all' }
      : { kind: 'pid', pids: targetProcesses(this.store.state).map(({ pid }) => pid) };
  }

  private async perform(
    action: Action,
    files: readonly string[],
    whole: boolean,
    call: (id: number) => Promise<PatchResult>,
    signal?: AbortSignal,
  ): Promise<PatchResult> {
    const id = ++this.lastId;
    const started = performance.now();
    const since = Date.now();
    this.store.dispatch({ type: 'operation-started', id, action, files });
    const before = await this.textsOf(files);
    // A newer save may have come while the texts were read.
    const result = signal?.aborted
      ? failure(files, new Error('withdrawn'))
      : await call(id).catch((error: unknown) => failure(files, error));
    result.timings['total'] ??= performance.now() - started;
    this.tell(action, result);
    if (result.outcome === 'failed' && signal?.aborted) {
      // Withdrawn by a newer save or by the user, who need not be told so.
      this.store.dispatch({ type: 'operation-superseded', id });
      return { ...result, refusals: [] };
    }
    this.inform(this.listeners, result, action);
    const statuses = await this.statusesAfter(result, whole ? files : []);
    // Of a file that was written meanwhile nobody knows which text was compiled.
    const texts = new Map(
      [...(await this.textsOf(files))].filter(([file, text]) => text === before.get(file)),
    );
    const sources = [...statuses.values()].flatMap((status) => status.functions.flatMap((f) => f.file ?? []));
    const others = await this.textsOf(sources.filter((file) => !before.has(file)));
    const allTexts = new Map([...others, ...texts]);
    const edited = await this.editedBy(result, texts, others, whole);
    const at = Date.now();
    this.store.dispatch({
      type: 'operation-finished',
      ...{ id, at, since, result, statuses, texts: allTexts, edited, whole },
    });
    return result;
  }

  private async editedBy(
    { outcome, changed }: PatchResult,
    texts: ReadonlyMap<string, string>,
    others: ReadonlyMap<string, string>,
    whole: boolean,
  ): Promise<readonly EditedFunction[]> {
    const { edited } = this.surroundings;
    if (outcome === 'refused' || outcome === 'failed') return [];
    try {
      return await edited.find(texts, others, changed);
    } catch (error) {
      this.surroundings.log(`which functions were edited is not known: ${String(error)}`);
      return [];
    } finally {
      if (whole) edited.areLive(texts);
    }
  }

  private inform<T extends unknown[]>(listeners: Iterable<(...what: T) => void>, ...what: T): void {
    for (const listener of listeners) {
      try {
        listener(...what);
      } catch (error) {
        this.surroundings.log(`a listener failed: ${String(error)}`);
      }
    }
  }

  /** Of the processes that it touched, and of those that run the whole of these files now. */
  private async statusesAfter(
    result: PatchResult,
    files: readonly string[],
  ): Promise<Map<ProcessKey, ProcessStatus>> {
    const { store, surroundings } = this;
    const isLive = result.outcome !== 'refused' && result.outcome !== 'failed';
    const whole = isLive ? files.flatMap((file) => targetsOf(store.state, file).map(({ pid }) => pid)) : [];
    const pids = new Set([...result.processes.map((process) => process.pid), ...whole]);
    const known = () => (store.state.processes ?? []).filter((process) => pids.has(process.pid));
    // It may have begun before a program that had only just started was seen.
    if (known().length < pids.size) await surroundings.lookForProcesses();
    const statuses = new Map<ProcessKey, ProcessStatus>();
    for (const process of known()) {
      const status = await this.engine()
        .status(process.pid)
        .catch((error: unknown) => surroundings.log(`status of ${process.pid}: ${String(error)}`));
      if (status) statuses.set(processKey(process), status);
    }
    return statuses;
  }

  private async textsOf(files: readonly string[]): Promise<Map<string, string>> {
    const texts = new Map<string, string>();
    for (const file of new Set(files)) {
      const text = await this.surroundings.textOf(file);
      if (text !== undefined) texts.set(file, text);
    }
    return texts;
  }

  private tell(action: Action, result: PatchResult): void {
    const functions = result.changed.map((change) => change.name).join(', ');
    const steps = Object.entries(result.timings).map(([step, time]) => `${step} ${Math.round(time)}`);
    this.surroundings.log(
      `${action}: ${result.outcome}${functions && ` (${functions})`}; ms: ${steps.join(', ')}`,
    );
    for (const { code, message } of [...result.refusals, ...result.warnings])
      this.surroundings.log(`${code}: ${message}`);
  }
}

/** A result of the engine with times that count from when the user asked.
 * @param waited milliseconds from then until the engine began: until files were written, others done, processes attached to */
function countedFrom(result: PatchResult, waited: number): PatchResult {
  const { firstLight, timings } = result;
  return {
    ...result,
    ...(firstLight && {
      firstLight: { ...firstLight, live: firstLight.live + waited, exact: firstLight.exact + waited },
    }),
    timings: { waited, ...timings, total: waited + (timings['total'] ?? 0) },
  };
}

/** A process that could not be attached to is the reason, or, beside others that were patched, a warning. */
function withAttached(result: PatchResult, attached: readonly AttachResult[]): PatchResult {
  const problems = attached.flatMap(({ problem }) => problem ?? []);
  const isReason = isNotAttached(result) && problems.length > 0;
  return {
    ...result,
    refusals: isReason ? problems : result.refusals,
    warnings: isReason ? result.warnings : [...result.warnings, ...problems],
    attached: [...attached],
    timings: {
      attach: attached.reduce((sum, one) => sum + one.milliseconds, 0),
      ...result.timings,
    },
  };
}

function failure(files: readonly string[], error: unknown): PatchResult {
  return {
    outcome: 'failed',
    files: [...files],
    processes: [],
    refusals: [toProblem(error)],
    warnings: [],
    diagnostics: [],
    changed: [],
    timings: {},
  };
}

/** The worst outcome of all, and everything that was said. */
function merged(results: readonly PatchResult[]): PatchResult {
  const [first] = results;
  if (!first) return failure([], new Error('There is nothing to revert'));
  const order: PatchResult['outcome'][] = ['failed', 'refused', 'reverted', 'patched', 'unchanged'];
  const total = results.reduce((sum, result) => sum + (result.timings['total'] ?? 0), 0);
  return {
    outcome: order.find((outcome) => results.some((result) => result.outcome === outcome)) ?? 'unchanged',
    files: [],
    processes: results.flatMap((result) => result.processes),
    refusals: results.flatMap((result) => result.refusals),
    warnings: results.flatMap((result) => result.warnings),
    diagnostics: results.flatMap((result) => result.diagnostics),
    changed: results.flatMap((result) => result.changed),
    timings: { ...first.timings, total },
  };
}
