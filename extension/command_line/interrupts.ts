// How the command line ends: when its work is done, or before that by a signal, or because nobody reads what it writes.
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

/** Ends as soon as all output is written. Left to itself, Node.js waits for the code that its threads are optimising, as
 * long as a tenth of a second, and nobody will run that. */
export function endWhenWritten(): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit()));
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
