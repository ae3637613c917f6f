// How the command line ends before its work is done: by a signal, or because nobody reads what it writes.
import { constants } from 'node:os';

const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Ends in order, so that temporary files are removed. */
export function endOnInterrupt(): void {
  for (const name of INTERRUPTS) process.once(name, () => process.exit(128 + constants.signals[name]));
}

/** `hot-patch … | head`: whoever read has read enough. */
export function endWhenNobodyReads(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

/** Aborted by Ctrl+C, so that compilers end and the status says so; a second one ends at once. */
export function interruptible(): AbortSignal {
  const controller = new AbortController();
  for (const name of INTERRUPTS)
    process.removeAllListeners(name).once(name, () => {
      endOnInterrupt();
      process.exitCode = 128 + constants.signals[name];
      controller.abort(new Error(`interrupted by ${name}`));
    });
  return controller.signal;
}
