// The engine as the extension calls it: the same methods, answered by the engine's thread. The thread is started
// by the first call and again after a crash, which fails the calls that were under way and no others.
import { Worker } from 'node:worker_threads';
import type { Engine, PatchRequest } from '../../engine/engine';
import type { FromThread, LogLevel, Method, ThreadOptions, ToThread } from './messages';

/** The engine, with everything asynchronous. */
export type AsyncEngine = {
  [M in keyof Engine]: (...parameters: Parameters<Engine[M]>) => Promise<Awaited<ReturnType<Engine[M]>>>;
};

interface Call {
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
): AsyncEngine {
  let worker: Worker | undefined;
  let lastId = 0;
  const calls = new Map<number, Call>();

  function thread(): Worker {
    if (worker) return worker;
    const started = new Worker(script, { workerData: options, stdout: false, stderr: false });
    started.on('message', receive);
    started.on('error', (error) =>
      log('error', `The engine's thread ended: ${error.stack ?? error.message}`),
    );
    started.on('exit', () => {
      if (worker !== started) return;
      worker = undefined;
      for (const [id, call] of [...calls])
        settle(id, () => call.reject(new Error("The engine's thread ended")));
    });
    started.unref();
    return (worker = started);
  }

  function receive(message: FromThread): void {
    switch (message.type) {
      case 'result':
        return settle(message.id, (call) => call.resolve(message.value));
      case 'error':
        return settle(message.id, (call) => call.reject(new Error(message.message)));
      case 'progress':
        return calls.get(message.id)?.onProgress?.(message.event);
      case 'log':
        return log(message.level, message.message);
      case 'disposed':
        return;
    }
  }

  function settle(id: number, how: (call: Call) => void): void {
    const call = calls.get(id);
    calls.delete(id);
    if (call) how(call);
  }

  function ask<T>(
    method: Method,
    parameters: unknown[],
    onProgress?: PatchRequest['onProgress'],
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = ++lastId;
      calls.set(id, { resolve: resolve, reject, onProgress });
      thread().postMessage({ type: 'call', id, method, parameters } satisfies ToThread);
    });
  }

  function patch({ signal, onProgress, ...request }: PatchRequest): ReturnType<Engine['patch']> {
    const result = ask<Awaited<ReturnType<Engine['patch']>>>('patch', [request], onProgress);
    const abort = { type: 'abort', id: lastId } satisfies ToThread;
    signal?.addEventListener('abort', () => worker?.postMessage(abort), { once: true });
    return result;
  }

  return {
    processes: () => ask('processes', []),
    processesOf: (file) => ask('processesOf', [file]),
    check: (files, target) => ask('check', [files, target]),
    patch,
    load: (pid, file) => ask('load', [pid, file]),
    revert: (request) => ask('revert', [request]),
    status: (pid, options) => ask('status', [pid, options]),
    runEnvironment: (base, program) => ask('runEnvironment', [base, program]),
    dispose: async () => {
      const last = worker;
      if (!last) return;
      const ended = new Promise<void>((resolve) => last.once('exit', () => resolve()));
      last.postMessage({ type: 'dispose' } satisfies ToThread);
      await ended;
    },
  };
}
