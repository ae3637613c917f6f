// Speaks with the runtime in a process (docs/PROTOCOL.md): writes a request, rings the doorbell, waits for the one
// answer. Says what the runtime reported and what memory shows; decides nothing about patches.
import { mkdirSync, watch, type FSWatcher } from 'node:fs';
import { readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Answer, EngineContext, RequestOptions, RuntimeClient } from '../context';
import { HotPatchError } from '../model/errors';
import type { PatchableProcess, PatchedFunction, ProcessStatus } from '../model/result';
import { PROTOCOL_VERSION } from './control_directory';
import { errorCode, readMemory } from './memory';
import { signalThread } from './system_calls';
import { readStat } from './process_list';
import { readRunState, type RunState } from './run_state';
import { parseAnswer, parseStatus } from './status';

/** Milliseconds. */
const DEFAULT_TIMEOUT = 10_000;
/** How often the process is looked at while waiting, and the answer too where file events do not arrive. */
const POLL_INTERVAL = 50;

/** Lines of a request between the first and the last. */
type RequestLine = readonly [key: string, value: string];

/** The text of a request (section 2). Throws HotPatchError bad-request for a value that cannot be in it. */
export function requestText(command: string, lines: readonly RequestLine[]): string {
  for (const [key, value] of lines)
    if (/[\n\0]/.test(value))
      throw new HotPatchError(
        'bad-request',
        `A ${key} with a line break cannot be sent: ${JSON.stringify(value)}`,
      );
  return [
    'hot_fix 1',
    `command ${command}`,
    ...lines.map(([key, value]) => (value === '' ? key : `${key} ${value}`)),
    'end',
    '',
  ].join('\n');
}

const hexadecimal = (address: number): string => `0x${address.toString(16)}`;

let requestCount = 0;
/** Unique among all engines of the machine, and ascending by name as by time. */
function newRequestId(): string {
  const time = Date.now().toString(16).padStart(12, '0');
  return `${time}-${process.pid}-${(requestCount++).toString().padStart(6, '0')}`;
}

