// How a thread that is held can go on, and what each way means: right, or not offered, or with the reason why it may be
// wrong. Pure: works on what was read of the thread.
import type { HeldWay, RefusedWay } from '../model/held';
import type { CrashFrame } from '../model/result';
import { signalName, type HeldDocument } from '../process/crash_document';

/** A way on, with the registers that it takes. */
export interface FoundWay {
  readonly way: HeldWay;
}

export interface FoundWays {
  readonly ownFrame: number;
  readonly ways: readonly FoundWay[];
  readonly refused: RefusedWay[];
}

/** Functions in which a lock of malloc may be held, or its data be broken. */
const ALLOCATOR =
  /^(_int_)?(malloc|free|calloc|realloc|memalign|malloc_consolidate|malloc_printerr|unlink_chunk|sysmalloc|tcache_\w+)(\.|$)/;

export function findWays(document: HeldDocument, described: readonly CrashFrame[]): FoundWays {
  const ownFrame = Math.max(
    0,
    described.findIndex(({ module }) => module !== undefined && !isSystemLibrary(module)),
  );
  const warnings = warningsOf(document, described.slice(0, ownFrame + 1));
  const ways: FoundWay[] = [];
  const refused: RefusedWay[] = [];
  const isAbort = signalName(document.signal) === 'SIGABRT' && described.some(isAbortFrame);
  if (isAbort)
    refused.push({
      kind: 'instruction',
      frames: 0,
      reason: 'the program called abort(), which raises its signal again and ends the process',
    });
  else
    ways.push({
      way: {
        kind: 'instruction',
        frames: 0,
        meaning: document.isFault
          ? 'The instruction that failed is carried out again, with the registers as they were: for when the data ' +
            'that it uses was mended. It is still the old code.'
          : 'The thread goes on where it was: the signal that was sent to it is dropped.',
        warnings,
      },
    });
  ways.push({
    way: {
      kind: 'crash',
      frames: 0,
      meaning: 'The process ends by the signal, with the core that it would have left without being held.',
      warnings: [],
    },
  });
  return { ownFrame, ways, refused };
}

/** Why going on in any way may be wrong. */
function warningsOf({ signal }: HeldDocument, inner: readonly CrashFrame[]): string[] {
  const warnings: string[] = [];
  if (inner.some(({ function: name }) => name !== undefined && ALLOCATOR.test(name)))
    warnings.push(
      signalName(signal) === 'SIGABRT'
        ? 'malloc has found its data broken: the memory of the program was overwritten before.'
        : 'It crashed within malloc or free, which may hold a lock: other threads would wait for it for ever.',
    );
  return warnings;
}

function isAbortFrame({ function: name, module }: CrashFrame): boolean {
  return (name === 'abort' || name === '__GI_abort') && module !== undefined && isSystemLibrary(module);
}

/** Libraries that do what a program calls them for, as `native/src/crash_origin.cc` has them. */
export function isSystemLibrary(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return /^(libc\.so|libc-|ld-|ld\.so|libm\.so|libm-|libpthread|libstdc\+\+\.so|libc\+\+|libgcc_s)/.test(
    name,
  );
}
