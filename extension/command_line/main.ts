// The command line: arguments in, calls of the engine, text or JSON and an exit status out.
// One function a command; the same engine as in the editor, and nothing decided here that it decides.
import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { constants } from 'node:os';
import { version } from '../../package.json';
import { HELP, parseCommand, UsageError, type Command } from './arguments';
import { endOnInterrupt, endWhenNobodyReads, endWhenWritten, interruptible } from './interrupts';
import {
  DONE,
  err,
  exitStatusOf,
  out,
  printJson,
  printMessages,
  printResult,
  progress,
  USAGE,
  VERDICT_STATUS,
} from './report';
import { attend, listHeld, resumeHeld } from './held';
import {
  asListed,
  failure,
  freshStatus,
  listedProcesses,
  pidsWithRuntime,
  revertNamed,
  sourceOf,
} from './requests';
import { watchSaves } from './saves';
import {
  attachText,
  checkText,
  detachText,
  liveText,
  problemText,
  processesText,
  resultText,
  statusText,
} from '../engine/model/text';
import { createEngine } from '../engine/create_engine';
import type { Engine, EngineOptions } from '../engine/engine';
import { ERROR_TABLE, HotPatchError, toProblem } from '../engine/model/errors';
import type { PatchableProcess, PatchResult, ProcessStatus } from '../engine/model/result';
import { isOneFamily } from '../engine/process/discovery';
import { isAnotherUsers } from '../engine/process/other_users';
import { replaceProcess } from '../engine/process/system_calls';

async function patch(engine: Engine, command: Extract<Command, { name: 'patch' }>): Promise<number> {
  const { show, clear } = progress();
  const { target, functionName, dryRun, attach } = command;
  const files = command.files.map((file) => resolve(file));
  const signal = interruptible();
  try {
    const result = await engine.patch({
      files,
      target,
      functionName,
      dryRun,
      attach,
      signal,
      onProgress: show,
    });
    clear();
    return printResult(result, command.json);
  } finally {
    clear();
  }
}

/** Takes a function out of the optimisation, or back into it. */
async function changeOptimisation(
  engine: Engine,
  command: Extract<Command, { name: 'deoptimize' | 'optimize' }>,
): Promise<number> {
  const { name, functionName, file, target, attach } = command;
  const isTakenOut = name === 'deoptimize';
  const source = file ?? (await sourceOf(engine, { functionName, target, isOptimised: isTakenOut }));
  const what = isTakenOut ? { deoptimise: functionName } : { optimise: functionName };
  const signal = interruptible();
  const result = await engine.patch({ files: [resolve(source)], target, attach, signal, ...what });
  return printResult(result, command.json);
}

async function watch(engine: Engine, command: Extract<Command, { name: 'watch' }>): Promise<number> {
  const directory = directoryOf(command.directory);
  const interrupted = interruptible();
  const waiting = new Set<string>();
  let running: Promise<void> | undefined;

  const patchWaiting = async (): Promise<void> => {
    while (waiting.size > 0 && !interrupted.aborted) {
      const files = [...waiting];
      waiting.clear();
      let result: PatchResult;
      try {
        const { target, attach, exact } = command;
        result = await engine.patch({
          files,
          target,
          attach,
          firstLight: !exact,
          signal: interrupted,
          onProgress: ({ live }) => {
            if (live) err(liveText(live));
          },
        });
      } catch (error) {
        result = failure(toProblem(error), files);
      }
      if (interrupted.aborted) return;
      if (command.json) printJson(result);
      else {
        printMessages(result);
        err(resultText(result));
      }
    }
  };
  const stop = watchSaves(directory, (files) => {
    for (const file of files) waiting.add(file);
    running ??= patchWaiting().finally(() => (running = undefined));
  });
  err(`watching ${directory}\n`);
  const { hold, target, json } = command;
  const pids = target.kind === 'pid' ? target.pids : [];
  if (hold === 'off')
    await new Promise((resolve) => interrupted.addEventListener('abort', resolve, { once: true }));
  else await attend(engine, hold, { folder: directory, pids }, json, interrupted);
  stop();
  await running;
  // Being interrupted is how watching ends.
  process.exitCode = DONE;
  return DONE;
}

function directoryOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    throw new HotPatchError('file-not-found', `${path} does not exist`, { file: path });
  }
}

async function check(engine: Engine, command: Extract<Command, { name: 'check' }>): Promise<number> {
  const reports = await engine.check(
    command.files.map((file) => resolve(file)),
    command.target,
  );
  if (command.json) printJson(reports);
  else for (const report of reports) out(checkText(report));
  return Math.max(DONE, ...reports.map(({ verdict }) => VERDICT_STATUS[verdict]));
}

/** The processes that a word of `attach` or `detach` means: a pid, the name of a program, its file, or a source of it. */
async function processesNamed(
  engine: Engine,
  processes: readonly PatchableProcess[],
  word: string,
): Promise<PatchableProcess[]> {
  if (/^\d+$/.test(word)) {
    const found = processes.filter(({ pid }) => pid === Number(word));
    if (found.length === 0)
      throw new HotPatchError('ended', `There is no process ${word}`, { pid: Number(word) });
    return found;
  }
  const file = existsSync(word) ? realpathSync(word) : undefined;
  const named = processes.filter(({ name, exe }) => name === word || exe === file);
  if (named.length > 0 || file === undefined) return named;
  const built = await engine.processesOf(file);
  return built.length > 0 ? built : processes.filter((entry) => isAnotherUsers(entry, file));
}

/** The processes that the words mean, those of one program's family or all.
 * @param mayBeMeant leaves others of the same name out, unless there are no such
 * Throws HotPatchError no-process, several-processes, ended. */
async function processesMeant(
  engine: Engine,
  { words, all }: { words: readonly string[]; all: boolean },
  mayBeMeant: (process: PatchableProcess) => boolean = () => true,
): Promise<PatchableProcess[]> {
  const processes = await engine.processes();
  const parents = new Map(processes.map(({ pid, parentPid }) => [pid, parentPid]));
  const chosen = new Map<number, PatchableProcess>();
  for (const word of words) {
    const named = await processesNamed(engine, processes, word);
    const likely = named.filter(mayBeMeant);
    const found = likely.length > 0 ? likely : named;
    if (found.length === 0) throw new HotPatchError('no-process', `No running process is meant by ${word}`);
    if (!all && !isOneFamily(found, (pid) => parents.get(pid)))
      throw new HotPatchError(
        'several-processes',
        `${word} means ${found.length} processes: ${found.map(({ pid, exe }) => `${pid} (${exe})`).join(', ')}`,
      );
    for (const entry of found) chosen.set(entry.pid, entry);
  }
  return [...chosen.values()];
}

async function detach(engine: Engine, command: Extract<Command, { name: 'detach' }>): Promise<number> {
  const chosen = await processesMeant(engine, command, ({ runtime }) => runtime !== undefined);
  const result = await engine.detach(chosen.map(({ pid }) => pid));
  if (command.json) printJson(result);
  else {
    printMessages(result);
    out(detachText(result, chosen));
  }
  return exitStatusOf(result);
}

async function held(engine: Engine, command: Extract<Command, { name: 'held' }>): Promise<number> {
  const hasRuntime = ({ runtime }: PatchableProcess): boolean => runtime !== undefined;
  const chosen =
    command.words.length > 0
      ? (await processesMeant(engine, command, hasRuntime)).map(({ pid }) => pid)
      : await pidsWithRuntime(engine);
  return listHeld(engine, command, chosen);
}

async function attach(engine: Engine, command: Extract<Command, { name: 'attach' }>): Promise<number> {
  const chosen = await processesMeant(engine, command);
  const results = await engine.attach(chosen.map(({ pid }) => pid));
  if (command.json) printJson(results);
  else
    for (const result of results) {
      if (result.problem) err(problemText(result.problem));
      else out(attachText(result));
    }
  return Math.max(DONE, ...results.map(({ problem }) => (problem ? ERROR_TABLE[problem.code].exit : DONE)));
}

async function ps(engine: Engine, command: Extract<Command, { name: 'ps' }>): Promise<number> {
  const { processes, seen } = await listedProcesses(engine, command.all);
  if (command.json) printJson(processes.map((entry) => ({ ...entry, ...asListed(seen.get(entry.pid)) })));
  else out(processesText(processes, seen, process.stdout.columns ?? 120));
  return DONE;
}

