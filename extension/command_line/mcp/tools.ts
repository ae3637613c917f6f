// The tools that agents have: what each takes, in words for the model, and the requests that it makes of the engine. Requests
// that compile or patch are made one after the other, as the saves of an editor are.
import { z } from 'zod';
import type { Engine, Target } from '../../engine/engine';
import { HotPatchError } from '../../engine/model/errors';
import type { PatchableProcess, Problem, ProcessStatus } from '../../engine/model/result';
import { processesText } from '../../engine/model/text';
import { asListed, freshStatus, listedProcesses, pidsWithRuntime, revertNamed } from '../requests';
import {
  checkAnswer,
  crashAnswer,
  patchAnswer,
  refusalAnswer,
  statusAnswer,
  threadsAnswer,
  type Answer,
} from './answers';
import { filesUnder } from './roots';

/** What comes with a request. */
export interface Call {
  /** The client withdraws it. */
  readonly signal: AbortSignal;
  /** The step that has begun. */
  readonly step: (name: string) => void;
}

export interface AgentTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodObject;
  /** Does it change a process? */
  readonly changes: boolean;
  /** @param words checked against `input`; a failure may be thrown */
  readonly answer: (words: Record<string, unknown>, call: Call) => Promise<Answer>;
}

/** Cells: nobody cuts what an agent reads. */
const WIDE = 500;

const files = z
  .array(z.string().min(1))
  .min(1)
  .describe('Source files or headers, absolute or relative to the project directory. They must be saved.');
const pid = z.number().int().positive();
const pids = z
  .array(pid)
  .min(1)
  .optional()
  .describe('Only these processes. By default the process that was built from the files, when there is one.');
const all = z
  .boolean()
  .optional()
  .describe('All processes that were built from the files; else several are a refusal.');

const onFiles = z.strictObject({ files, pids, all });
const onPatch = onFiles.extend({
  function: z
    .string()
    .min(1)
    .optional()
    .describe('Only this function, by name; by default all that the edit changes.'),
  attach: z
    .boolean()
    .optional()
    .describe('Attach to a process that was started without the runtime (state "no-runtime") first.'),
});
const onProcesses = z.strictObject({
  all: z.boolean().optional().describe('Every process, also those that cannot be patched.'),
});
const onStatus = z.strictObject({ pids: pids.describe('By default all that have the runtime.') });
const onRevert = z.strictObject({
  functions: z
    .array(z.string().min(1))
    .optional()
    .describe('Names of patched functions, as `status` has them; by default all.'),
  version: z
    .number()
    .int()
    .nonnegative()
    .optional()
    .describe('The version to go back to; 0, the default, is the original. Needs `functions`.'),
  pids: pids.describe('Only these processes. By default the one that is patched.'),
  all: z.boolean().optional().describe('All processes that are patched.'),
});
const onThreads = z.strictObject({
  pid: pid.optional().describe('By default the one process that has the runtime.'),
});
const onCrash = z.strictObject({
  pid: pid.optional().describe('The process that has ended; by default the last that crashed.'),
});

