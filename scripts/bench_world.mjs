// What `npm run bench` works with: a temporary directory that everything it starts lives in, processes that end with it,
// and clocks.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from './setup.mjs';

export const cli = join(root, 'dist', 'cli.js');
export const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'hot-patch-bench-')));
const atExit = new Set();
process.on('exit', () => {
  for (const act of atExit) act();
  rmSync(workspace, { recursive: true, force: true, maxRetries: 5 });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

mkdirSync(join(workspace, 'run'), { mode: 0o700 });
/** Of everything that is started. */
export const env = {
  ...process.env,
  XDG_RUNTIME_DIR: join(workspace, 'run'),
  XDG_CACHE_HOME: join(workspace, 'cache'),
  TMPDIR: workspace,
  LANG: 'C.UTF-8',
};

/** Has something done when the bench ends, however it does.
 * @returns does it now instead */
export function atEnd(act) {
  atExit.add(act);
  return () => {
    if (atExit.delete(act)) act();
  };
}

/** Runs a command to its end. Returns what it printed; throws when it fails. */
export function must(command, args, cwd) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** Starts a process that ends with the bench. `stop` kills it and waits. */
export function start(command, args, options) {
  const child = spawn(command, args, { env, ...options });
  const kill = atEnd(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  ended.catch(() => undefined); // it could not be started: what waits for its lines says so
  const stop = async () => {
    kill();
    await ended;
  };
  return { child, stop };
}

/** Nothing that is waited for takes longer. */
const PATIENCE_MS = 900_000;

/** Lines of a stream. `next` waits for one, and fails when the stream ends or it does not come in time. */
export function linesOf(stream) {
  const lines = createInterface({ input: stream });
  const next = (pattern = /^/, patience = PATIENCE_MS) =>
    new Promise((resolve, reject) => {
      const done = (act, value) => {
        clearTimeout(limit);
        lines.off('line', look);
        lines.off('close', close);
        act(value);
      };
      const look = (line) => pattern.test(line) && done(resolve, line);
      const close = () => done(reject, new Error(`no line like ${pattern} came`));
      const limit = setTimeout(close, patience);
      lines.on('line', look);
      lines.on('close', close);
    });
  return { next, on: (act) => void lines.on('line', act) };
}

/** The environment that a program has which is started with the runtime. */
export const runtimeEnvironment = () =>
  Object.fromEntries(
    must(process.execPath, [cli, 'run', '--', 'env', '-0'], workspace)
      .split('\0')
      .filter((text) => text.includes('='))
      .map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]),
  );

/** Does something, and says how many milliseconds it took. */
export async function timed(work) {
  const begin = performance.now();
  const result = await work();
  return { milliseconds: performance.now() - begin, result };
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
