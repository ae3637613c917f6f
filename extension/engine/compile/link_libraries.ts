// The shared libraries that the driver of a compile command links every program with: libstdc++ or libc++, libm, libgcc_s
// and libc for C++. The driver is asked, which says what it would run (`-###`). Links nothing.
import { basename, isAbsolute } from 'node:path';
import type { CompileEntry } from '../context';
import { readTextIfThere } from '../host';
import { compilerIndex } from './command';
import { type CompilerLimits, run } from './run_compiler';

/** What of a compile command has a part in which libraries are linked. */
const OPTION =
  /^(--?(stdlib|sysroot|target|gcc-toolchain|rtlib|unwindlib)=.*|-nostdlib.*|-nodefaultlibs|-nolibc|-static.*|-m(32|64|x32)|-fopenmp.*|-B.+)$/;
const WITH_VALUE = new Set(['-target', '--sysroot', '-isysroot', '-B']);

/** A word of the linker's command, as either driver quotes it. */
const WORD = /(?:^|\s)"?(-l[^\s"]+|-Bstatic|-Bdynamic|-static)"?(?=\s|$)/g;

/** Where a driver finds a library by its file name; undefined when there is none. */
type LibraryFile = (name: string) => Promise<string | undefined>;

/**
 * Their files, in the order in which they are linked.
 * Throws CompileError compiler-not-found.
 */
export async function linkLibraries(
  entry: CompileEntry,
  limits: CompilerLimits,
  libraryFile: LibraryFile,
): Promise<string[]> {
  const found = new Set<string>();
  for (const name of await librariesOf(entry, limits))
    for (const file of await sharedFiles(`lib${name}.so`, libraryFile)) found.add(file);
  return [...found];
}

/** Names as `-l` has them. */
async function librariesOf(entry: CompileEntry, limits: CompilerLimits): Promise<Set<string>> {
  const compiler = compilerIndex(entry.arguments);
  const options = entry.arguments.slice(compiler + 1).flatMap((word, i, all) => {
    if (WITH_VALUE.has(word)) return [word, all[i + 1] ?? ''];
    return OPTION.test(word) ? [word] : [];
  });
  const driver = entry.arguments.slice(0, compiler + 1);
  const { status, output } = await run(
    [...driver, ...options, '-###', entry.source, '-o', 'program'],
    entry,
    limits,
    undefined,
  );
  const names = new Set<string>();
  if (status !== 0) return names;
  for (const line of output.split('\n')) {
    let isStatic = false;
    for (const [, word = ''] of line.matchAll(WORD)) {
      if (word.startsWith('-l')) {
        if (!isStatic) names.add(word.slice(2));
      } else isStatic = word !== '-Bdynamic';
    }
  }
  return names;
}

/** What a linker takes for a library: itself, or what the script at its place names (GNU ld, "Implicit Linker Scripts"). */
async function sharedFiles(name: string, libraryFile: LibraryFile, depth = 0): Promise<string[]> {
  const path = isAbsolute(name) ? name : await libraryFile(name);
  const text = path === undefined ? undefined : readTextIfThere(path);
  if (path === undefined || text === undefined || depth > 3) return [];
  if (text.startsWith('\x7fELF')) return [path];
  const files = [];
  const script = text.replace(/\/\*[^]*?\*\//g, '').replace(/\bAS_NEEDED\b/g, '');
  for (const word of script.split(/[\s()]+/)) {
    const library = /^-l(.+)$/.exec(word)?.[1];
    if (library !== undefined) files.push(...(await sharedFiles(`lib${library}.so`, libraryFile, depth + 1)));
    else if (/\.so(\.\d+)*$/.test(basename(word)))
      files.push(...(await sharedFiles(word, libraryFile, depth + 1)));
  }
  return files;
}
