// Which files an agent may have compiled and patched: those under the roots that its client names, or, where it names none,
// under the directory in which the server was started. A link that leads out of them is outside.
import { isAbsolute, join, resolve, sep } from 'node:path';
import { isThere, realPathOrSelf } from '../../engine/host';
import { HotPatchError } from '../../engine/model/errors';

/**
 * The absolute paths of files as an agent names them.
 * @param names absolute, or relative to one of the roots
 * @param roots directories, absolute
 * Throws HotPatchError outside-of-roots.
 */
export function filesUnder(roots: readonly string[], names: readonly string[]): string[] {
  const real = roots.map((root) => withSlash(realPathOrSelf(root)));
  return names.map((name) => {
    const places = isAbsolute(name) ? [resolve(name)] : roots.map((root) => join(root, name));
    const file = places.find(isThere) ?? places[0] ?? resolve(name);
    if (real.some((root) => realPathOrSelf(file).startsWith(root))) return file;
    throw new HotPatchError('outside-of-roots', `${file} is not under ${roots.join(', ')}`, { file });
  });
}

function withSlash(path: string): string {
  return path.endsWith(sep) ? path : path + sep;
}
