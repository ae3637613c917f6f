// The order of operations: one at a time. A newer save of a file withdraws the save of it that is under way, and files
// of a withdrawn save are patched with the next one; no file is dropped. Pure scheduling: what an operation does is
// passed in, and whatever it throws ends that operation only.

/** How a save ended: `withdrawn` when it was given up, unfinished, for a newer one. */
export type SaveEnd = 'done' | 'withdrawn';

type Entry =
  | { kind: 'save'; files: Set<string>; done: () => void }
  | { kind: 'task'; run: (signal: AbortSignal) => Promise<void> };

export class OperationQueue {
  private readonly entries: Entry[] = [];
  private running: { files: ReadonlySet<string>; controller: AbortController } | undefined;
  private isWorking = false;

  /** @param failed is told what a patch threw, which it should not */
  constructor(
    private readonly patch: (files: readonly string[], signal: AbortSignal) => Promise<SaveEnd>,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Files that were saved; resolves when they, or newer versions of them, have been dealt with. */
  save(files: readonly string[]): Promise<void> {
    const waiting = this.entries.find((entry) => entry.kind === 'save');
    for (const file of files) waiting?.files.add(file);
    if (this.running && files.some((file) => this.running?.files.has(file))) this.running.controller.abort();
    return new Promise((resolve) => {
      if (waiting) {
        const earlier = waiting.done;
        waiting.done = () => {
          earlier();
          resolve();
        };
      } else {
        this.entries.push({ kind: 'save', files: new Set(files), done: resolve });
      }
      this.start();
    });
  }

  /** Anything else, in its turn. */
  run<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.entries.push({ kind: 'task', run: (signal) => task(signal).then(resolve, reject) });
      this.start();
    });
  }

  /** Gives up what is under way, if it can be; what waits begins. */
  cancel(): void {
    this.running?.controller.abort();
  }

  private start(): void {
    if (!this.isWorking) void this.work();
  }

  private async work(): Promise<void> {
    this.isWorking = true;
    for (let entry = this.entries.shift(); entry; entry = this.entries.shift()) {
      const controller = new AbortController();
      this.running = { files: entry.kind === 'save' ? entry.files : new Set(), controller };
      try {
        if (entry.kind === 'task') await entry.run(controller.signal);
        else if ((await this.patch([...entry.files], controller.signal)) === 'withdrawn')
          this.postpone(entry);
      } catch (error) {
        this.failed(error);
      } finally {
        this.running = undefined;
        if (entry.kind === 'save') entry.done();
      }
    }
    // In the same turn as the last look at the entries: one that is added later begins the work anew.
    this.isWorking = false;
  }

  /** Its files go with the next save; where none waits, it was cancelled for good. */
  private postpone(entry: Extract<Entry, { kind: 'save' }>): void {
    const next = this.entries.find((candidate) => candidate.kind === 'save');
    if (!next) return;
    const { done } = next;
    const postponed = entry.done;
    for (const file of entry.files) next.files.add(file);
    next.done = () => {
      done();
      postponed();
    };
    entry.done = () => undefined;
  }
}