async function status(engine: Engine, command: Extract<Command, { name: 'status' }>): Promise<number> {
  const pids = command.pids.length > 0 ? command.pids : await pidsWithRuntime(engine);
  const statuses: ProcessStatus[] = [];
  for (const pid of pids)
    statuses.push(await freshStatus(engine, pid, (problem) => err(problemText(problem, 'warning'))));
  if (command.json) printJson(statuses);
  else out(statuses.map(statusText).join('\n') || 'No process has the runtime.\n');
  return DONE;
}

async function revert(engine: Engine, command: Extract<Command, { name: 'revert' }>): Promise<number> {
  return printResult(await revertNamed(engine, command), command.json);
}

/** Becomes the program: nothing of ours stays between it and the terminal, and its pid is the one started. */
async function run(engine: Engine, program: string[]): Promise<number> {
  const environment = engine.runEnvironment(process.env, program[0]!);
  await engine.dispose();
  const errno = await replaceProcess(program, environment);
  const reason =
    Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
  err(`hot-patch: ${program[0]} cannot be started: ${reason}\n`);
  // As a shell says it.
  return errno === constants.errno.ENOENT ? 127 : 126;
}

type EngineCommand = Exclude<Command, { name: 'help' | 'version' | 'mcp' }>;

function execute(engine: Engine, command: EngineCommand): Promise<number> {
  switch (command.name) {
    case 'ps':
      return ps(engine, command);
    case 'attach':
      return attach(engine, command);
    case 'detach':
      return detach(engine, command);
    case 'patch':
      return patch(engine, command);
    case 'deoptimize':
    case 'optimize':
      return changeOptimisation(engine, command);
    case 'watch':
      return watch(engine, command);
    case 'held':
      return held(engine, command);
    case 'resume':
      return resumeHeld(engine, command);
    case 'check':
      return check(engine, command);
    case 'status':
      return status(engine, command);
    case 'revert':
      return revert(engine, command);
    case 'run':
      return run(engine, command.program);
    case 'load':
      return engine.load(command.pid, command.patch).then((result) => printResult(result, command.json));
  }
}

/** Says what it failed with. Nothing of it is still at work afterwards. */
async function executeToEnd(engine: Engine, command: EngineCommand): Promise<number> {
  try {
    return await execute(engine, command);
  } catch (error) {
    const problem = toProblem(error);
    if (command.json) printJson(failure(problem));
    else err(problemText(problem));
    return exitStatusOf({ outcome: 'failed', refusals: [problem] });
  } finally {
    await engine.dispose();
  }
}

async function main(words: string[]): Promise<number> {
  let command: Command;
  try {
    command = parseCommand(words);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    err(`hot-patch: ${error.message}\n\n${HELP}`);
    return USAGE;
  }
  if (command.name === 'help' || command.name === 'version') {
    out(command.name === 'help' ? HELP : `${version}\n`);
    return DONE;
  }
  const { verbose } = command;
  endOnInterrupt();
  // Not for `run`: using a stream makes it non-blocking, and the program would inherit that.
  if (command.name !== 'run') endWhenNobodyReads();
  const options: EngineOptions = {
    buildDirectories: command.buildDirectories.map((directory) => resolve(directory)),
    debugDirectories: command.debugDirectories.map((directory) => resolve(directory)),
    log: (level, message) => {
      if (verbose || level === 'warn' || level === 'error') err(`hot-patch: ${message}\n`);
    },
  };
  if (command.name === 'mcp') {
    // A bundle of its own, with its own engine: no other command reads it.
    const { serveAgents } = await import('./mcp/server');
    await serveAgents(options);
    return DONE;
  }
  const exitStatus = await executeToEnd(createEngine(options), command);
  if (command.name !== 'run') endWhenWritten();
  return exitStatus;
}

// exitCode and not exit(): output to a pipe is written before the process ends. One set by a signal stays.
void main(process.argv.slice(2)).then((exitStatus) => (process.exitCode ??= exitStatus));
