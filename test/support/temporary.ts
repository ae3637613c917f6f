// Temporary directories for tests. Each is removed by its user, and whatever is left when the test process ends is
// removed then, so that nothing stays in /tmp.
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const present = new Set<string>();

// Each test file is a bundle with a copy of this one, and a process runs many of them.
process.setMaxListeners(0);
process.on('exit', () => {
  for (const directory of present) removeTemporaryDirectory(directory);
});

/** A new empty directory, by its real path (as /proc/PID/maps would show it). */
export function temporaryDirectory(): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'hot-patch-test-')));
  present.add(directory);
  return directory;
}

export function removeTemporaryDirectory(directory: string): void {
  present.delete(directory);
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}
