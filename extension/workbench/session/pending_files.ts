// Files that may not be what runs: somebody wrote to them since a program that runs was built from them, by a save that
// failed, in another editor, with git. They are looked for when processes come and go, when files are written, and every
// few seconds, because VS Code does not tell of all files that are written. They are compared one after the other in the
// background. Knows no VS Code: who tells of written files, and which may be compared, is passed in.
import type { AsyncEngine } from '../engine_thread/client';
import { pendingOf } from '../state/queries';
import type { WrittenFile } from '../state/state';
import { isChanged, type Store } from '../state/store';
import type { FileWatch } from './file_watch';

/** A branch is switched file by file: they are looked at when none was written for so long. */
const QUIET_MS = 500;
/** VS Code's watcher tells of nothing before it has started, and where the system has no watches left (inotify(7)). A look
 * costs a `stat` for each source file. */
const UNTOLD_MS = 10_000;
/** Files compared by themselves at most: each is a compile, and a branch may change hundreds. The others are listed. */
const COMPARED = 24;

/**
 * @param tellOf has the listener called for source files that are written, for those that it learns of
 * @param mayCompare whether a file may be compiled in the background
 */
export function watchPendingFiles(
  engine: () => Pick<AsyncEngine, 'changedSources'>,
  store: Store,
  files: Pick<FileWatch, 'check'>,
  tellOf: (listener: () => void) => { dispose(): void },
  mayCompare: (file: string) => boolean,
  log: (message: string) => void,
): { dispose(): void } {
  /** Comparisons that came to nothing are not made again until something changes. */
  const tried = new WeakSet<WrittenFile>();
  let timer: NodeJS.Timeout | undefined;
  let looking = Promise.resolve();
  let isComparing = false;
  const untold = setInterval(lookSoon, UNTOLD_MS);

  async function look(): Promise<void> {
    const written = new Map<string, number>();
    for (const { pid, state } of store.state.processes ?? []) {
      if (state !== 'ready') continue;
      try {
        for (const { file, at } of await engine().changedSources(pid)) {
          written.set(file, Math.max(at, written.get(file) ?? 0));
        }
      } catch (error) {
        log(`files written since process ${pid} was built: ${String(error)}`);
      }
    }
    store.dispatch({ type: 'sources-written', files: written });
  }

  function lookSoon(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      looking = looking.then(look);
    }, QUIET_MS);
  }

  async function compareNext(): Promise<void> {
    if (isComparing || store.state.operation !== undefined) return;
    const next = pendingOf(store.state)
      .slice(0, COMPARED)
      .find(({ file, written }) => written.report === undefined && !tried.has(written) && mayCompare(file));
    if (!next) return;
    tried.add(next.written);
    isComparing = true;
    try {
      await files.check(next.file);
    } finally {
      isComparing = false;
    }
    await compareNext();
  }

  const told = tellOf(lookSoon);
  const subscription = store.subscribe((state, previous) => {
    const hasEnded = previous.operation !== undefined && state.operation === undefined;
    if (hasEnded || isChanged(state, previous, ['processes'])) lookSoon();
    if (hasEnded || isChanged(state, previous, ['written'])) void compareNext();
  });
  return {
    dispose: () => {
      told.dispose();
      subscription.dispose();
      clearTimeout(timer);
      clearInterval(untold);
    },
  };
}
