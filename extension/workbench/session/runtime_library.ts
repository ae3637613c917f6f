// Where the runtime is that is loaded into started programs: the prebuilt one of the extension, or, where that does
// not load (an older libc than it was built for), one that is built once from the packed sources with the user's
// compiler, into the extension's own storage. Setting hotPatch.runtimeDirectory goes before both.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const LIBRARY = 'libhot_fix.so';

export interface RuntimePlaces {
  /** The extension's folder, with `dist/native/lib` and the sources in `native`. */
  readonly extension: string;
  /** A folder that the extension may write to, of this version of it. */
  readonly storage: string;
}

/**
 * @returns the directory with a libhot_fix.so that loads here; undefined: the prebuilt one, which is the default
 * @throws when the prebuilt one does not load and none can be built: the loader's or the compiler's own words
 */
export async function runtimeDirectory(
  places: RuntimePlaces,
  log: (message: string) => void,
): Promise<string | undefined> {
  const prebuilt = join(places.extension, 'dist', 'native', 'lib');
  const trouble = await loaderTrouble(join(prebuilt, LIBRARY));
  if (trouble === undefined) return undefined;
  const built = join(places.storage, 'native');
  if ((await loaderTrouble(join(built, 'lib', LIBRARY))) !== undefined) {
    log(
      `the prebuilt runtime does not load here (${trouble}); building it with the compiler of this machine`,
    );
    const native = join(places.extension, 'native');
    await run('make', ['--no-print-directory', '-C', native, `OUT=${built}`, 'runtime']);
    const still = await loaderTrouble(join(built, 'lib', LIBRARY));
    if (still !== undefined) throw new Error(`the runtime was built, and does not load: ${still}`);
  }
  return join(built, 'lib');
}

/** Why a library cannot be preloaded: the loader ignores it then, and says so on standard error. */
export async function loaderTrouble(library: string): Promise<string | undefined> {
  const { stderr } = await run('/bin/true', [], { env: { LD_PRELOAD: library } });
  return stderr.trim() || undefined;
}
