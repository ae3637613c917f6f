// Speaks with the runtime in a process (docs/PROTOCOL.md): writes a request, rings the doorbell, waits for the one
// answer. Says what the runtime reported and what memory shows; decides nothing about patches.
import { watch, type FSWatcher } from 'node:fs';
import { basename, join } from 'node:path';
import type { Answer, EngineContext, RequestLine, RequestOptions, RuntimeClient } from '../context';
import { hostArchitecture } from '../arch/choose';
import { inDirectory, writeInto } from '../guarded_directory';
import { errorCode, isThere, readFile, remove, takeBack } from '../host';
import { HotPatchError } from '../model/errors';
import type { PatchableProcess, PatchedFunction, ProcessStatus } from '../model/result';
import { PROTOCOL_VERSION } from './control_directory';
import { fromProcess, inProcess } from './elsewhere';
import { fileOwner } from './file_owner';
import { isGeneratedName, isPatchFile, readAddressSpace } from './maps';
import { missingRuntime } from './missing_runtime';
import { readMemory } from './memory';
import { obstacleOf } from './obstacles';
import { signalThread } from './system_calls';
import { readStat } from './process_list';
import { readRunState, type RunState } from './run_state';
import { parseAnswer, parseStatus } from './status';

/** Milliseconds. */
const DEFAULT_TIMEOUT = 10_000;
/** How often the process is looked at while waiting, and the answer too where file events do not arrive. */
const POLL_INTERVAL = 50;
/** For a status that is asked for only because the one on disk is behind. */
const REFRESH_TIMEOUT = 2000;
/** Bytes of a status or an answer: thousands of functions with all their versions. */
const LARGEST_DOCUMENT = 64 * 1024 * 1024;
/** Errno of tgkill(2). */
const EPERM = 1;
const EAGAIN = 11;

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
  return `${time}-${fileOwner()}-${(requestCount++).toString().padStart(6, '0')}`;
}

