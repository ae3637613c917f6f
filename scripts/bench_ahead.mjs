// The engine as the editor has it, in a thread of its own: a text is compiled ahead, as while somebody pauses to type, and
// saved then. How long it takes from the save until the process has the new code.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { root } from './setup.mjs';

/**
 * @param {{ file: string, pid: number, env: NodeJS.ProcessEnv, texts: string[] }} what texts that are saved one after the other
 * @param {(index: number) => Promise<void>} check fails when the process does not run that text
 * @returns {Promise<{ live: number[], reason?: string }>} milliseconds until each was live; why there are no more of them
 */
export async function saveAhead({ file, pid, env, texts }, check) {
  const worker = new Worker(join(root, 'dist', 'engine_thread.js'), { env, workerData: {} });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const calls = new Map();
  worker.on('message', (message) => {
    const call = calls.get(message.id);
    if (message.type === 'progress' && message.event.live) call.live ??= performance.now();
    else if (message.type === 'result') call.resolve({ value: message.value, live: call.live });
    else if (message.type === 'error') call.reject(new Error(message.message));
  });
  worker.on('error', (error) => {
    for (const { reject } of calls.values()) reject(error);
  });
  const call = (method, ...parameters) =>
    new Promise((resolve, reject) => {
      const id = calls.size;
      calls.set(id, { resolve, reject });
      worker.postMessage({ type: 'call', id, method, parameters });
    });
  const target = { kind: 'pid', pids: [pid] };
  const live = [];
  let reason;
  try {
    await call('check', [file], target);
    for (const [index, text] of texts.entries()) {
      const { value: report } = await call('ahead', { file, text, target });
      if (report.outcome !== 'ready') {
        reason = `not compiled ahead: ${report.reason}`;
        break;
      }
      const begin = performance.now();
      writeFileSync(file, text);
      const { value: result, live: at } = await call('patch', { files: [file], target, firstLight: true });
      if (result.outcome !== 'patched' || at === undefined) throw new Error(JSON.stringify(result));
      live.push(at - begin);
      await check(index);
    }
  } finally {
    worker.postMessage({ type: 'dispose' });
    await ended;
  }
  return { live, reason };
}
