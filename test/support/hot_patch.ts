// The command line as a user calls it: `node dist/cli.js …`, its exit status, its JSON document and its messages.
// Nothing of the engine is imported here but the types of the documents.
import { spawn, spawnSync } from 'node:child_process';
import { strict as assert } from 'node:assert';
import type {
  CheckReport,
  PatchableProcess,
  PatchResult,
  ProcessStatus,
} from '../../extension/engine/model/result';
import { cli } from './paths';

export interface Run {
  status: number;
  stdout: string;
  /** Progress and messages for people. */
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/** Exit statuses of the command line (DESIGN, section 10). */
export const exitStatus = {
  done: 0,
  compileError: 1,
  refused: 2,
  noProcess: 3,
  runtimeFailed: 4,
  usage: 64,
} as const;

export async function hotPatch(args: string[], options: RunOptions = {}): Promise<Run> {
  const child = spawn(process.execPath, [cli, ...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const status = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      code === null ? reject(new Error(`hot-patch was ended by ${signal}\n${stderr}`)) : resolve(code),
    );
  });
  return { status, stdout, stderr };
}

/** Runs with --json and returns the document; the exit status must be the expected one. */
async function json<Document>(
  expected: number | undefined,
  args: string[],
  options: RunOptions,
): Promise<Document> {
  const [command, ...rest] = args;
  const run = await hotPatch([command!, '--json', ...rest], options);
  const shown = `hot-patch ${args.join(' ')}\n${run.stdout}\n${run.stderr}`;
  if (expected !== undefined) assert.equal(run.status, expected, `exit status ${run.status}: ${shown}`);
  try {
    return JSON.parse(run.stdout) as Document;
  } catch {
    throw new Error(`not one JSON document: ${shown}`);
  }
}

export async function patch(
  args: string[],
  options: RunOptions,
  expected: number = exitStatus.done,
): Promise<PatchResult> {
  const result = await json<PatchResult>(expected, ['patch', ...args], options);
  for (const { message } of [...result.refusals, ...result.warnings])
    assert.doesNotMatch(message, /\b_Z\d|\b_ZN/, 'names are for people');
  return result;
}
export const revert = (args: string[], options: RunOptions, expected: number = exitStatus.done) =>
  json<PatchResult>(expected, ['revert', ...args], options);
export const check = (args: string[], options: RunOptions, expected?: number) =>
  json<CheckReport[]>(expected, ['check', ...args], options);
export const status = (args: string[], options: RunOptions, expected: number = exitStatus.done) =>
  json<ProcessStatus[]>(expected, ['status', ...args], options);
export const ps = (options: RunOptions, expected: number = exitStatus.done) =>
  json<PatchableProcess[]>(expected, ['ps'], options);

let preload: NodeJS.ProcessEnv | undefined;

/** The variables that `hot-patch run` adds to a program's environment, found by running `env` under it. */
export function runtimeEnvironment(): NodeJS.ProcessEnv {
  preload ??= (() => {
    const base = { PATH: process.env.PATH };
    const run = spawnSync(process.execPath, [cli, 'run', '--', 'env', '-0'], { env: base, encoding: 'utf8' });
    assert.equal(run.status, 0, `hot-patch run -- env: ${run.stderr}`);
    const variables = run.stdout.split('\0').filter((text) => text.includes('='));
    const added = variables.map(
      (text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] as const,
    );
    return Object.fromEntries(added.filter(([name]) => name !== 'PATH' && name !== '_'));
  })();
  return preload;
}