/** The runtime of `target`. Throws HotPatchError no-runtime, protocol-mismatch. */
export function createRuntimeClient(
  target: PatchableProcess,
  { demangle, log }: Pick<EngineContext, 'demangle' | 'log'>,
): RuntimeClient {
  const { pid, exe, runtime } = target;
  if (!runtime) throw missingRuntime(target);
  if (runtime.protocol !== PROTOCOL_VERSION)
    throw new HotPatchError(
      'protocol-mismatch',
      `The runtime ${runtime.version} in process ${pid} speaks protocol ${runtime.protocol}, ` +
        `this engine protocol ${PROTOCOL_VERSION}`,
      { pid },
    );
  const directory = runtime.controlDirectory;
  const patchDirectory = join(directory, 'patches');

  /** With the number and the paths that the engine has for what the process tells of. */
  const fromHere = (status: ProcessStatus): ProcessStatus => ({
    ...status,
    pid,
    patches: status.patches.map((patch) => ({ ...patch, file: fromProcess(patch.file, directory) })),
  });

  /** Names for people, and each trampoline compared with the process's memory. */
  const complete = async (told: ProcessStatus): Promise<ProcessStatus> => {
    const status = fromHere(told);
    const names = await demangle(status.functions.map(({ symbol }) => symbol));
    const functions = await Promise.all(
      status.functions.map(async (entry, index) => ({
        ...entry,
        name: names[index] ?? entry.symbol,
        verifiedFromMemory: await verifyFromMemory(pid, entry),
      })),
    );
    return { ...status, functions };
  };

  /** A process that sees other files finds a copy where its patches are; the runtime makes its own of that. */
  const handOver = (file: string): string => {
    const name = `handed-over-${newRequestId()}.so`;
    writeInto(patchDirectory, name, readFile(file, LARGEST_DOCUMENT));
    return join(patchDirectory, name);
  };

  const gone = (): HotPatchError =>
    new HotPatchError('process-gone', `${exe} (process ${pid}) has ended`, { pid });

  const isGone = (): boolean => readStat(pid)?.startTime !== target.startTime;

  /** Throws HotPatchError process-gone, no-runtime, doorbell-taken, signal-refused. */
  const ring = async (): Promise<void> => {
    // Pid and thread numbers are used again, and an unhandled signal ends a process: look before ringing.
    if (isGone()) throw gone();
    if (!isThere(`/proc/${pid}/task/${runtime.workerTid}`))
      throw new HotPatchError(
        'no-runtime',
        `The runtime in process ${pid} is no longer there: the process runs another program now`,
        { pid },
      );
    if (readRunState(pid)?.caught(runtime.signal) !== true) {
      if (isGone()) throw gone();
      throw new HotPatchError(
        'doorbell-taken',
        `${exe} (process ${pid}) has taken back signal ${runtime.signal}, which the runtime listens to`,
        { pid },
      );
    }
    const errno = await signalThread(pid, runtime.workerTid, runtime.signal);
    if (errno === 0) return;
    if (isGone()) throw gone();
    const why =
      errno === EPERM
        ? 'the process runs with other user ids than this one'
        : errno === EAGAIN
          ? 'its queue of real-time signals is full or has no room (RLIMIT_SIGPENDING)'
          : `errno ${errno}`;
    throw new HotPatchError(
      'signal-refused',
      `Signal ${runtime.signal} could not be sent to ${exe} (process ${pid}): ${why}`,
      { pid },
    );
  };

  const ask = async (
    command: string,
    lines: readonly RequestLine[],
    options: RequestOptions = {},
  ): Promise<Answer> => {
    options.signal?.throwIfAborted();
    const id = newRequestId();
    const requests = join(directory, 'requests');
    const waiting = waitForFile(join(directory, 'answers'), `${id}.json`);
    try {
      try {
        writeInto(requests, id, requestText(command, lines), `.${id}`);
      } catch (error) {
        if (errorCode(error) === 'ENOENT') throw gone();
        throw error;
      }
      try {
        await ring();
      } catch (error) {
        takeRequestBack(id);
        throw error;
      }
      const text = await awaitAnswer(waiting.next, id, options);
      inDirectory(join(directory, 'answers'), (path) => remove(join(path, `${id}.json`)));
      const answer = parseAnswer(text, exe);
      const warnings = answer.warnings.map((warning) => ({ ...warning, pid }));
      return { ...answer, warnings, status: await complete(answer.status) };
    } finally {
      waiting.close();
    }
  };

  /** False: the runtime has it already. */
  const takeRequestBack = (id: string): boolean =>
    inDirectory(join(directory, 'requests'), (path) => takeBack(join(path, id)));

  /** Waits while the process lives. To cancel, first tries to withdraw the request file. If the runtime has taken it,
   * waits for the answer: reporting "nothing happened" about an applied patch would be worse than waiting. */
  const awaitAnswer = async (
    next: () => Promise<string | undefined>,
    id: string,
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
      if (!state || isGone()) throw gone();
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
        taken = !takeRequestBack(id);
        if (taken) continue;
      }
      throw await unanswered(taken, stopped, waited, options.signal);
    }
  };

  /** What to throw when the time is over. A request that was taken may have been carried out, also when a newer save
   * wants it back. */
  const unanswered = async (
    taken: boolean,
    stopped: RunState['stopped'],
    waited: number,
    signal: AbortSignal | undefined,
  ): Promise<Error> => {
    if (!taken && signal?.aborted) return signal.reason as Error;
    const who = `The runtime in ${exe} (process ${pid})`;
    const seconds = `${(waited / 1000).toFixed(1)} s`;
    const obstacle = stopped ? stoppedMessage(target, stopped) : await obstacleOf(pid, runtime.workerTid);
    if (taken) {
      const why = obstacle ? `: ${obstacle}` : '; its answer may not have been writable (is the disk full?)';
      return new HotPatchError(
        'answer-lost',
        `${who} took the request and gave no answer in ${seconds}${why}`,
        {
          pid,
        },
      );
    }
    if (stopped) return new HotPatchError('runtime-timeout', stoppedMessage(target, stopped), { pid });
    return obstacle
      ? new HotPatchError('runtime-blocked', `${who} cannot work: ${obstacle}`, { pid })
      : new HotPatchError('runtime-timeout', `${who} did not answer in ${seconds}`, { pid });
  };

  /** The status on disk; an empty one when the runtime never wrote it. */
  const statusOnDisk = (): ProcessStatus => {
    try {
      const read = (path: string): Buffer => readFile(join(path, 'status.json'), LARGEST_DOCUMENT);
      return parseStatus(inDirectory(directory, read).toString('utf8'), exe);
    } catch (error) {
      if (isGone()) throw gone();
      if (errorCode(error) !== 'ENOENT') throw error;
      return { pid, exe, sequence: 0, patches: [], functions: [], layouts: [] };
    }
  };

  /** A patch of ours that is mapped and that the status does not have: the runtime could not write it (a full disk), or
   * is about to. What would be compared with it would not be the code that runs. */
  const unknownPatch = async ({ patches }: ProcessStatus): Promise<string | undefined> => {
    const known = new Set(patches.map(({ file }) => basename(file)));
    const { mappings } = await readAddressSpace(pid);
    return mappings.find(
      ({ path }) => isPatchFile(path) && isGeneratedName(basename(path)) && !known.has(basename(path)),
    )?.path;
  };

  return {
    process: target,
    patchDirectory,
    patch: (files, reverts, options) =>
      ask(
        'patch',
        [
          ...(options?.sources ?? []).map((source): RequestLine => ['source', source]),
          ...files.map((file): RequestLine => ['file', inProcess(file)]),
          ...reverts.map((address): RequestLine => ['revert', hexadecimal(address)]),
          ...(options?.migration ?? []),
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
    load: async (file, options) => {
      const path = inProcess(directory) === directory ? file : handOver(file);
      try {
        return await ask('load', [['file', inProcess(path)]], options);
      } finally {
        if (path !== file) inDirectory(patchDirectory, (patches) => remove(join(patches, basename(path))));
      }
    },
    symbols: (patchId, file, options) =>
      ask(
        'symbols',
        [
          ['patch', String(patchId)],
          ['file', file],
        ],
        options,
      ),
    detach: (options) => ask('detach', [], options),
    wake: (options) => ask('wake', [], options),
    hold: (lines, options) => ask('hold', lines, options),
    resume: (lines, options) => ask('resume', lines, options),
    status: (options) => ask('status', [], options),
    async readStatus() {
      const status = statusOnDisk();
      if ((await unknownPatch(status)) === undefined) return complete(status);
      const fresh = (await ask('status', [], { timeout: REFRESH_TIMEOUT })).status;
      const missing = await unknownPatch(fresh);
      if (missing === undefined) return fresh;
      throw new HotPatchError(
        'answer-lost',
        `${exe} (process ${pid}) has the patch ${missing}, which its runtime does not report`,
        { pid },
      );
    },
  };
}

function stoppedMessage(target: PatchableProcess, stopped: NonNullable<RunState['stopped']>): string {
  const what =
    stopped.tracer === undefined
      ? 'is stopped (SIGSTOP or Ctrl+Z); let it continue'
      : `is stopped by a debugger (process ${stopped.tracer}); let it continue, or have the save applied there ` +
        '(TROUBLESHOOTING.md, "A save at a breakpoint")';
  return `${target.exe} (process ${target.pid}) ${what}`;
}

/** Does the process's memory hold what the runtime says it wrote? Null when it cannot be read. */
async function verifyFromMemory(pid: number, { trampoline }: PatchedFunction): Promise<boolean | null> {
  const expected = trampoline.bytesAfter || trampoline.bytesBefore;
  if (expected === '') return null;
  try {
    const address = Number(trampoline.address);
    const bytes = await readMemory(pid, address, expected.length / 2);
    if (bytes.toString('hex') === expected) return true;
    // An entry that goes by its island is made to jump to the version itself as soon as nobody is inside any more, which
    // may be since the status was written.
    const target = hostArchitecture().jumpTarget(bytes, address);
    return trampoline.kind === 'jmp-rel32+island' && target === Number(trampoline.target);
  } catch {
    return null; // no permission (Yama), or the process ended: unknown is what null says
  }
}

/** The content of a file that another program will rename into `directory`; `next` resolves with it, or with
 * undefined when nothing came within the poll interval. File events make it prompt; where they do not arrive
 * (some network and container file systems), the interval alone finds it. */
function waitForFile(
  directory: string,
  name: string,
): { next: () => Promise<string | undefined>; close: () => void } {
  let wake: (() => void) | undefined;
  let changed = false;
  let watcher: FSWatcher | undefined;
  try {
    watcher = inDirectory(directory, (path) =>
      watch(path, { persistent: false }, () => {
        changed = true;
        wake?.();
      }),
    );
    watcher.on('error', () => watcher?.close());
  } catch {
    watcher = undefined; // no inotify watches left: polling does it
  }
  const read = (): string | undefined => {
    try {
      return inDirectory(directory, (path) => readFile(join(path, name), LARGEST_DOCUMENT).toString('utf8'));
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
