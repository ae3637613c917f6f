// What the comparison of a unit is told beside its object, by those who read debug information and know what else is saved,
// and what it says of each function. Data only.
import type { ObjectFunction } from '../elf/object';
import type { LiveFunction } from '../live/functions';
import type { Image } from '../live/live_image';
import type { ClosureFacts } from './closures';
import type { Declarations } from './static_variables';

export type FunctionStatus =
  /** What runs now is what was compiled. */
  | 'same'
  /** Runs a patched version, but the fresh code is the original again. */
  | 'original'
  /** Differs from what runs now. */
  | 'changed'
  /** Not in the process. */
  | 'new';

export interface ComparedFunction {
  fn: ObjectFunction;
  status: FunctionStatus;
  live: LiveFunction | undefined;
}

/** What is known of the unit beside its object. */
export interface UnitFacts {
  /** Entries of its functions in the process, from its debug information; undefined without it. */
  entries: () => ReadonlySet<number> | undefined;
  /** Several units may have a definition of one name, of which the process runs one. Is this unit's the one that the
   * live function at an entry is to be compared with? */
  decides: (fn: ObjectFunction, image: Image, entry: number) => boolean;
  closures: ClosureFacts;
  declarations: Declarations;
  /** Of a reduced unit: functions that are no part of the edit. What they call may have been left out, so gcc may have made
   * their frames larger. */
  isUnedited?: (fn: ObjectFunction) => boolean;
}
