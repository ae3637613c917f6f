// How a thread that is held can go on, and what each way means: right, or not offered, or with the reason why it may be
// wrong. Pure: works on what was read of the thread.
import type { Architecture } from '../arch/architecture';
import type { RequestLine } from '../context';
import type { HeldWay, RefusedWay } from '../model/held';
import type { CrashFrame } from '../model/result';
import { signalName, type HeldDocument } from '../process/crash_document';
import type { FunctionCall } from '../types/call_of';
import { isSystemLibrary, type HeldFrame } from './frames';
import { callAgain } from './calls';
import { callerRegisters } from './returns';

/** A way on, with what its request says besides. */
export interface FoundWay {
  readonly way: HeldWay;
  readonly registers: readonly RequestLine[];
  /** Of the function that is returned from. */
  readonly call?: FunctionCall;
}

export interface FoundWays {
  readonly ownFrame: number;
  readonly ways: readonly FoundWay[];
  readonly refused: RefusedWay[];
}

/** Functions in which a lock of malloc may be held, or its data be broken. */
const ALLOCATOR =
  /^(__libc_|__GI___libc_|_int_)?(malloc|free|calloc|realloc|memalign)(_\w+)?(\.|$)|^(unlink_chunk|sysmalloc|tcache_\w+)(\.|$)/;
const EXCEPTION = /^(std::terminate|__cxa_throw|__cxa_rethrow)/;

export function findWays(
  document: HeldDocument,
  frames: readonly HeldFrame[],
  { arch, status, modules }: Pick<Parameters<typeof callAgain>[2], 'arch' | 'status' | 'modules'>,
): FoundWays {
  const ownFrame = Math.max(
    0,
    frames.findIndex(({ described: { module } }) => module !== undefined && !isSystemLibrary(module)),
  );
  const warnings = warningsOf(document, frames.slice(0, ownFrame + 1));
  const ways: FoundWay[] = [];
  const refused: RefusedWay[] = [];
  const add = (found: FoundWay | RefusedWay): void => {
    if ('way' in found) ways.push(found);
    else refused.push(found);
  };
  add(atInstruction(document, frames, warnings));
  const context = { arch, status, modules, stack: document.stack, vectors: document.vectors };
  for (const [index, { described }] of frames.slice(0, -1).entries())
    if (index === ownFrame || (index > ownFrame && isOfProgram(described))) {
      add(calling(frames, index, warnings, context));
      add(returning(frames, index, warnings, arch));
    }
  const crash: HeldWay = {
    kind: 'crash',
    frames: 0,
    meaning: 'The process ends by the signal, with the core that it would have left without being held.',
    warnings: [],
  };
  ways.push({ way: crash, registers: [] });
  return { ownFrame, ways, refused };
}

/** Not of a library, nor of what a library's header makes of the program's types: nobody would think of leaving that. */
function isOfProgram({ module, file }: CrashFrame): boolean {
  return module !== undefined && !isSystemLibrary(module) && !/^\/usr\/(include|lib)\//.test(file ?? '');
}

function atInstruction(
  { isFault, signal }: HeldDocument,
  frames: readonly HeldFrame[],
  warnings: string[],
): FoundWay | RefusedWay {
  if (signalName(signal) === 'SIGABRT' && frames.some(isAbortFrame))
    return {
      kind: 'instruction',
      frames: 0,
      reason: 'the program called abort(), which raises its signal again and ends the process',
    };
  const meaning = isFault
    ? 'The instruction that failed is carried out again, with the registers as they were: for when the memory that it ' +
      'uses was mended. It is still the code that was called.'
    : 'The thread goes on where it was: the signal that was sent to it is dropped.';
  return { way: { kind: 'instruction', frames: 0, meaning, warnings }, registers: [] };
}

