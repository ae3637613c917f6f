// Functions of the process as a save sees them: the entry that callers know, and the versions behind it.
// Data, made from the runtime's status and the module's symbols.
import type { Image } from './live_image';

/** A function in the process: where callers enter it, and the bodies it has had. */
export interface LiveFunction {
  /** Original entry: the module's, or that of the patch that introduced the function. */
  entry: number;
  size: number;
  image: Image;
  name: string;
  /** The body that runs now when it was redirected. */
  current: Body | undefined;
  /** All bodies but the original that threads may still be running, the current one among them. */
  versions: readonly Body[];
}

/** A version of a redirected function. */
export interface Body {
  address: number;
  size: number;
  /** Caller-saved registers that its callers find as they were, because code before it keeps them. */
  preserved: number;
}

/** Versions of redirected functions, from the runtime's status, by entry. */
export type Bodies = ReadonlyMap<number, Pick<LiveFunction, 'current' | 'versions'>>;

/** Is there room for a jump at the entry, padding behind it included? */
export function hasRoomForJump({ entry, size, image }: LiveFunction): boolean {
  const body = image.bytes(entry, size);
  if (!body) return true; // for those to say who need the code
  const { jumpOffset, room } = image.arch.entryShape(body, image.padding(entry + size, 16));
  return room >= jumpOffset + image.arch.jumpSize;
}
