// The engine as the extension calls it: the same methods, answered by the engine's thread. A thread that dies or no
// longer answers fails the calls that were under way and no others; the next call starts it again, with the same options.
import type { Engine, PatchRequest } from '../../engine/engine';
import { HotPatchError } from '../../engine/model/errors';
import { workerThread } from '../worker_thread';
import type { FromThread, LogLevel, Method, ThreadOptions, ToThread } from './messages';

/** The engine, with everything asynchronous. */
export type AsyncEngine = {
  [M in keyof Engine]: (...parameters: Parameters<Engine[M]>) => Promise<Awaited<ReturnType<Engine[M]>>>;
};

export interface EngineThread extends AsyncEngine {
  /** Gives up whatever is under way; the next call starts a new thread. */
  restart(reason: string): void;
}

/** How the thread is watched: it is asked for a sign every `interval` milliseconds while a call is under way. */
export interface Watch {
  readonly interval: number;
  /** Signs that may be missing in a row before the thread is given up. */
  readonly patience: number;
  /** The same while files are compiled and compared: the debug information of a large program takes its time. */
  readonly patienceAtWork: number;
}

const WATCH: Watch = { interval: 1000, patience: 5, patienceAtWork: 60 };
const WORK: readonly Method[] = ['patch', 'ahead', 'check', 'processesOf'];

interface Call {
  readonly method: Method;
  resolve(value: unknown): void;
  reject(reason: Error): void;
  onProgress?: PatchRequest['onProgress'];
}

/**
 * @param script the bundle of thread.ts
 * @param log where the engine's own messages go
 */
export function startEngine(
  script: string,
  options: ThreadOptions,
  log: (level: LogLevel, message: string) => void,
  watch: Watch = WATCH,
): EngineThread {
  let lastId = 0;
  const calls = new Map<number, Call>();
  /** Signs asked for and not given. */
  let missing = 0;
  let timer: NodeJS.Timeout | undefined;

  const thread = workerThread<ToThread, FromThread>({
    script,
    workerData: options,
    receive,
    died(reason) {
      log('error', `The engine's thread ended: ${reason}`);
      failAll(reason);
    },
  });

  function failAll(reason: string): void {
    const error = new HotPatchError('engine-restarted', `The engine was started again: ${reason}`);
    for (const id of [...calls.keys()]) settle(id, (call) => call.reject(error));
  }

  function receive(message: FromThread): void {
    missing = 0;
    switch (message.type) {
      case 'result':
        return settle(message.id, (call) => call.resolve(message.value));
      case 'error':
        return settle(message.id, (call) => call.reject(new Error(message.message)));
      case 'progress':
        return calls.get(message.id)?.onProgress?.(message.event);
      case 'log':
        return log(message.level, message.message);
      case 'alive':
        return;
    }
  }

  function settle(id: number, how: (call: Call) => void): void {
    const call = calls.get(id);
    calls.delete(id);
    if (calls.size === 0) stopWatching();
    if (call) how(call);
  }

  /** Counts what was not answered rather than time: a machine that slept has not waited. */
  function look(): void {
    const isAtWork = [...calls.values()].some(({ method }) => WORK.includes(method));
    const patience = isAtWork ? watch.patienceAtWork : watch.patience;
    if (missing >= patience) {
      const under = [...new Set([...calls.values()].map(({ method }) => method))].join(', ');
      const seconds = Math.round((missing * watch.interval) / 1000);
      return thread.abandon(`it gave no sign for ${seconds} s (under way: ${under})`);
    }
    missing++;
    thread.send({ type: 'ping' });
  }

  function stopWatching(): void {
    clearInterval(timer);
    timer = undefined;
    missing = 0;
  }

  function ask<T>(
    method: Method,
    parameters: unknown[],
    onProgress?: PatchRequest['onProgress'],
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = ++lastId;
      calls.set(id, { method, resolve, reject, onProgress });
      timer ??= setInterval(look, watch.interval).unref();
      thread.send({ type: 'call', id, method, parameters });
    });
  }

  async function patch({ signal, onProgress, ...request }: PatchRequest): ReturnType<Engine['patch']> {
    const result = ask<Awaited<ReturnType<Engine['patch']>>>('patch', [request], onProgress);
    const id = lastId;
    const abort = () => {
      if (calls.has(id)) thread.send({ type: 'abort', id });
    };
    // It may have been withdrawn before it was begun.
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await result;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  return {
    processes: () => ask('processes', []),
    processesOf: (file) => ask('processesOf', [file]),
    sourcesOf: (functionName, target) => ask('sourcesOf', [functionName, target]),
    changedSources: (pid) => ask('changedSources', [pid]),
    isFrom: (pid, folders) => ask('isFrom', [pid, folders]),
    listeningPorts: (pid) => ask('listeningPorts', [pid]),
    check: (files, target) => ask('check', [files, target]),
    patch,
    ahead: (request) => ask('ahead', [request]),
    attach: (pids) => ask('attach', [pids]),
    detach: (pids) => ask('detach', [pids]),
    attachability: (pids) => ask('attachability', [pids]),
    load: (pid, file) => ask('load', [pid, file]),
    revert: (request) => ask('revert', [request]),
    status: (pid, options) => ask('status', [pid, options]),
    threads: (pid) => ask('threads', [pid]),
    crash: (process) => ask('crash', [process]),
    hold: (pids, options) => ask('hold', [pids, options]),
    heldThreads: (pid) => ask('heldThreads', [pid]),
    resume: (pid, request) => ask('resume', [pid, request]),
    runEnvironment: (base, program) => ask('runEnvironment', [base, program]),
    restart: (reason) => thread.abandon(reason),
    async dispose() {
      await thread.end({ type: 'dispose' });
      failAll('it was ended');
    },
  };
}
