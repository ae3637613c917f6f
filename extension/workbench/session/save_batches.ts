// Files whose saves overlap (Save All) are one patch. Decides what is saved together and which save counts; no vscode.
// An entry lives from will-save to did-save of its file, however long that takes: no file is ever dropped.
import type { Save } from './save_policy';

/** How long after the last write of a Save All the next one may begin, milliseconds. */
const TOGETHER_MS = 20;
/** How long files that were written wait for those that are still being written, milliseconds. A save that another
 * extension cancels is never written; a slow one (formatting) is patched by itself when it comes. */
const WAIT_MS = 1000;

interface Writing extends Save {
  /** When the user pressed Ctrl+S, as far as VS Code tells; of `performance.now()`. */
  readonly since: number;
  /** What was saved beside it has waited long enough. */
  readonly late: boolean;
}

export class SaveBatches {
  private readonly writing = new Map<string, Writing>();
  /** With since when. */
  private readonly written = new Map<string, number>();
  /** Files whose user presses Ctrl+S at this moment: a save that begins now is theirs. */
  private readonly asked = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;

  /**
   * @param counts whether a save of the file patches
   * @param saved called with the files of each batch, and when the first save of them began (`performance.now()`)
   */
  constructor(
    private readonly counts: (file: string, save: Save) => boolean,
    private readonly saved: (files: readonly string[], since: number) => unknown,
  ) {}

  /** Before a file is written. A save that was replaced before it was written hands over that it was explicit. */
  willSave(file: string, { explicit, dirty }: Save): void {
    const replaced = this.writing.get(file);
    this.writing.set(file, {
      explicit: explicit || replaced?.explicit === true || this.asked.has(file),
      dirty: dirty || replaced?.dirty === true,
      since: performance.now(),
      late: false,
    });
  }

  /** After it was written. Nobody was told before where the user saved without formatting. */
  didSave(file: string): void {
    const save = this.writing.get(file) ?? { explicit: true, dirty: true, since: performance.now() };
    this.writing.delete(file);
    if (this.counts(file, save)) this.written.set(file, save.since);
    if (this.written.size > 0) this.wait();
  }

  /** A save by Ctrl+S, which VS Code leaves out when an auto-save of the same text is under way: that one counts for it. */
  async explicitly(file: string, save: () => Promise<unknown>): Promise<void> {
    const writing = this.writing.get(file);
    if (writing) this.writing.set(file, { ...writing, explicit: true, since: performance.now() });
    this.asked.set(file, (this.asked.get(file) ?? 0) + 1);
    try {
      await save();
    } finally {
      const others = this.asked.get(file)! - 1;
      if (others > 0) this.asked.set(file, others);
      else this.asked.delete(file);
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
  }

  private wait(): void {
    const isAwaited = [...this.writing.values()].some(({ late }) => !late);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.end(), isAwaited ? WAIT_MS : TOGETHER_MS);
  }

  private end(): void {
    for (const [file, save] of this.writing) this.writing.set(file, { ...save, late: true });
    const files = [...this.written.keys()];
    const since = Math.min(...this.written.values());
    this.written.clear();
    this.saved(files, since);
  }
}
