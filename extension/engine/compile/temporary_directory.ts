// A directory of an engine's own for what it compiles. One that ends removes it; one that is killed cannot, and leaves
// it to the engines that come after.
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const NAME = /^hot-patch-engine-(\d+)-\w{6}$/;
/** Younger ones may belong to a process that is not seen from here (another PID namespace over the same folder). */
const ABANDONED_AFTER = 24 * 3600 * 1000;

/** Makes one in a folder, after removing there what killed engines of this user left. */
export function createTemporaryDirectory(parent: string): string {
  for (const name of readdirSync(parent)) {
    const owner = NAME.exec(name)?.[1];
    if (owner !== undefined && isAbandoned(join(parent, name), Number(owner)))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(parent, `hot-patch-engine-${process.pid}-`));
}

function isAbandoned(directory: string, owner: number): boolean {
  // Gone already, when another engine sweeps at the same time.
  const status = lstatSync(directory, { throwIfNoEntry: false });
  if (!status?.isDirectory() || status.uid !== process.getuid?.()) return false;
  return Date.now() - status.mtimeMs > ABANDONED_AFTER && !isRunning(owner);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
