// What to say of debug information that is not as DWARF has it.
import { HotPatchError } from '../model/errors';

/** @param what ends the sentence "its debug information …" */
export const malformed = (path: string, what: string): HotPatchError =>
  new HotPatchError('unsupported-object', `${path}: its debug information ${what}`);

/** Runs a reader of malformed input: a read beyond the end of a section becomes an error with a code.
 * @throws HotPatchError `unsupported-object` */
export function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw malformed(path, 'ends in the middle of an entry');
    throw error;
  }
}
