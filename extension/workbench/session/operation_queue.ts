// The order of things: one operation at a time; a newer save of the same file takes the place of the one that is
// under way, files of a save that was withdrawn are saved with the next one, and none is lost. Pure scheduling:
// what an operation does is passed in.

/** How a save ended: `withdrawn` when it was given up, unfinished, for a newer one. */
export type SaveEnd = 'done' | 'withdrawn';

type Entry =
  { kind: 'save'; files: Set<string>; done: () => void } | { kind: 'task'; run: () => Promise<void> };

export class OperationQueue {
  private readonly entries: Entry[] = [];
  private running: { files: Set<string>; controller: AbortController } | undefined;
  private active: Promise<void> | undefined;

  constructor(private readonly patch: (files: readonly string[], signal: AbortSignal) => Promise<SaveEnd>) {}

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
  run<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.entries.push({ kind: 'task', run: () => task().then(resolve, reject) });
      this.start();
    });
  }

  private start(): void {
    this.active ??= this.work().finally(() => {
      this.active = undefined;
    });
  }

  private async work(): Promise<void> {
    for (let entry = this.entries.shift(); entry; entry = this.entries.shift()) {
      if (entry.kind === 'task') await entry.run();
      else await this.workOnSave(entry);
    }
  }

  private async workOnSave(entry: Extract<Entry, { kind: 'save' }>): Promise<void> {
    const controller = new AbortController();
    this.running = { files: entry.files, controller };
    const end = await this.patch([...entry.files], controller.signal);
    this.running = undefined;
    const next = this.entries.find((candidate) => candidate.kind === 'save');
    if (end === 'withdrawn' && next) {
      const { done } = next;
      for (const file of entry.files) next.files.add(file);
      next.done = () => {
        done();
        entry.done();
      };
    } else entry.done();
  }
}