/** The runtime of `target`. Throws HotPatchError no-runtime, protocol-mismatch. */
export function createRuntimeClient(
  target: PatchableProcess,
  { demangle, log }: Pick<EngineContext, 'demangle' | 'log'>,
): RuntimeClient {
  const { pid, exe, runtime } = target;
  if (!runtime)
    throw new HotPatchError('no-runtime', `${exe} (process ${pid}) has no hot_fix runtime`, { pid });
  if (runtime.protocol !== PROTOCOL_VERSION)
    throw new HotPatchError(
      'protocol-mismatch',
      `The runtime ${runtime.version} in process ${pid} speaks protocol ${runtime.protocol}, ` +
        `this engine protocol ${PROTOCOL_VERSION}`,
      { pid },
    );
  const directory = runtime.controlDirectory;
  const patchDirectory = join(directory, 'patches');
  mkdirSync(patchDirectory, { recursive: true, mode: 0o700 });

  /** Names for people, and each trampoline compared with the process's memory. */
  const complete = async (status: ProcessStatus): Promise<ProcessStatus> => {
    const names = await demangle(status.functions.map(({ symbol }) => symbol));
    const functions = status.functions.map((entry, index) => ({
      ...entry,
      name: names[index] ?? entry.symbol,
      verifiedFromMemory: verifyFromMemory(pid, entry),
    }));
    return { ...status, functions };
  };

  const gone = (): HotPatchError =>
    new HotPatchError('process-gone', `${exe} (process ${pid}) has ended`, { pid });

  const ring = async (): Promise<void> => {
    // Pid and thread numbers are used again, and an unhandled signal ends a process: look before ringing.
    if (readStat(pid)?.startTime !== target.startTime) throw gone();
    const { caught } = readRunState(pid) ?? {};
    if (
      caught?.(runtime.signal) !== true ||
      (await signalThread(pid, runtime.workerTid, runtime.signal)) !== 0
    ) {
      if (readStat(pid)?.startTime !== target.startTime) throw gone();
      throw new HotPatchError(
        'no-runtime',
        `The runtime in process ${pid} is no longer there: the process runs another program now, ` +
          `or has taken back signal ${runtime.signal}`,
        { pid },
      );
    }
  };

  const ask = async (
    command: string,
    lines: readonly RequestLine[],
    options: RequestOptions = {},
  ): Promise<Answer> => {
    options.signal?.throwIfAborted();
    const id = newRequestId();
    const request = join(directory, 'requests', id);
    const answerFile = join(directory, 'answers', `${id}.json`);
    const waiting = waitForFile(join(directory, 'answers'), answerFile);
    try {
      const unfinished = join(directory, 'requests', `.${id}`);
      try {
        await writeFile(unfinished, requestText(command, lines), { mode: 0o600, flag: 'wx' });
        await rename(unfinished, request);
      } catch (error) {
        if (errorCode(error) === 'ENOENT') throw gone();
        throw error;
      }
      try {
        await ring();
      } catch (error) {
        await rm(request, { force: true });
        throw error;
      }
      const text = await awaitAnswer(waiting.next, request, options);
      await rm(answerFile, { force: true });
      const answer = parseAnswer(text, exe);
      return { ...answer, status: await complete(answer.status) };
    } finally {
      waiting.close();
    }
  };

  /** Waits while the process lives. A request that is given up is taken back first; when the runtime has it
   * already, its answer is near and is waited for, so that nobody is told "nothing happened" about a patch that
   * did happen. */
  const awaitAnswer = async (
    next: () => Promise<string | undefined>,
    request: string,
    options: RequestOptions,
  ): Promise<string> => {
    const timeout = options.timeout ?? DEFAULT_TIMEOUT;
    let waited = 0;
    let last = performance.now();
    let taken = false;
    let stopped: RunState['stopped'] = undefined;
    for (;;) {
      const text = await next();
      if (text !== undefined) return text;
      const state = readRunState(pid);
      if (!state || readStat(pid)?.startTime !== target.startTime) throw gone();
      if (state.stopped && !stopped) log('warn', stoppedMessage(target, state.stopped));
      if (!state.stopped !== !stopped) options.onRunState?.(state.stopped);
      stopped = state.stopped;
      const now = performance.now();
      if (!(stopped && options.waitWhileStopped)) waited += now - last;
      last = now;
      const aborted = options.signal?.aborted === true;
      if (!aborted && waited < timeout) continue;
      if (taken && waited < 2 * timeout) continue;
      if (!taken) {
        taken = !(await withdraw(request));
        if (taken) continue;
      }
      if (aborted) options.signal?.throwIfAborted();
      throw new HotPatchError(
        'runtime-timeout',
        stopped
          ? stoppedMessage(target, stopped)
          : `The runtime in ${exe} (process ${pid}) did not answer in ${(waited / 1000).toFixed(1)} s`,
        { pid },
      );
    }
  };

  return {
    process: target,
    patchDirectory,
    patch: (files, reverts, options) =>
      ask(
        'patch',
        [
          ...files.map((file): RequestLine => ['file', file]),
          ...reverts.map((address): RequestLine => ['revert', hexadecimal(address)]),
        ],
        options,
      ),
    revert: (functions, options) =>
      ask(
        'revert',
        functions === 'all'
          ? [['all', '']]
          : functions.map(({ address, version }) => ['function', `${hexadecimal(address)} ${version}`]),
        options,
      ),
    load: (file, options) => ask('load', [['file', file]], options),
    symbols: (patchId, file, options) =>
      ask(
        'symbols',
        [
          ['patch', String(patchId)],
          ['file', file],
        ],
        options,
      ),
    status: (options) => ask('status', [], options),
    async readStatus() {
      let text: string;
      try {
        text = await readFile(join(directory, 'status.json'), 'utf8');
      } catch (error) {
        if (readStat(pid)?.startTime !== target.startTime) throw gone();
        if (errorCode(error) !== 'ENOENT') throw error;
        return { pid, exe, sequence: 0, patches: [], functions: [] };
      }
      return complete(parseStatus(text, exe));
    },
  };
}

/** Takes a request back. False: the runtime has it already. */
async function withdraw(request: string): Promise<boolean> {
  try {
    await unlink(request);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function stoppedMessage(target: PatchableProcess, stopped: NonNullable<RunState['stopped']>): string {
  const by =
    stopped.tracer === undefined
      ? 'is stopped (SIGSTOP or Ctrl+Z)'
      : `is stopped by a debugger (process ${stopped.tracer})`;
  return `${target.exe} (process ${target.pid}) ${by}; let it continue`;
}

/** Does the process's memory hold what the runtime says it wrote? Null when it cannot be read. */
export function verifyFromMemory(pid: number, { trampoline }: PatchedFunction): boolean | null {
  const expected = trampoline.bytesAfter || trampoline.bytesBefore;
  if (expected === '') return null;
  try {
    const bytes = readMemory(pid, Number(trampoline.address), expected.length / 2);
    return bytes.toString('hex') === expected;
  } catch {
    return null; // no permission (Yama), or the process ended: unknown is what null says
  }
}

/** The content of a file that another program will rename into `directory`; `next` resolves with it, or with
 * undefined when nothing came within the poll interval. File events make it prompt; where they do not arrive
 * (some network and container file systems), the interval alone finds it. */
function waitForFile(
  directory: string,
  file: string,
): { next: () => Promise<string | undefined>; close: () => void } {
  let wake: (() => void) | undefined;
  let changed = false;
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(directory, { persistent: false }, () => {
      changed = true;
      wake?.();
    });
    watcher.on('error', () => watcher?.close());
  } catch {
    watcher = undefined; // no inotify watches left: polling does it
  }
  const read = async (): Promise<string | undefined> => {
    try {
      return await readFile(file, 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  };
  return {
    async next() {
      if (!changed) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, POLL_INTERVAL);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = undefined;
      }
      changed = false;
      return read();
    },
    close: () => watcher?.close(),
  };
}
