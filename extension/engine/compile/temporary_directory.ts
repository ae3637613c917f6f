// A directory of an engine's own for what it compiles. One that ends removes it; one that is killed cannot, and leaves
// it to the engine that starts next. Who made it stands in its name, so that there is none that does not say it, whenever
// its engine is killed: `hot-patch-engine-NAMESPACE.PID.START-RANDOM`, START as in /proc/PID/stat.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { lookAt, makeUniqueDirectory, namesIn, remove } from '../host';
import { fileOwner } from '../process/file_owner';
import { readStat } from '../process/process_list';

const NAME = /^hot-patch-engine-((\d+\.)(\d+)\.\d+)-\w{6}$/;
/** Of one whose maker cannot be seen from here (another PID namespace over the same folder). */
const ABANDONED_AFTER = 24 * 3600 * 1000;

/** Makes one in a folder, after removing there what killed engines of this user left. Where it cannot be made, the
 * first compile says why: an engine is also good for what needs none. */
export function createTemporaryDirectory(parent: string): string {
  for (const name of namesIn(parent)) if (isAbandoned(parent, name)) remove(join(parent, name));
  const prefix = join(parent, `hot-patch-engine-${identityOf(process.pid)}-`);
  try {
    return makeUniqueDirectory(prefix);
  } catch {
    return `${prefix}${randomBytes(3).toString('hex')}`;
  }
}

/** What tells a process of this PID namespace from a later one of the same number; START is 0 when there is none. */
const identityOf = (pid: number): string => `${fileOwner(pid)}.${readStat(pid)?.startTime ?? 0}`;

function isAbandoned(parent: string, name: string): boolean {
  const [, owner, namespace, pid] = NAME.exec(name) ?? [];
  if (owner === undefined) return false;
  // Gone already, when another engine sweeps at the same time.
  const status = lookAt(join(parent, name));
  if (!status?.isDirectory() || status.uid !== process.getuid?.()) return false;
  const isOfOurs = fileOwner(Number(pid)).startsWith(namespace!);
  return isOfOurs ? identityOf(Number(pid)) !== owner : Date.now() - status.mtimeMs > ABANDONED_AFTER;
}
