// Calls whose result depends on which module the call is made from. The code of a patch lies in a module of its own, which
// is behind all others.
import type { Instructions } from '../arch/architecture';

/** dlsym(3), dlvsym(3): with RTLD_NEXT they look behind the module of their caller. */
const LOOKUPS: ReadonlySet<string> = new Set(['dlsym', 'dlvsym']);

/** RTLD_NEXT of <dlfcn.h>. */
const NEXT = -1;

/** May code that refers to a symbol ask for what comes behind its own module? It has RTLD_NEXT in it then, whatever way that
 * goes to the call.
 * @param code of the function */
export function asksForNext(instructions: Instructions, code: Uint8Array, symbol: string): boolean {
  return LOOKUPS.has(symbol) && instructions.putsNumber(code, NEXT);
}