/** @param roots directories under which files may be named */
export function createAgentTools(engine: Engine, roots: () => Promise<string[]>): AgentTool[] {
  const known = new Map<number, PatchableProcess>();
  /** Remembers those with the runtime: after a crash its word is found by what the process was. */
  const look = async (): Promise<PatchableProcess[]> => {
    const processes = await engine.processes();
    for (const process of processes) if (process.runtime) known.set(process.pid, process);
    return processes;
  };

  // At once: what crashes before the first call was seen.
  let last: Promise<unknown> = look();

  /** After what was asked before; not at all when it was withdrawn while it waited. */
  const inTurn = <T>({ signal }: Call, work: () => Promise<T>): Promise<T> => {
    const turn = last.then(() => {
      signal.throwIfAborted();
      return work();
    });
    last = turn.catch(() => undefined);
    return turn;
  };

  const patch = async (words: Record<string, unknown>, call: Call, dryRun: boolean): Promise<Answer> => {
    const { function: functionName, attach, ...what } = onPatch.parse(words);
    const named = filesUnder(await roots(), what.files);
    return inTurn(call, async () => {
      const result = await engine.patch({
        files: named,
        target: targetOf(what),
        ...(functionName !== undefined && { functionName }),
        ...(attach !== undefined && { attach }),
        dryRun,
        signal: call.signal,
        onProgress: ({ step }) => call.step(step),
      });
      await look();
      return patchAnswer(result, dryRun);
    });
  };

  return [
    {
      name: 'processes',
      title: 'Processes that can be patched',
      description: 'Lists running processes that can be patched or attached to, and why others cannot.',
      input: onProcesses,
      changes: false,
      async answer(words) {
        await look();
        const { processes, seen } = await listedProcesses(engine, onProcesses.parse(words).all ?? false);
        return {
          text: processesText(processes, seen, WIDE),
          structured: {
            processes: processes.map((entry) => ({ ...entry, ...asListed(seen.get(entry.pid)) })),
          },
        };
      },
    },
    {
      name: 'check',
      title: 'What would a save do?',
      description:
        'Compiles files and compares them with the code that runs: which functions differ, which edits would be refused, and whether the compile command reproduces the program. Changes nothing.',
      input: onFiles,
      changes: false,
      async answer(words, call) {
        const what = onFiles.parse(words);
        const named = filesUnder(await roots(), what.files);
        return inTurn(call, async () => checkAnswer(await engine.check(named, targetOf(what))));
      },
    },
    {
      name: 'dry_run',
      title: 'Patch without delivering',
      description:
        'Everything of `patch` up to the finished patch file, which is not loaded: it names the functions that would be patched, or why it would be refused.',
      input: onPatch,
      changes: false,
      answer: (words, call) => patch(words, call, true),
    },
    {
      name: 'patch',
      title: 'Patch a running process',
      description:
        'Compiles files and redirects the functions that differ in the running process, all of them or none. Memory, threads and connections stay. A refusal leaves the process as it was.',
      input: onPatch,
      changes: true,
      answer: (words, call) => patch(words, call, false),
    },
    {
      name: 'status',
      title: 'What is patched',
      description:
        'The patched functions of processes: the version that runs, whether its entry was read back from memory, and threads that are still in old code.',
      input: onStatus,
      changes: false,
      async answer(words) {
        await look();
        const statuses: ProcessStatus[] = [];
        const warnings: Problem[] = [];
        for (const one of onStatus.parse(words).pids ?? (await pidsWithRuntime(engine)))
          statuses.push(await freshStatus(engine, one, (problem) => warnings.push(problem)));
        return statusAnswer(statuses, warnings);
      },
    },
    {
      name: 'revert',
      title: 'Revert functions',
      description: 'Brings the original code of patched functions back, or an earlier version.',
      input: onRevert,
      changes: true,
      async answer(words, call) {
        const { functions = [], version = 0, ...which } = onRevert.parse(words);
        if (version > 0 && functions.length === 0)
          throw new HotPatchError('unknown-function', 'A version needs the functions that go back to it');
        return inTurn(call, async () =>
          patchAnswer(await revertNamed(engine, { functions, version, target: targetOf(which) })),
        );
      },
    },
    {
      name: 'threads',
      title: 'Where is everybody?',
      description:
        'The threads of a process and the functions that each is in, with file and line. No thread is stopped for it; one that runs on a processor has no frames.',
      input: onThreads,
      changes: false,
      async answer(words) {
        await look();
        const one = onThreads.parse(words).pid ?? (await onlyProcess(engine));
        return threadsAnswer(one, await engine.threads(one));
      },
    },
    {
      name: 'last_crash',
      title: 'The last crash',
      description:
        'How a process crashed that was seen here before: signal, cause and backtrace, with the versions of patched functions.',
      input: onCrash,
      changes: false,
      async answer(words) {
        const { pid: wanted } = onCrash.parse(words);
        const running = new Set((await look()).map(keyOf));
        const ended = [...known.values()].filter(
          (process) => !running.has(keyOf(process)) && (wanted === undefined || process.pid === wanted),
        );
        const found = await Promise.all(ended.map((process) => engine.crash(process)));
        const crashes = found.filter((crash) => crash !== undefined);
        const latest = crashes.sort((a, b) => b.at - a.at)[0];
        if (latest) return crashAnswer(latest);
        if (wanted !== undefined && known.has(wanted) && ended.length === 0)
          return { text: `Process ${wanted} runs.\n`, structured: { crash: null } };
        if (wanted !== undefined && ended.length === 0)
          return refusalAnswer({
            code: 'no-process',
            message: `Process ${wanted} was not seen here with the runtime`,
            pid: wanted,
          });
        const text = 'No crash is known: what has ended ended normally, or was killed from outside.\n';
        return { text, structured: { crash: null } };
      },
    },
  ];
}

function targetOf({ pids: chosen, all: every }: { pids?: number[]; all?: boolean }): Target {
  return chosen ? { kind: 'pid', pids: chosen } : every ? { kind: 'all' } : { kind: 'match' };
}

const keyOf = ({ pid: number, startTime }: PatchableProcess) => `${number} ${startTime}`;

/** Throws HotPatchError no-process, several-processes. */
async function onlyProcess(engine: Engine): Promise<number> {
  const found = await pidsWithRuntime(engine);
  if (found.length > 1)
    throw new HotPatchError(
      'several-processes',
      `${found.length} processes have the runtime: ${found.join(', ')}`,
    );
  if (found[0] === undefined) throw new HotPatchError('no-process', 'No process has the runtime');
  return found[0];
}
