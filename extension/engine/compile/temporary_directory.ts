// A directory of an engine's own for what it compiles. One that ends removes it; one that is killed cannot, and leaves
// it to the engine that starts next. Who made it stands in it.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  namesIn,
  linkTarget,
  lookAt,
  makeUniqueDirectory,
  readTextIfThere,
  remove,
  writeWhole,
} from '../host';
import { readStat } from '../process/process_list';

const NAME = /^hot-patch-engine-(\d+)-\w{6}$/;
const OWNER = 'owner';
/** Of one whose maker is not known, or is not seen from here (another PID namespace over the same folder). */
const ABANDONED_AFTER = 24 * 3600 * 1000;

/** Makes one in a folder, after removing there what killed engines of this user left. Where it cannot be made, the
 * first compile says why: an engine is also good for what needs none. */
export function createTemporaryDirectory(parent: string): string {
  for (const name of namesIn(parent))
    if (NAME.test(name) && isAbandoned(join(parent, name))) remove(join(parent, name));
  const prefix = join(parent, `hot-patch-engine-${process.pid}-`);
  let directory: string | undefined;
  try {
    directory = makeUniqueDirectory(prefix);
    writeWhole(join(directory, OWNER), identityOf(process.pid) ?? '');
    return directory;
  } catch {
    // One that does not say whose it is would stay there for a day.
    if (directory !== undefined) remove(directory);
    return `${prefix}${randomBytes(3).toString('hex')}`;
  }
}

/** What tells a process from a later one of the same number: its namespace and its start. Undefined when it is gone. */
function identityOf(pid: number): string | undefined {
  const stat = readStat(pid);
  return stat && `${linkTarget('/proc/self/ns/pid') ?? ''} ${pid} ${stat.startTime}\n`;
}

function isAbandoned(directory: string): boolean {
  // Gone already, when another engine sweeps at the same time.
  const status = lookAt(directory);
  if (!status?.isDirectory() || status.uid !== process.getuid?.()) return false;
  const owner = readTextIfThere(join(directory, OWNER), 4096);
  const [namespace, pid] = (owner ?? '').split(' ');
  if (namespace !== undefined && namespace !== '' && namespace === linkTarget('/proc/self/ns/pid'))
    return identityOf(Number(pid)) !== owner;
  return Date.now() - status.mtimeMs > ABANDONED_AFTER;
}
