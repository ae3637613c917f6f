// Calls whose result depends on which module the call is made from. The code of a patch lies in a module of its own, which
// is behind all others.
import type { Instructions } from '../arch/architecture';
import type { ObjectFunction } from '../elf/object';

/** dlsym(3), dlvsym(3): with RTLD_NEXT they look behind the module of their caller. */
const LOOKUPS: ReadonlySet<string> = new Set(['dlsym', 'dlvsym']);

/** RTLD_NEXT of <dlfcn.h>. */
const NEXT = -1;

/** Why a function that refers to a symbol is refused: it may ask for what comes behind its own module. It has RTLD_NEXT in
 * it then, whatever way that goes to the call. */
export function dependsOnCaller(
  instructions: Instructions,
  fn: ObjectFunction,
  callee: string,
): string | undefined {
  if (!LOOKUPS.has(callee) || !instructions.putsNumber(fn.object.code(fn), NEXT)) return undefined;
  return `${fn.symbol.name} calls ${callee} with RTLD_NEXT, which looks behind the module of its caller: behind the patch there is none`;
}
