// How a process that a debugger has gets the runtime all the same: what to tell that debugger. lldb calls dlopen in the
// process. gdb must not: gdb 13 cannot put the registers back where the processor's extended state is larger than it
// knows, and the program ends by SIGABRT when it goes on. It lets go for the moment of attaching, and keeps its breakpoints.
import type { DebuggerCommands } from '../model/result';

const RTLD_NOW = 2;

/** @param tracer what begins with the name of the debugger's process
 * @param library path of the runtime, as the process sees files */
export function debuggerCommands(tracer: string, pid: number, library: string): DebuggerCommands | undefined {
  if (/^lldb|^debugserver/.test(tracer))
    return {
      name: 'lldb',
      commands: [`expression (void *) dlopen(${JSON.stringify(library)}, ${RTLD_NOW})`],
    };
  if (/^gdb/.test(tracer))
    return { name: 'gdb', commands: ['detach', `shell hot-patch attach ${pid}`, `attach ${pid}`] };
  return undefined;
}
