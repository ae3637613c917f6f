// Threads that have crashed and are held: what is known of each, and how it can go on. Plain values, the same that
// `hot-patch held --json` prints and that the editor renders. No behaviour here.
import type { CrashFrame } from './result';

/** Which threads are held when they crash. `patched`: those whose innermost code that is not a system library's came with a
 * patch, or is in a module that was named. */
export type HoldMode = 'off' | 'patched' | 'all';

export interface HoldOptions {
  mode: HoldMode;
  /** Seconds after which a thread crashes that nobody said anything about; as long as the engine lives by default. */
  limit?: number;
  /** Paths of modules, as in /proc/PID/maps, that `patched` is to hold as well. */
  modules?: string[];
}

/** How a thread goes on.
 * `instruction`: at the instruction that failed, which is carried out again.
 * `call`: a frame is left, and its function is called again with the same arguments, in its newest version.
 * `return`: frames are left, as if the function of the outermost of them had returned.
 * `crash`: as it would have crashed without being held. */
export type WayKind = 'instruction' | 'call' | 'return' | 'crash';

/** What can be given as the result of a function that is returned from. `none`: it has none. `object`: all bytes zero, and
 * nothing else. */
export type ReturnKind = 'none' | 'integer' | 'boolean' | 'pointer' | 'float' | 'double' | 'object';

/** A way on that is offered. */
export interface HeldWay {
  kind: WayKind;
  /** How many frames are left, from the innermost on: 1 for the one that crashed. 0 for `instruction` and `crash`. */
  frames: number;
  /** Of the outermost frame that is left, demangled. */
  function?: string;
  /** What it means, in a sentence for people. */
  meaning: string;
  /** Why it may be wrong to go on in this way, a sentence each. */
  warnings: string[];
  /** With `return`: what result can be given; zero unless one is. */
  result?: ReturnKind;
}

/** A way on that is not offered for these frames, and why. */
export interface RefusedWay {
  kind: WayKind;
  frames: number;
  function?: string;
  reason: string;
}

/** A thread that has crashed and waits. */
export interface HeldThread {
  pid: number;
  exe: string;
  tid: number;
  thread: string;
  /** Tells this hold from others of the same process, also of the same thread. */
  id: number;
  /** Unix milliseconds. */
  at: number;
  /** e.g. `SIGSEGV`. */
  signal: string;
  /** What that means here, in words: `null pointer (address 0x8)`. */
  cause: string;
  /** The innermost first. */
  frames: CrashFrame[];
  /** Index of the first frame that is not a system library's: what a person looks at first. 0 when there is none. */
  ownFrame: number;
  ways: HeldWay[];
  refused: RefusedWay[];
}

export interface ResumeRequest {
  tid: number;
  /** Of the hold; the thread's present one by default. */
  id?: number;
  kind: WayKind;
  /** Frames that are left, with `call` and `return`; up to `ownFrame` by default. */
  frames?: number;
  /** With `return`: a whole number (`-1`, `0x10`), `true` or `false`, or a number with a fraction for floating point. */
  result?: string;
}
