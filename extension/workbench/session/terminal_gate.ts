// The library that stands in LD_PRELOAD of terminals (native/gate/gate.c): where it is kept, and what it is told. Knows
// nothing of VS Code.
//
// The entry must be right for every program that a terminal ever starts, and as long as it is open:
// - it lies in a folder of the extension's that updates do not move, without blanks and colons, which ld.so(8) splits at;
// - `$PLATFORM`, which the loader fills in, keeps 32-bit programs from the library of the others, and musl from both;
// - AddressSanitizer ends programs in which the name of the first library has not `libasan.so` in it, and those linked
//   with its static library in which the path of any mapped file has. So the folder is named by a symbolic link: the
//   loader knows the name, and the kernel the folder.
import { copyFile, mkdir, readFile, readlink, realpath, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';

const GATE = 'libhot_fix_gate.so';
const RUNTIME = 'libhot_fix.so';
/** Variable of the gate: the runtime, then the folders, separated by colons. */
export const GATE_VARIABLE = 'HOT_FIX_GATE';

/** What loaders put in the place of $PLATFORM: AT_PLATFORM, or glibc's own name of the processor. */
const PLATFORMS: Readonly<Record<string, readonly string[]>> = {
  [GATE]: ['x86_64', 'haswell', 'xeon_phi'],
  'libhot_fix_gate_32.so': ['i386', 'i486', 'i586', 'i686'],
};

export interface Gate {
  /** For LD_PRELOAD. */
  readonly library: string;
  /** A link to the runtime that stays where it is when the extension is updated. */
  readonly runtime: string;
}

/** Puts the gate into a folder; what is there already is replaced by rename, as programs have it mapped.
 * @param prebuilt directory with the libraries of the gate
 * @param runtime directory with the runtime's library */
export async function putGate(folder: string, prebuilt: string, runtime: string): Promise<Gate> {
  const terminals = join(folder, 'terminals');
  for (const [library, names] of Object.entries(PLATFORMS)) {
    const [first, ...others] = names;
    await mkdir(join(terminals, first!), { recursive: true });
    await putFile(join(prebuilt, library), join(terminals, first!, GATE));
    for (const name of others) await putLink(first!, join(terminals, name));
  }
  await putLink(join(runtime, RUNTIME), join(terminals, RUNTIME));
  const named = join(folder, 'before-libasan.so');
  await putLink('terminals', named);
  return { library: join(named, '$PLATFORM', GATE), runtime: join(terminals, RUNTIME) };
}

/** Can paths below the folder stand in LD_PRELOAD? The loader knows no quoting. */
export function isPreloadable(folder: string): boolean {
  return !/[\s:$]/.test(folder);
}

/** The value of the gate's variable. Folders with a colon in their path cannot be told, and are left out. */
export async function gateValue(runtime: string, folders: readonly string[]): Promise<string> {
  const real = await Promise.all(folders.map((folder) => realpath(folder).catch(() => folder)));
  const told = [...new Set(real)].filter((folder) => !folder.includes(':'));
  const outermost = told.filter((folder) => !told.some((other) => folder.startsWith(`${other}/`)));
  return [runtime, ...outermost].join(':');
}

async function putFile(from: string, to: string): Promise<void> {
  const [content, present] = await Promise.all([readFile(from), readFile(to).catch(() => undefined)]);
  if (present?.equals(content)) return;
  await put(to, (path) => copyFile(from, path));
}

async function putLink(target: string, path: string): Promise<void> {
  if ((await readlink(path).catch(() => undefined)) === target) return;
  await put(path, (temporary) => symlink(target, temporary));
}

async function put(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await rm(temporary, { force: true });
  await make(temporary);
  await rename(temporary, path);
}
