// Brings the runtime into processes that were started without it, by the program hot_fix_attach beside the runtime
// (native/attach): starts it, reads its one JSON document, and gives its codes as problems. Which processes, is for
// others to say; what happens in them, is in that program.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { EngineContext } from '../context';
import { isThere, linkTarget } from '../host';
import { ERROR_TABLE, HotPatchError, type ErrorCode } from '../model/errors';
import type { Attachability, AttachResult, PatchableProcess, Problem } from '../model/result';
import { unreachableRuntime } from './missing_runtime';
import { debuggerCommands } from './through_debugger';

const PROGRAM = 'hot_fix_attach';
const LIBRARY = 'libhot_fix.so';
/** Milliseconds for the program to end, which gives itself two seconds. */
const TIMEOUT = 10_000;

export interface Attacher {
  /** Attaches to one process. A refusal is a value. */
  attach(process: PatchableProcess): Promise<AttachResult>;
  /** What each process is, without touching it. */
  look(pids: readonly number[]): Promise<Attachability[]>;
}

/** @param directory where the runtime's library is */
export function createAttacher(directory: string, log: EngineContext['log']): Attacher {
  const run = async (args: readonly string[]): Promise<unknown> => {
    const program = join(directory, PROGRAM);
    if (!isThere(program))
      throw new HotPatchError('file-not-found', `${program} does not exist`, { file: program });
    return JSON.parse(await outputOf(program, args));
  };

  return {
    async attach({ pid, exe, state }) {
      const start = performance.now();
      const library = join(directory, LIBRARY);
      const document = (await run([String(pid), library])) as AttachDocument;
      const { outcome, error, activity, pause, total, thread } = document;
      // Another user's process is for that user to reach.
      const unreachable = state === 'other-user' ? undefined : unreachableRuntime({ pid, exe });
      const problem = problemOf(pid, error, library) ?? unreachable;
      log(
        problem ? 'warn' : 'info',
        `attach ${pid}: ${outcome}${problem ? `, ${problem.message} [${problem.code}]` : ` in ${total} µs, thread ${thread} (${activity}) paused ${pause} µs`}`,
      );
      return {
        pid,
        exe,
        outcome,
        pause: pause / 1000,
        milliseconds: performance.now() - start,
        ...(problem && { problem }),
      };
    },

    async look(pids) {
      if (pids.length === 0) return [];
      const documents = (await run(['--look', ...pids.map(String)])) as LookDocument[];
      return documents.map(({ pid, outcome, error }) => {
        const exe = linkTarget(`/proc/${pid}/exe`) ?? '';
        const unreachable = outcome === 'ready' ? unreachableRuntime({ pid, exe }) : undefined;
        const problem = problemOf(pid, error) ?? unreachable;
        return { pid, outcome: unreachable ? 'refused' : outcome, ...(problem && { problem }) };
      });
    },
  };
}

interface ErrorDocument {
  code: string;
  message: string;
}

interface AttachDocument {
  outcome: AttachResult['outcome'];
  error?: ErrorDocument;
  thread: number;
  activity: string;
  /** Microseconds. */
  pause: number;
  total: number;
}

interface LookDocument {
  pid: number;
  outcome: Attachability['outcome'];
  error?: ErrorDocument;
}

/** @param library where a debugger is to be told what it can do */
function problemOf(pid: number, error: ErrorDocument | undefined, library?: string): Problem | undefined {
  if (!error) return undefined;
  const code = Object.hasOwn(ERROR_TABLE, error.code) ? (error.code as ErrorCode) : 'internal';
  const problem = { code, message: error.message, pid };
  if (code !== 'debugged' || library === undefined) return problem;
  // The message begins with the name of who has the process.
  const commands = debuggerCommands(error.message, pid, library);
  return { ...problem, ...(commands && { debugger: commands }) };
}

/** Standard output of the program, whatever its exit status: a refusal has its document too. */
function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT });
    let output = '';
    let messages = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (messages += text));
    const failed = (why: string): void =>
      reject(new HotPatchError('not-loaded', `${program} does not run here: ${why}`, { file: program }));
    child.on('error', (error) => failed(error.message));
    child.on('close', (status, signal) => {
      if (output !== '') resolve(output);
      else failed(messages.trim() || (signal ?? `status ${status}`));
    });
  });
}
