// Peace with debuggers of other extensions: the runtime's own signal is passed to the program without stopping the
// session. What to say to which debugger, and which stop was ours; pure, and only about that one signal.
import { constants } from 'node:os';
import type { PatchableProcess } from '../engine/model/result';

/** First and last real-time signal of glibc (signal(7)). */
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** What a runtime chooses that is not told otherwise: the last one that the program does not handle. */
export const USUAL_SIGNAL = SIGRTMAX;

export interface Speech {
  readonly debugger: 'gdb' | 'lldb';
  readonly prefix: string;
}

/** Debug types whose sessions are told, and how each takes a command of its debugger in `evaluate` (context `repl`):
 * MIEngine's `-exec`; the escape of lldb-dap, which takes anything else for an expression. */
const SPEECH: Readonly<Record<string, Speech>> = {
  cppdbg: { debugger: 'gdb', prefix: '-exec ' },
  gdb: { debugger: 'gdb', prefix: '' },
  lldb: { debugger: 'lldb', prefix: '' },
  'lldb-dap': { debugger: 'lldb', prefix: '`' },
};
export const foreignDebugTypes = Object.keys(SPEECH);

function posixName(signal: number): string | undefined {
  return Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
}

/** As `handle` of gdb spells it: real-time signals go by their number. */
export function gdbSignalName(signal: number): string {
  return posixName(signal) ?? `SIG${signal}`;
}

/** As `process handle` of lldb spells it: real-time signals count from the nearer end. */
function lldbSignalName(signal: number): string {
  const posix = posixName(signal);
  if (posix) return posix;
  const half = (SIGRTMIN + SIGRTMAX) / 2;
  const [base, distance, sign] =
    signal <= half ? ['SIGRTMIN', signal - SIGRTMIN, '+'] : ['SIGRTMAX', SIGRTMAX - signal, '-'];
  return distance === 0 ? base : `${base}${sign}${distance}`;
}

/** The command for the debugger itself. */
export function passCommand(debuggerName: 'gdb' | 'lldb', signal: number): string {
  return debuggerName === 'gdb'
    ? `handle ${gdbSignalName(signal)} nostop noprint pass`
    : `process handle --stop false --notify false --pass true ${lldbSignalName(signal)}`;
}

/** Which debugger a session has, and what its commands begin with in `evaluate` (context `repl`); undefined for types that
 * are not known. */
export function speechOf(
  debugType: string,
  configuration: Readonly<Record<string, unknown>>,
): Speech | undefined {
  const speech = SPEECH[debugType];
  return debugType === 'cppdbg' && speech && configuration['MIMode'] === 'lldb'
    ? { ...speech, debugger: 'lldb' }
    : speech;
}

/** The configuration of a session of cpptools (debug type cppdbg) with the command among those that its gdb begins with:
 * once the program runs it takes none. Others are returned as they are. */
export function withPassSetup<Configuration extends Readonly<Record<string, unknown>>>(
  configuration: Configuration,
  signal: number,
): Configuration {
  if (configuration['type'] !== 'cppdbg' || configuration['MIMode'] === 'lldb') return configuration;
  const present: unknown = configuration['setupCommands'];
  const command = {
    description: "Hot Patch: its runtime's signal does not stop the session",
    text: passCommand('gdb', signal),
    ignoreFailures: true,
  };
  return {
    ...configuration,
    setupCommands: [...(Array.isArray(present) ? (present as unknown[]) : []), command],
  };
}

/** The body of DAP's `stopped` event, as far as it matters. */
export interface Stopped {
  reason: string;
  description?: string;
  text?: string;
  /** On Linux the number that the kernel gave the thread. */
  threadId?: number;
}

/** Did the process stop because of this signal and nothing else?
 * @param workerTid the runtime's thread: no other signal is sent to it, which tells where the debugger names none (lldb 14
 *   leaves the description out when the signal comes while it takes a command) */
export function isStopBy(
  signal: number,
  { reason, description, text, threadId }: Stopped,
  workerTid: number,
): boolean {
  if (!/^(signal|exception)$/.test(reason)) return false;
  if (!description && !text) return threadId === workerTid;
  const names = [gdbSignalName(signal), lldbSignalName(signal)].map((name) => name.replace(/[+]/g, '\\+'));
  return new RegExp(`(^|[^A-Z0-9])(${names.join('|')})(?![A-Z0-9+-])`).test(
    `${description ?? ''} ${text ?? ''}`,
  );
}

/** The process that a configuration attaches to. */
export function configuredPid(configuration: Readonly<Record<string, unknown>>): number | undefined {
  return Number(configuration['processId'] ?? configuration['pid']) || undefined;
}

/** The process of a session: the one its debugger named or was attached to, else the one it started, which it traces.
 * @param tracerOf the tracer of a process, 0 when it has none */
export function processOf(
  configuration: Readonly<Record<string, unknown>>,
  announcedPid: number | undefined,
  processes: readonly PatchableProcess[],
  tracerOf: (pid: number) => number,
): PatchableProcess | undefined {
  const withRuntime = processes.filter(({ runtime }) => runtime !== undefined);
  const pid = announcedPid ?? configuredPid(configuration);
  if (pid !== undefined) return withRuntime.find((process) => process.pid === pid);
  return withRuntime.find(
    (process) => process.exe === configuration['program'] && tracerOf(process.pid) !== 0,
  );
}
