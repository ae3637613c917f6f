// The program that brings the runtime into a running process, as the engine starts it.
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { dist } from './paths';

export const attachProgram = join(dist, 'native', 'lib', 'hot_fix_attach');
const library = join(dist, 'native', 'lib', 'libhot_fix.so');

/** Where it can be told to end itself, or the process, in the order in which it comes there. */
export const attachSteps = [
  ...[
    'looked',
    'seized',
    'stopped',
    'settled',
    'called',
    'mapped',
    'written',
    'entered',
    'finished',
    'restored',
  ],
  ...['released', 'waited'],
];

export interface Attached {
  pid: number;
  outcome: 'attached' | 'ready' | 'refused';
  error?: { code: string; message: string; errno: number };
  /** The borrowed thread, what it was doing, and for how long it stood still (microseconds). */
  thread: number;
  activity: string;
  samples: number;
  pause: number;
  total: number;
}

export interface AttachOptions {
  library?: string;
  /** Milliseconds. Long, because a loaded machine is no reason for a test to fail. */
  within?: number;
  /** `--end-at STEP` or `--end-process-at STEP`. */
  end?: [option: string, step: string];
  /** Before the program: `setpriv …`. */
  wrapper?: string[];
  /** Another copy of it. */
  program?: string;
}

/** Runs it to its end. Its document is undefined when it was killed. */
export async function runAttach(
  pid: number,
  options: AttachOptions = {},
): Promise<{ status: number | string; document: Attached | undefined }> {
  const args = ['--within', String(options.within ?? 30_000), ...(options.end ?? [])];
  const [command, ...rest] = [...(options.wrapper ?? []), options.program ?? attachProgram, ...args];
  const child = spawn(command!, [...rest, String(pid), options.library ?? library], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return {
    status: child.exitCode ?? child.signalCode ?? 'unknown',
    document: output === '' ? undefined : (JSON.parse(output) as Attached),
  };
}

/** Attaches; it must succeed. */
export async function attach(pid: number, options: AttachOptions = {}): Promise<Attached> {
  const { status, document } = await runAttach(pid, options);
  assert.equal(status, 0, JSON.stringify(document));
  assert.equal(document?.outcome, 'attached', JSON.stringify(document));
  return document;
}

/** It must be refused, for this reason. */
export async function attachIsRefused(
  pid: number,
  code: string,
  options: AttachOptions = {},
): Promise<Attached> {
  const { status, document } = await runAttach(pid, options);
  assert.equal(document?.error?.code, code, JSON.stringify(document));
  assert.equal(status, 2);
  return document;
}
