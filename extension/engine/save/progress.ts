// One save on its way: its timings, messages and results, gathered by the steps and turned into the result at the end.
// Knows the data of a save (unit.ts) and the shape of the result, and none of the steps.
import type { EngineContext, LiveTarget, RuntimeClient } from '../context';
import { isInitialiser } from '../compare/start_code';
import type { PatchRequest } from '../engine';
import type { Locate, ObjectFile, ObjectFunction } from '../elf/object';
import { ERROR_TABLE, toProblem } from '../model/errors';
import type {
  AttachResult,
  ChangedFunction,
  CompilerDiagnostic,
  Outcome,
  PatchResult,
  Problem,
  ProcessResult,
  Step,
} from '../model/result';
import type { FreshUnit, ModulePlan } from './unit';

/** Itanium C++ ABI, "External Names"; with the suffix of a clone. */
const MANGLED = /(?<![\w.$])_Z[\w.$]*\w/g;

/** What one save gathers on its way: timings, messages, results. */
export class Save {
  readonly timings: Record<string, number> = {};
  readonly diagnostics: CompilerDiagnostic[] = [];
  readonly refusals: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly processes: ProcessResult[] = [];
  readonly attached: AttachResult[] = [];
  readonly fresh = new Map<ObjectFile, FreshUnit>();
  namedFunction = false;
  /** First light is being delivered, or waits for the process: that is what is said meanwhile. */
  isFirstLightShown = false;
  /** Unix milliseconds: before anything was read. */
  readonly began = Date.now();
  private readonly start = performance.now();
  private readonly clients = new Map<LiveTarget, RuntimeClient>();

  constructor(
    readonly context: EngineContext,
    readonly request: PatchRequest,
  ) {}

  /** Runs a step and adds its time, in milliseconds. */
  async step<T>(name: Step, run: () => Promise<T>): Promise<T> {
    this.request.signal?.throwIfAborted();
    this.progress(name);
    const start = performance.now();
    try {
      return await run();
    } finally {
      this.timings[name] = (this.timings[name] ?? 0) + performance.now() - start;
    }
  }

  progress(step: Step, file?: string, pid?: number): void {
    if (!this.isFirstLightShown) this.request.onProgress?.({ step, file, pid });
  }

  client(target: LiveTarget): RuntimeClient {
    let client = this.clients.get(target);
    if (!client) this.clients.set(target, (client = this.context.processes.runtime(target.process)));
    return client;
  }

  readonly locate: Locate = (object, symbol) => {
    const unit = this.fresh.get(object);
    const place = unit?.places().get(symbol) ?? unit?.variables().get(symbol);
    return place
      ? { file: place.file, ...(place.line > 0 && { line: place.line }) }
      : { file: object.source };
  };

  total(): Record<string, number> {
    return { ...this.timings, total: performance.now() - this.start };
  }

  async finish(outcome: Outcome, plans: readonly ModulePlan[], dryRun = false): Promise<PatchResult> {
    // The clock stops when the code is live (or refused); names for people come after it.
    const timings = this.total();
    const changed = await this.changedFunctions(plans);
    const named = new Map(changed.map((fn) => [fn.symbol, fn]));
    for (const { functions } of this.processes)
      for (const fn of functions) {
        const place = named.get(fn.symbol);
        if (place) Object.assign(fn, { file: place.file, line: place.line });
      }
    return {
      outcome,
      files: this.request.files,
      processes: dryRun ? [] : this.processes,
      refusals: await this.readable(this.refusals),
      warnings: await this.readable(this.warnings),
      diagnostics: this.diagnostics,
      changed,
      timings,
      ...this.attachments(),
    };
  }

  async fail(thrown: unknown): Promise<PatchResult> {
    const timings = this.total();
    const problem = toProblem(thrown, this.context.log);
    return {
      outcome: ERROR_TABLE[problem.code].kind === 'refused' ? 'refused' : 'failed',
      files: this.request.files,
      processes: this.processes,
      refusals: await this.readable([...this.refusals, problem]),
      warnings: await this.readable(this.warnings),
      diagnostics: this.diagnostics,
      changed: [],
      timings,
      ...this.attachments(),
    };
  }

  /** Each once, with the names of symbols in its message as they are in the source. */
  async readable(problems: readonly Problem[]): Promise<Problem[]> {
    const told = unique(problems);
    const symbols = [...new Set(told.flatMap(({ message }) => message.match(MANGLED) ?? []))];
    const names = await this.context.demangle(symbols);
    const nameOf = new Map(symbols.map((symbol, index) => [symbol, names[index]!]));
    return told.map((problem) => ({
      ...problem,
      message: problem.message.replace(MANGLED, (symbol) => nameOf.get(symbol) ?? symbol),
    }));
  }

  private attachments(): Pick<PatchResult, 'attached'> {
    return this.attached.length > 0 ? { attached: this.attached } : {};
  }

  async changedFunctions(plans: readonly ModulePlan[]): Promise<ChangedFunction[]> {
    const found = new Map<string, { symbol: string; object: ObjectFile; kind: ChangedFunction['kind'] }>();
    for (const plan of plans)
      for (const unit of plan.units) {
        const { object } = unit.comparison;
        const add = (fn: ObjectFunction, kind: ChangedFunction['kind']): void => {
          if (unit.comparison.parentOf(fn) === undefined && !object.isPrivate(fn))
            found.set(`${object.source}:${fn.symbol.name}`, { symbol: fn.symbol.name, object, kind });
        };
        for (const [fn] of unit.roles)
          if (!isInitialiser(fn)) add(fn, unit.comparison.of(fn).live ? 'changed' : 'new');
        for (const { fn } of unit.reverts) add(fn, 'reverted');
      }
    const all = [...found.values()];
    const names = await this.context.demangle(all.map(({ symbol }) => symbol));
    return all.map(({ symbol, object, kind }, i) => ({
      name: names[i]!,
      symbol,
      kind,
      ...this.locate(object, symbol),
      ...(this.fresh.get(object)?.compiled.deoptimised?.has(symbol) && { deoptimised: true }),
    }));
  }
}

/** Several processes and units may say the same. */
function unique(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter((problem) => {
    const key = JSON.stringify([problem.code, problem.message, problem.file, problem.line]);
    return !seen.has(key) && seen.add(key) !== undefined;
  });
}
