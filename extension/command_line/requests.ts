// What the commands ask of the engine that takes more than one call, for the command line and for agents (mcp/): which
// processes are listed, what a name means, what is reverted. Says nothing to anybody.
import type { Engine, Target } from '../engine/engine';
import { HotPatchError, toProblem } from '../engine/model/errors';
import type {
  Attachability,
  PatchableProcess,
  PatchResult,
  Problem,
  ProcessStatus,
} from '../engine/model/result';
import { hasDebugInformation } from '../engine/process/modules';

/** Processes that can be patched or attached to: those with the runtime, and those that look like somebody's own work and could
 * be given it.
 * @param all every process
 * @returns them, and of those without the runtime whether they can be attached to */
export async function listedProcesses(
  engine: Engine,
  all: boolean,
): Promise<{ processes: PatchableProcess[]; seen: ReadonlyMap<number, Attachability> }> {
  const processes = (await engine.processes()).filter(
    ({ pid, exe, runtime, asleep, state }) =>
      all ||
      runtime !== undefined ||
      asleep !== undefined ||
      // Node.js itself has debug information in some distributions.
      (state === 'no-runtime' && exe !== process.execPath && hasDebugInformation(pid, exe)),
  );
  const unprepared = processes.filter(({ state }) => state === 'no-runtime').map(({ pid }) => pid);
  const seen = new Map((await engine.attachability(unprepared)).map((found) => [found.pid, found]));
  return { processes, seen };
}

/** What `ps --json` says of a process without the runtime: whether it can be attached to, or why not. */
export function asListed(seen: Attachability | undefined): { attachable?: boolean; problem?: Problem } {
  if (!seen) return {};
  return { attachable: seen.outcome === 'attachable', ...(seen.problem && { problem: seen.problem }) };
}

/** Counts of threads are the runtime's own of now; where it cannot answer (stopped in a debugger), its last. */
export async function freshStatus(
  engine: Engine,
  pid: number,
  warn: (problem: Problem) => void,
): Promise<ProcessStatus> {
  try {
    return await engine.status(pid, { refresh: true });
  } catch (error) {
    const problem = toProblem(error);
    if (problem.code !== 'runtime-timeout') throw error;
    warn(problem);
    return engine.status(pid);
  }
}

/** Of all processes that have the runtime. */
export async function pidsWithRuntime(engine: Engine): Promise<number[]> {
  return (await engine.processes()).filter(({ runtime }) => runtime).map(({ pid }) => pid);
}

/** Processes with patches, as `patch` chooses them: the one there is, all, or those named. */
async function patchedProcesses(engine: Engine, target: Target): Promise<ProcessStatus[]> {
  const pids = target.kind === 'pid' ? target.pids : await pidsWithRuntime(engine);
  const statuses: ProcessStatus[] = [];
  for (const pid of pids) statuses.push(await engine.status(pid));
  if (target.kind === 'pid') return statuses;
  const patched = statuses.filter(({ functions }) => functions.some(({ version: running }) => running > 0));
  if (target.kind === 'match' && patched.length > 1)
    throw new HotPatchError(
      'several-processes',
      `${patched.length} processes are patched: ${patched.map(({ pid, exe }) => `${pid} (${exe})`).join(', ')}`,
    );
  return patched;
}

/** Does a user's word mean this function: its symbol, its name with or without parameters, or its address? */
function isNamed(
  word: string,
  { name, symbol, address }: { name: string; symbol: string; address: string },
): boolean {
  return [symbol, name, name.replace(/\(.*$/, ''), address].includes(word);
}

/** The source in which a function is defined.
 * @param isOptimised or else it is at -O0 for debugging
 * Throws HotPatchError unknown-function. */
export async function sourceOf(
  engine: Engine,
  { functionName, target, isOptimised }: { functionName: string; target: Target; isOptimised: boolean },
): Promise<string> {
  const found = isOptimised
    ? await engine.sourcesOf(functionName, target)
    : await deoptimisedSources(engine, functionName, target);
  if (found.length === 1) return found[0]!;
  throw new HotPatchError(
    'unknown-function',
    found.length === 0
      ? `No running process has a function ${functionName}${isOptimised ? '' : ' at -O0 for debugging'}`
      : `${functionName} is in ${found.join(', ')}: name one of these files`,
  );
}

async function deoptimisedSources(engine: Engine, name: string, target: Target): Promise<string[]> {
  const pids = target.kind === 'pid' ? target.pids : await pidsWithRuntime(engine);
  const found = new Set<string>();
  for (const pid of pids) {
    // One that was not asked for may have ended.
    const status = await engine.status(pid).catch((thrown: unknown) => {
      if (target.kind === 'pid' || toProblem(thrown).code !== 'process-gone') throw thrown;
      return undefined;
    });
    for (const fn of status?.deoptimised ?? [])
      if (isNamed(name, { ...fn, address: '' })) found.add(fn.source);
  }
  return [...found];
}

/** Takes functions back to the original or to an earlier version.
 * @param functions names as people say them; none: all that is patched
 * Throws HotPatchError several-processes, unknown-function. */
export async function revertNamed(
  engine: Engine,
  {
    functions: words,
    version: to,
    target,
  }: { functions: readonly string[]; version: number; target: Target },
): Promise<PatchResult> {
  const processes = await patchedProcesses(engine, target);
  if (words.length === 0) {
    const result = await engine.revert({ pids: processes.map(({ pid }) => pid), functions: 'all' });
    return processes.length === 0 ? { ...result, outcome: 'unchanged' } : result;
  }
  const result: PatchResult = {
    ...failure({ code: 'internal', message: '' }),
    outcome: 'reverted',
    refusals: [],
  };
  for (const word of words)
    if (!processes.some(({ functions }) => functions.some((entry) => isNamed(word, entry))))
      throw new HotPatchError('unknown-function', `No patched function is named ${word}`);
  for (const { pid, functions } of processes) {
    const chosen = functions
      .filter((entry) => words.some((word) => isNamed(word, entry)))
      .map(({ address }) => ({ address, version: to }));
    if (chosen.length === 0) continue;
    const part = await engine.revert({ pids: [pid], functions: chosen });
    if (part.outcome === 'failed') result.outcome = 'failed';
    result.processes.push(...part.processes);
    result.refusals.push(...part.refusals);
    for (const [step, time] of Object.entries(part.timings))
      result.timings[step] = (result.timings[step] ?? 0) + time;
  }
  return result;
}

/** A result that could not be made, as the document that is promised for one. */
export function failure(problem: Problem, files: string[] = []): PatchResult {
  return {
    outcome: 'failed',
    files,
    processes: [],
    refusals: [problem],
    warnings: [],
    diagnostics: [],
    changed: [],
    timings: {},
  };
}
