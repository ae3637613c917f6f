// What the comparison of one fresh function with one live body found: the data that the passes of unit.ts hand to each
// other. Decides nothing.
import type { ElfSymbol } from '../elf/file';
import type { ObjectFunction } from '../elf/object';
import type { LiveFunction } from '../live/functions';

/** Something the fresh code refers to that can only be judged when all functions have their counterparts. */
export type Expectation =
  | { kind: 'function'; target: ObjectFunction; offset: number; address: number }
  | { kind: 'variable'; symbol: ElfSymbol; offset: number; address: number }
  /** What another unit defines: there is something of that name. */
  | { kind: 'name'; name: string; address: number };

export interface Match {
  equal: boolean;
  expectations: Expectation[];
  /** Offset in the fresh function → offset in the live one, at instruction starts. Undefined: the same. */
  offsets: Map<number, number> | undefined;
}

/** A function in the process that a fresh one may be, compared with it. */
export interface Home {
  live: LiveFunction;
  /** With the body that runs now. */
  current: Match;
  original: Match;
}

export const DIFFERENT: Match = { equal: false, expectations: [], offsets: undefined };
