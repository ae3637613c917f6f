// How lldb has the runtime carry out a save while the process stands at a breakpoint (docs/PROTOCOL.md, section 6): the
// runtime's thread calls `hot_fix_serve`, all others stay where they are. Pure: what to say, and what to read from it.

export const LIST_THREADS = 'thread list';

export const selectThread = (index: string): string => `thread select ${index}`;

/** Is given in the runtime's thread. A call that is given up must not be unwound: it may be in the middle of a transaction. */
export const SERVE =
  'expression --all-threads false --unwind-on-error false --ignore-breakpoints false -- (const char *) hot_fix_serve()';

/**
 * @param list what lldb says to `LIST_THREADS`
 * @param workerTid the runtime's thread, by its kernel's number
 * @returns lldb's own numbers of the runtime's thread and of the one that is selected; undefined when it lacks one
 */
export function threadsIn(list: string, workerTid: number): { worker: string; selected: string } | undefined {
  const worker = new RegExp(`^[* ] *thread #(\\d+): tid = ${workerTid}\\b`, 'm').exec(list)?.[1];
  const selected = /^\* *thread #(\d+)/m.exec(list)?.[1];
  return worker !== undefined && selected !== undefined ? { worker, selected } : undefined;
}
