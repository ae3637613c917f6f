// Compiles that begin before it is known which processes run the code: finding them takes a good part of what a small unit
// takes to compile. What comes of it is what would have come of it later: a compile is taken only in place of the same
// one, of a source that was not written since, and what nobody takes is stopped.
import { isDeepStrictEqual } from 'node:util';
import type { CompileContext, CompiledUnit, CompileEntry, CompileRequest, EngineContext } from '../context';
import type { PatchRequest } from '../engine';
import { stampOf } from '../host';

interface Running {
  entry: CompileEntry;
  /** Of the source, before the compiler was started. */
  stamp: string;
  compiled: Promise<CompiledUnit>;
  stop: AbortController;
}

export class EarlyCompile {
  private readonly running = new Map<string, Running>();
  private readonly ended: Promise<unknown>[] = [];

  constructor(
    private readonly context: EngineContext,
    private readonly request: Pick<PatchRequest, 'firstLight' | 'signal'>,
  ) {}

  /** Starts a compile of each file that has a command of its own, which headers have not. What is wrong with the others is
   * said by the step that needs their command. */
  begin(files: readonly string[]): void {
    for (const file of files) {
      const entry = this.entryOf(file);
      const stamp = entry && stampOf(entry.source);
      if (!entry || stamp === undefined || this.running.has(entry.source)) continue;
      const stop = new AbortController();
      const signal = AbortSignal.any([stop.signal, ...(this.request.signal ? [this.request.signal] : [])]);
      const { firstLight: listFiles } = this.request;
      const compiled = this.context.compile.compileUnit(entry, { signal, listFiles });
      this.ended.push(compiled.catch(() => undefined));
      this.running.set(entry.source, { entry, stamp, compiled, stop });
    }
  }

  /** As CompileContext.compileUnit, with the compile that is running if it is the same. */
  readonly compileUnit: CompileContext['compileUnit'] = (entry, request = {}) =>
    this.take(entry, request) ?? this.context.compile.compileUnit(entry, request);

  /** Stops what was not taken, and resolves when no compiler runs any more that was started here. */
  async end(): Promise<void> {
    for (const { stop } of this.running.values()) stop.abort();
    this.running.clear();
    await Promise.all(this.ended);
  }

  private entryOf(file: string): CompileEntry | undefined {
    try {
      return this.context.compile.entriesFor(file)[0];
    } catch {
      return undefined;
    }
  }

  private take(entry: CompileEntry, request: CompileRequest): Promise<CompiledUnit> | undefined {
    const running = this.running.get(entry.source);
    const { signal, listFiles = false, ...others } = request;
    const isPlain = Object.values(others).every((value) => value === undefined);
    if (!running || !isPlain || listFiles !== (this.request.firstLight ?? false)) return undefined;
    this.running.delete(entry.source);
    const { compiled, stop } = running;
    const isSame =
      isDeepStrictEqual({ ...running.entry }, { ...entry }) && stampOf(entry.source) === running.stamp;
    const abort = (): void => stop.abort(signal?.reason);
    if (!isSame || signal?.aborted) abort();
    if (!isSame) return undefined;
    signal?.addEventListener('abort', abort, { once: true });
    return compiled.finally(() => signal?.removeEventListener('abort', abort));
  }
}
