// The engine's thread, when it dies or hangs: what waited for it is told, and the next call starts it again.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HotPatchError } from '../../extension/engine/model/errors';
import { startEngine, type EngineThread, type Watch } from '../../extension/workbench/engine_thread/client';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

/** Answers with its number and its options; `processesOf` a FIFO is held by it, as a malicious process could hold an engine. */
const THREAD = `const { parentPort, threadId, workerData } = require('node:worker_threads');
const { readFileSync } = require('node:fs');
const aborted = [];
parentPort.on('message', ({ type, id, method, parameters }) => {
  if (type === 'ping') parentPort.postMessage({ type: 'alive' });
  if (type === 'abort') parentPort.postMessage({ type: 'result', id, value: 'aborted' });
  if (type === 'dispose') parentPort.close();
  if (type !== 'call') return;
  if (method === 'status') process.exit(7);
  if (method === 'load') readFileSync(parameters[1]);
  if (method !== 'patch') parentPort.postMessage({ type: 'result', id, value: [threadId, workerData.roots] });
});
`;

const isRestart = (error: unknown) => error instanceof HotPatchError && error.code === 'engine-restarted';

describe("the engine's thread", () => {
  let directory: string;
  let engine: EngineThread;
  let messages: string[];
  const start = (watch?: Watch) => {
    const options = { roots: ['/project'] };
    engine = startEngine(join(directory, 'thread.js'), options, (_level, text) => messages.push(text), watch);
  };
  beforeEach(() => {
    directory = temporaryDirectory();
    messages = [];
    writeFileSync(join(directory, 'thread.js'), THREAD);
  });
  afterEach(async () => {
    await engine.dispose();
    removeTemporaryDirectory(directory);
  });

  it('that dies fails the calls that were under way, and is started again with its options', async () => {
    start();
    const [first] = (await engine.processes()) as unknown as [number];
    const held = engine.patch({ files: [], target: { kind: 'all' } });
    await assert.rejects(engine.status(1), isRestart);
    await assert.rejects(held, isRestart);
    const [second, roots] = (await engine.processes()) as unknown as [number, string[]];
    assert.notEqual(second, first);
    assert.deepEqual(roots, ['/project']);
    assert.equal(messages.length, 1);
  });

  it('that hangs in a system call is given up, and another answers', async () => {
    // Longer than a thread takes to start on a busy machine: the next one is watched as well.
    start({ interval: 500, patience: 6, patienceAtWork: 6 });
    const fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const held = engine.load(1, fifo);
    await assert.rejects(held, isRestart);
    assert.match(messages[0]!, /gave no sign .*load/);
    await engine.processes();
    // Lets the old thread go.
    closeSync(openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK));
  });

  it('that is restarted by hand fails what was under way', async () => {
    start();
    const held = engine.patch({ files: [], target: { kind: 'all' } });
    engine.restart('on request');
    await assert.rejects(held, /on request/);
    await engine.processes();
  });

  it('is told that a patch was withdrawn before it was begun', async () => {
    start();
    const signal = AbortSignal.abort();
    assert.equal(await engine.patch({ files: [], target: { kind: 'all' }, signal }), 'aborted');
  });
});