/** Leaves the frames up to that one, and calls its function again. */
function calling(
  frames: readonly HeldFrame[],
  index: number,
  warnings: readonly string[],
  context: Parameters<typeof callAgain>[2],
): FoundWay | RefusedWay {
  const { name } = frames[index]!;
  const caller = frames[index + 1]!;
  const place = { kind: 'call' as const, frames: index + 1, function: name };
  const obstacle = obstacleTo(frames, index);
  if (obstacle !== undefined) return { ...place, reason: obstacle };
  const again = callAgain(frames[index]!, caller, context);
  if ('reason' in again) return { ...place, reason: again.reason };
  const meaning =
    `${name} is called again with the arguments that it was called with, in its newest version. ` +
    'What it had done before it crashed stays done.';
  const way: HeldWay = {
    ...place,
    meaning,
    warnings: [...warnings, ...leavingWarnings(frames, index)],
  };
  return { way, registers: again.lines };
}

/** Leaves the frames up to that one. */
function returning(
  frames: readonly HeldFrame[],
  index: number,
  warnings: readonly string[],
  arch: Architecture,
): FoundWay | RefusedWay {
  const { name, call } = frames[index]!;
  const caller = frames[index + 1]!;
  const place = { kind: 'return' as const, frames: index + 1, function: name };
  const obstacle = obstacleTo(frames, index);
  if (obstacle !== undefined) return { ...place, reason: obstacle };
  const registers = callerRegisters(caller.frame, arch);
  if (!registers) return { ...place, reason: `registers of ${caller.name} are not known` };
  if (!call) return { ...place, reason: `there is no debug information that says what ${name} returns` };
  if (call.result === undefined)
    return { ...place, reason: `${name} returns an object, which only its own code can make` };
  const meaning =
    `${name} is left, as if it had returned to ${whereIs(caller)}` +
    (call.result === 'none' ? '.' : ', with zero or a result that you give.') +
    ' What it still had to do is not done.';
  const way: HeldWay = {
    ...place,
    meaning,
    warnings: [...warnings, ...leavingWarnings(frames, index)],
    result: call.result,
  };
  return { way, registers, call };
}

/** Why the frames up to that one cannot be left. */
export function obstacleTo(frames: readonly HeldFrame[], index: number): string | undefined {
  const caller = frames[index + 1];
  if (!caller) return 'its caller is not known';
  if (frames.slice(1, index + 2).some(({ frame }) => frame.interrupted))
    return 'a signal handler is among the frames, and what it interrupted cannot be returned to';
  if (!caller.module) return `the code of its caller (${caller.name}) is of no module`;
  return undefined;
}

/** What is lost with the frames up to that one. */
export function leavingWarnings(frames: readonly HeldFrame[], index: number): string[] {
  const left = frames.slice(0, index + 1);
  const cleanups = left.filter(({ hasCleanups }) => hasCleanups).map(({ name }) => name);
  return [
    ...(cleanups.length > 0
      ? [
          `Destructors and catch blocks of ${cleanups.join(', ')} are not run: locks, memory and files that ` +
            'objects there hold are not given back.',
        ]
      : []),
    ...(left.some(({ name }) => EXCEPTION.test(name))
      ? ['The exception that was thrown is not destroyed: std::uncaught_exceptions() goes on counting it.']
      : []),
  ];
}

function whereIs({ name, described: { file, line } }: HeldFrame): string {
  return file === undefined ? name : `${name} at ${file.slice(file.lastIndexOf('/') + 1)}:${line}`;
}

/** Why going on in any way may be wrong. */
function warningsOf({ signal }: HeldDocument, inner: readonly HeldFrame[]): string[] {
  if (!inner.some(({ name }) => ALLOCATOR.test(name))) return [];
  return [
    signalName(signal) === 'SIGABRT'
      ? 'malloc has found its data broken: the memory of the program was overwritten before.'
      : 'It crashed within malloc or free, which may hold a lock: other threads may wait for it for ever.',
  ];
}

function isAbortFrame({ name, described: { module } }: HeldFrame): boolean {
  return (name === 'abort' || name === '__GI_abort') && module !== undefined && isSystemLibrary(module);
}
