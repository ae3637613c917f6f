// The engine as the editor has it, in a thread of its own: a text is compiled ahead, as while somebody pauses to type, and
// saved then. How long it takes from the save until the process has the new code.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { root } from './setup.mjs';

/**
 * @param {{ file: string, pid: number, env: NodeJS.ProcessEnv, texts: string[] }} what texts that are saved one after the other
 * @param {(index: number) => Promise<void>} check fails when the process does not run that text
 * @returns {Promise<number[]>} milliseconds until each was live
 */
export async function saveAhead({ file, pid, env, texts }, check) {
  const worker = new Worker(join(root, 'dist', 'engine_thread.js'), { env, workerData: {} });
  const calls = new Map();
  worker.on('message', (message) => {
    const call = calls.get(message.id);
    if (message.type === 'progress' && message.event.live) call.live ??= performance.now();
    else if (message.type === 'result') call.resolve({ value: message.value, live: call.live });
    else if (message.type === 'error') call.reject(new Error(message.message));
  });
  const call = (method, ...parameters) =>
    new Promise((resolve, reject) => {
      const id = calls.size;
      calls.set(id, { resolve, reject });
      worker.postMessage({ type: 'call', id, method, parameters });
    });
  const target = { kind: 'pid', pids: [pid] };
  const live = [];
  await call('check', [file], target);
  for (const [index, text] of texts.entries()) {
    const { value: report } = await call('ahead', { file, text, target });
    if (report.outcome !== 'ready') throw new Error(`${file} is not compiled ahead: ${report.reason}`);
    const begin = performance.now();
    writeFileSync(file, text);
    const { value: result, live: at } = await call('patch', { files: [file], target, firstLight: true });
    if (result.firstLight?.outcome !== 'confirmed') throw new Error(JSON.stringify(result));
    live.push(at - begin);
    await check(index);
  }
  worker.postMessage({ type: 'dispose' });
  await new Promise((resolve) => worker.once('exit', resolve));
  return live;
}
