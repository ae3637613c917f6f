// The engine's own thread: reading ELF and DWARF of a large program takes longer than an extension host may be
// kept from other extensions. Runs the engine's methods as they are asked for; knows nothing of vscode.
import { parentPort, workerData } from 'node:worker_threads';
import { createEngine } from '../../engine/create_engine';
import type { PatchRequest } from '../../engine/engine';
import type { FromThread, ThreadOptions, ToThread } from './messages';

const port = parentPort!;
const send = (message: FromThread) => port.postMessage(message);
const engine = createEngine({
  ...(workerData as ThreadOptions),
  log: (level, message) => send({ type: 'log', level, message }),
});
const running = new Map<number, AbortController>();

port.on('message', (message: ToThread) => {
  switch (message.type) {
    case 'call':
      void call(message);
      return;
    case 'abort':
      running.get(message.id)?.abort();
      return;
    case 'ping':
      send({ type: 'alive' });
      return;
    case 'dispose':
      void engine.dispose().finally(() => port.close());
  }
});

async function call({ id, method, parameters }: Extract<ToThread, { type: 'call' }>): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const value = await (engine[method] as (...parameters: unknown[]) => unknown)(
      ...(method === 'patch' ? [withSignals(id, parameters[0] as PatchRequest, controller)] : parameters),
    );
    send({ type: 'result', id, value });
  } catch (error) {
    send({
      type: 'error',
      id,
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  } finally {
    running.delete(id);
  }
}

function withSignals(id: number, request: PatchRequest, controller: AbortController): PatchRequest {
  return {
    ...request,
    signal: controller.signal,
    onProgress: (event) => send({ type: 'progress', id, event }),
  };
}
