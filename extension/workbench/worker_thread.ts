// A worker thread of the extension, and the one policy for its end: it is started by the first message, and by the next
// one after it died or was given up; whoever waited for it is told. The engine and the parser run in such threads.
// Knows nothing of what the messages mean.
import { Worker } from 'node:worker_threads';

/** How long a thread may take to end when it is asked to, milliseconds: a system call that hangs is not waited for. */
const END_MS = 3000;

export interface WorkerThread<To> {
  /** Starts the thread when there is none. */
  send(message: To): void;
  readonly isRunning: boolean;
  /** Ends the thread without waiting for it: a blocked system call in it cannot be interrupted. `died` is called. */
  abandon(reason: string): void;
  /** Ends the thread, by this message if it has one for that; resolves when it has ended or is no longer waited for. */
  end(farewell?: To): Promise<void>;
}

export interface WorkerThreadOptions<From> {
  /** The bundle that runs in the thread. */
  readonly script: string;
  readonly workerData?: unknown;
  readonly receive: (message: From) => void;
  /** The thread ended and was not asked to. */
  readonly died: (reason: string) => void;
}

export function workerThread<To, From>(options: WorkerThreadOptions<From>): WorkerThread<To> {
  let worker: Worker | undefined;

  function start(): Worker {
    const started = new Worker(options.script, {
      workerData: options.workerData,
      stdout: false,
      stderr: false,
    });
    let reason = 'it ended';
    started.on('message', (message: From) => {
      if (worker === started) options.receive(message);
    });
    started.on('error', (error) => (reason = error.stack ?? error.message));
    started.on('exit', () => {
      if (worker !== started) return;
      worker = undefined;
      options.died(reason);
    });
    started.unref();
    return started;
  }

  return {
    get isRunning() {
      return worker !== undefined;
    },
    send(message) {
      worker ??= start();
      worker.postMessage(message);
    },
    abandon(reason) {
      const last = worker;
      worker = undefined;
      void last?.terminate();
      if (last) options.died(reason);
    },
    async end(farewell) {
      const last = worker;
      worker = undefined;
      if (!last) return;
      const ended = new Promise<void>((resolve) => last.once('exit', () => resolve()));
      const patience = new Promise<void>((resolve) => setTimeout(resolve, END_MS).unref());
      if (farewell === undefined) void last.terminate();
      else last.postMessage(farewell);
      await Promise.race([ended, patience]);
      void last.terminate();
    },
  };
}
