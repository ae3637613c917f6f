// The environment in which a program gets the runtime without being built with it.
import { delimiter, join, resolve } from 'node:path';
import { ElfFile } from '../elf/file';
import { isThere } from '../host';
import { HotPatchError } from '../model/errors';

const RUNTIME = 'libhot_fix.so';

/** AddressSanitizer's library ends programs in which another one comes before it (compiler-rt, `verify_asan_link_order`). */
const SANITIZER = /\0(lib(?:clang_rt\.)?asan[\w.-]*\.so[.\d]*)\0/;

/**
 * LD_PRELOAD with the runtime before what is there already (ld.so(8)), and behind the sanitizer that must be first.
 * @param program as it will be executed; when it is a script, what it starts is not known
 * Throws HotPatchError file-not-found, unsupported-construct.
 */
export function runEnvironment(
  base: NodeJS.ProcessEnv,
  program: string,
  directory: string,
): NodeJS.ProcessEnv {
  const library = resolve(directory, RUNTIME);
  if (!isThere(library))
    throw new HotPatchError('file-not-found', `The runtime ${library} does not exist`, { file: library });
  if (/[\s:]/.test(library))
    // ld.so splits LD_PRELOAD at blanks and colons and knows no quoting.
    throw new HotPatchError(
      'unsupported-construct',
      `${library} cannot be preloaded: its path has a blank or colon`,
    );
  const preloaded = [sanitizerOf(program, base), library, base['LD_PRELOAD']].filter(Boolean);
  return { ...base, LD_PRELOAD: preloaded.join(delimiter) };
}

/** Name of the AddressSanitizer library that a program is linked with. */
function sanitizerOf(program: string, { PATH = '' }: NodeJS.ProcessEnv): string | undefined {
  const places = program.includes('/')
    ? [program]
    : PATH.split(delimiter).map((directory) => join(directory, program));
  const file = places.find(isThere);
  if (file === undefined) return undefined;
  try {
    const elf = ElfFile.open(file);
    const names = elf.section('.dynstr');
    const found = names && SANITIZER.exec(elf.data(names).toString('latin1'))?.[1];
    elf.close();
    return found;
  } catch (thrown) {
    // A script, or of a form that is not read here: the program may still run.
    if (thrown instanceof HotPatchError) return undefined;
    throw thrown;
  }
}
