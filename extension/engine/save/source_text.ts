// Texts of sources that are compiled in another place than their own: first light, the whole unit over its preamble, a
// function at -O0.
import { isUtf8 } from 'node:buffer';
import { readFile } from '../host';

/** Undefined when it cannot be read, or is not UTF-8: what is written of it would be other bytes. */
export function readSourceIfThere(path: string): string | undefined {
  try {
    const bytes = readFile(path);
    return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
  } catch {
    return undefined;
  }
}
