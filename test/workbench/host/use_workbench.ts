// One VS Code for all tests of a `describe`, on a workspace that is prepared first (built, say). What a failed test
// saw is kept as a screenshot, with the extension's log.
import { copyFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../support/paths';
import { Session } from '../../support/session';
import { removeTemporaryDirectory, temporaryDirectory } from '../../support/temporary';
import { Workbench, type WorkbenchOptions } from './workbench';

export interface World {
  readonly session: Session;
  readonly workbench: Workbench;
}

/**
 * @param prepare `home`: where VS Code has its settings and extensions
 * @param options `folder` to open and `extension` under development: relative to the session's folder
 */
export function useWorkbench(
  prepare: (session: Session, home: string) => Promise<void>,
  { folder = '.', extension, ...options }: Partial<WorkbenchOptions> = {},
): World {
  let session: Session | undefined;
  let workbench: Workbench | undefined;
  const home = temporaryDirectory();
  before(async function () {
    this.timeout(180_000);
    session = new Session();
    await prepare(session, home);
    workbench = await Workbench.open({
      directory: home,
      folder: session.path(folder),
      env: session.environment,
      extension: extension && session.path(extension),
      ...options,
    });
  });
  beforeEach(function () {
    // Each wait has a patience of its own; a test has several.
    this.currentTest!.timeout(300_000);
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') {
      const name = `failed-${this.currentTest.title.replace(/\W+/g, '-').slice(0, 60)}`;
      for (const [index, window] of (workbench?.windows ?? []).entries()) {
        await window.screenshot(index === 0 ? name : `${name}-${index + 1}`);
        console.log(`SEEN as ${this.currentTest.fullTitle()} failed: ${await window.seen()}`);
      }
      keepLog(home, name);
    }
  });
  after(async () => {
    await workbench?.close();
    await session?.dispose();
    removeTemporaryDirectory(home);
  });
  return {
    get session() {
      return session!;
    },
    get workbench() {
      return workbench!;
    },
  };
}

/** Copies what the extension logged beside the screenshot. */
function keepLog(home: string, name: string): void {
  const log = readdirSync(home, { recursive: true, encoding: 'utf8' }).find((path) =>
    /Hot Patch[^/]*\.log$/.test(path),
  );
  if (log) copyFileSync(join(home, log), join(root, '.cache', 'screenshots', `${name}.log`));
}
