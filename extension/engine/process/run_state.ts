// Does a process run, is it stopped, which signals does it handle: /proc/PID/status (proc(5)). Pure but for one read.
import { readProcessText } from '../host';

export interface RunState {
  /** By SIGSTOP and the like, or by a tracer (its pid). */
  stopped: { tracer: number | undefined } | undefined;
  /** A debugger is attached, whether or not it holds the process. */
  traced: boolean;
  /** Has the process a handler for this signal? */
  caught: (signal: number) => boolean;
}

export function parseRunState(text: string): RunState {
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(text)?.[1] ?? '';
  const state = field('State');
  const tracer = Number(field('TracerPid'));
  const mask = BigInt(`0x${field('SigCgt') || '0'}`);
  return {
    stopped: state === 'T' || state === 't' ? { tracer: state === 't' ? tracer : undefined } : undefined,
    traced: tracer > 0,
    caught: (signal) => signal > 0 && ((mask >> BigInt(signal - 1)) & 1n) === 1n,
  };
}

/** Undefined when the process is gone. */
export function readRunState(pid: number): RunState | undefined {
  const text = readProcessText(pid, 'status');
  return text === undefined ? undefined : parseRunState(text);
}
