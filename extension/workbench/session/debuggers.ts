// Debug sessions of other extensions whose debuggers take commands. Each enters itself (debugging/neighbour_session.ts)
// for as long as it lasts.

export interface AskedDebugger {
  readonly name: 'gdb' | 'lldb';
  has(pid: number): boolean;
  /** Gives the debugger a command of its own, in the thread with which the process has stopped at a breakpoint or after a
   * step: there it is in code of the program, and holds no lock of the C library.
   * @returns what the debugger says; undefined when the process stands nowhere such, and nothing was done */
  tellAtBreakpoint(command: string): Promise<string | undefined>;
}

export type Debuggers = Set<AskedDebugger>;
