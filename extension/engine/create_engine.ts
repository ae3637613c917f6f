// Builds an Engine from its parts: the one place where the effects (files, compiler, processes) and the pipeline
// meet. Wires; whatever is more than one call is in the part it belongs to.
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Caches } from './caches';
import { createCompileDatabases } from './compile/compile_database';
import { COMPILER_LIMITS, createCompiler } from './compile/compiler';
import { createUnitFinder } from './compile/dependents';
import { createIncludeSearch, readSource } from './compile/includes';
import { createLayoutHeaders, defaultLayoutDirectory } from './compile/layout_headers';
import { createPreambles, defaultPreambleDirectory } from './compile/preambles';
import { createTemporaryDirectory } from './compile/temporary_directory';
import type { Answer, EngineContext } from './context';
import type { ElfFile } from './elf/file';
import type { Engine, EngineOptions } from './engine';
import { Baselines } from './fast/baselines';
import { createAhead } from './save/ahead';
import { KeptLights } from './save/kept_light';
import { TriedPreambles } from './save/over_preamble';
import { CompiledUnits } from './save/reduced_units';
import { isThere, remove } from './host';
import { HotPatchError, toProblem } from './model/errors';
import type {
  AttachResult,
  Outcome,
  PatchableProcess,
  PatchResult,
  Problem,
  ProcessStatus,
} from './model/result';
import { checkFiles } from './check';
import { readCrash } from './crash';
import { hold, resume } from './held/resume';
import { readHeldThreads, type Held, type KnownHeld } from './held/threads';
import { readThreads } from './threads';
import { patchProcesses } from './patch';
import { createAttacher } from './process/attach';
import { attachTo } from './process/attach_targets';
import { createChangedSources, createOrigins } from './process/changed_sources';
import { createRuntimeClient } from './process/runtime_client';
import { createDemangler } from './process/demangle';
import { createDiscovery } from './process/discovery';
import { listeningPorts } from './process/listening_ports';
import { readAddressSpace } from './process/maps';
import { readMemory } from './process/memory';
import { createModuleCache } from './process/modules';
import { prepareSignals } from './process/system_calls';
import { createFunctionSources } from './process/function_sources';
import { createPatchPlaces } from './process/patch_places';
import { createSweeper } from './process/left_overs';
import { createProcessList, type ProcessList } from './process/process_list';
import { runEnvironment } from './process/run_environment';
import { readRunState } from './process/run_state';
import { wakingAttacher, withAddress } from './process/sleepers';

/** Patch files are small, but an editor runs all day. */
const KEPT_PATCHES = 512;

/** Milliseconds after which it is looked for what killed engines left: whoever asked for the processes goes first. */
const SWEEP_DELAY = 100;

export function createEngine(options: EngineOptions = {}): Engine {
  const caches = new Caches();
  const log = options.log ?? (() => undefined);
  const warn = (message: string): void => log('warn', message);
  const debugDirectories = options.debugDirectories ?? [];
  const temporaryDirectory = createTemporaryDirectory(options.temporaryDirectory ?? tmpdir());
  const removeTemporaries = (): void => void remove(temporaryDirectory);
  // Nothing is left behind either when the process ends without dispose.
  process.once('exit', removeTemporaries);
  const databases = createCompileDatabases(options, warn);
  const preambles = createPreambles(
    {
      directory: options.preambleDirectory ?? defaultPreambleDirectory(),
      limit: options.preambleLimit ?? 2 * 2 ** 30,
      log,
    },
    COMPILER_LIMITS,
  );
  const compiler = createCompiler({ temporaryDirectory, log }, COMPILER_LIMITS, preambles);
  const modules = createModuleCache(caches, debugDirectories);
  const baselines = new Baselines();
  const known = {
    baselines,
    compiled: new CompiledUnits(),
    kept: new KeptLights(),
    tried: new TriedPreambles(),
  };
  const demangle = createDemangler(caches, log);
  const allProcesses = createProcessList((pid) => lookAtProgram(pid));
  const sweep = createSweeper();
  const list: ProcessList = async () => {
    const processes = await allProcesses();
    const found = processes.flatMap(({ pid, runtime: address }) =>
      address ? [{ pid, directory: address.controlDirectory }] : [],
    );
    setTimeout(() => {
      for (const { pid, directory } of found) void sweep(pid, directory);
    }, SWEEP_DELAY).unref();
    return processes;
  };
  const discovery = createDiscovery(
    list,
    modules,
    createUnitFinder(databases.entriesNear, createIncludeSearch(readSource)),
    warn,
  );
  const runtimeDirectory = options.runtimeDirectory ?? join(__dirname, 'native', 'lib');
  const changedSources = createChangedSources(modules.modules, options.roots ?? []);
  const isFrom = createOrigins(modules.modules);
  const withPlaces = createPatchPlaces(caches, (message) => log('debug', message));
  const runtime = (process: PatchableProcess) => createRuntimeClient(process, { demangle, log });
  const attacher = wakingAttacher(createAttacher(runtimeDirectory, log), list, runtime);

  /** Not an error here: the process may end while it is looked at, and is listed as it was; one whose program is
   * malformed is listed with the reason. */
  const lookAtProgram = (pid: number): { rebuilt: boolean; problem?: Problem } => {
    try {
      return { rebuilt: modules.executable(pid).rebuilt };
    } catch (error) {
      const problem = toProblem(error);
      return problem.code === 'process-gone' ? { rebuilt: false } : { rebuilt: false, problem };
    }
  };

  const processWith = async (pid: number): Promise<PatchableProcess> => {
    const process = (await list()).find((candidate) => candidate.pid === pid);
    if (!process) throw new HotPatchError('process-gone', `There is no process ${pid}`, { pid });
    if (process.state === 'other-user')
      throw new HotPatchError('other-user', `Process ${pid} belongs to another user`, { pid });
    return process;
  };

  const context: EngineContext = {
    options,
    log,
    temporaryDirectory,
    demangle,
    layoutHeaders: createLayoutHeaders(options.layoutDirectory ?? defaultLayoutDirectory()),
    patchFiles: caches.create<ElfFile>({ limit: KEPT_PATCHES }),
    compile: { entriesFor: databases.entriesFor, ...compiler },
    processes: {
      list,
      targets: async (files, target) => {
        const found = await discovery.targets(files, target);
        // Not at once: the compiler is started first.
        setImmediate(prepareSignals);
        return found;
      },
      attach: (files, target) => attachTo(files, target, list, discovery, attacher),
      modules: modules.modules,
      addressSpace: readAddressSpace,
      readMemory,
      isTraced: (pid) => readRunState(pid)?.traced === true,
      runtime,
    },
  };

  const withNames = async (status: ProcessStatus): Promise<ProcessStatus> => {
    const { deoptimised } = status;
    if (!deoptimised) return status;
    const names = await demangle(deoptimised.map(({ symbol }) => symbol));
    return { ...status, deoptimised: deoptimised.map((fn, index) => ({ ...fn, name: names[index]! })) };
  };

  const knownHeld: KnownHeld = new Map();
  const heldIn = async (process: PatchableProcess): Promise<readonly Held[]> => {
    const status = process.runtime && (await runtime(process).readStatus());
    return readHeldThreads(process, { status, debugDirectories, demangle, log: warn }, knownHeld);
  };

  const ahead = createAhead(context, known);

  /** One request to the runtime of each process, as the result of a save. */
  const request = async (
    pids: readonly number[],
    done: Outcome,
    files: string[],
    ask: (process: PatchableProcess) => Promise<Answer>,
  ): Promise<PatchResult> => {
    const start = performance.now();
    const result: PatchResult = {
      outcome: done,
      files,
      processes: [],
      refusals: [],
      warnings: [],
      diagnostics: [],
      changed: [],
      timings: {},
    };
    const refuse = (problem: Problem, pid: number): void => {
      result.outcome = 'failed';
      result.refusals.push({ pid, ...problem });
    };
    for (const pid of pids) {
      try {
        const answer = await ask(await processWith(pid));
        const { exe, functions } = answer.status;
        result.processes.push({ pid, exe, functions });
        for (const [step, milliseconds] of Object.entries(answer.timings))
          if (step !== 'total') result.timings[step] = (result.timings[step] ?? 0) + milliseconds;
        result.warnings.push(...answer.warnings);
        if (!answer.ok) refuse(asProblem(answer), pid);
      } catch (error) {
        refuse(toProblem(error), pid);
      }
    }
    result.timings['total'] = performance.now() - start;
    return result;
  };

  /** A process that cannot even be looked up is a refusal as well. */
  const attachToPids = async (pids: readonly number[]): Promise<AttachResult[]> => {
    const processes = await list();
    const results: AttachResult[] = [];
    for (const pid of pids) {
      const process = processes.find((candidate) => candidate.pid === pid);
      try {
        if (!process) throw new HotPatchError('ended', `There is no process ${pid}`, { pid });
        results.push(await attacher.attach(process));
      } catch (error) {
        const problem = toProblem(error, log);
        results.push({
          pid,
          exe: process?.exe ?? '',
          outcome: 'refused',
          problem,
          pause: 0,
          milliseconds: 0,
        });
      }
    }
    return results;
  };

  return {
    processes: list,
    processesOf: async (file) => (await discovery.matching(file)).map(({ process }) => process),
    sourcesOf: createFunctionSources(list, modules.modules, demangle),
    changedSources: (pid) => changedSources(pid),
    isFrom: (pid, folders) => isFrom(pid, folders),
    listeningPorts,
    check: (files, target) => checkFiles(context, files, target, known),
    patch: (patchRequest) => {
      ahead.stop();
      return patchProcesses(context, patchRequest, known);
    },
    ahead: (aheadRequest) => ahead.prepare(aheadRequest),
    attach: (pids) => attachToPids(pids),
    detach: async (pids) => {
      const asleep = new Set((await list()).filter((process) => process.asleep).map(({ pid }) => pid));
      const awake = pids.filter((pid) => !asleep.has(pid));
      const outcome = awake.length === 0 ? 'unchanged' : 'reverted';
      return request(awake, outcome, [], (process) => runtime(process).detach());
    },
    attachability: (pids) => attacher.look(pids),
    load: (pid, patchFile) => {
      const file = resolve(patchFile);
      return request([pid], 'patched', [file], (process) => {
        if (!isThere(file)) throw new HotPatchError('file-not-found', `${file} does not exist`, { file });
        return runtime(process).load(file);
      });
    },
    revert: ({ pids, functions }) =>
      request(pids, 'reverted', [], (process) =>
        runtime(process).revert(
          functions === 'all'
            ? 'all'
            : functions.map(({ address, version }) => ({ address: Number(address), version })),
        ),
      ),
    status: async (pid, { refresh = false } = {}) => {
      const process = await processWith(pid);
      if (!refresh) return withNames(withPlaces(await runtime(withAddress(process)).readStatus()));
      const answer = await runtime(process).status();
      const problem = asProblem(answer);
      if (!answer.ok) throw new HotPatchError(problem.code, problem.message, { pid });
      return withNames(withPlaces(answer.status));
    },
    hold: async (pids, holdOptions) => {
      const problems: Problem[] = [];
      for (const pid of pids) {
        try {
          await hold(runtime(await processWith(pid)), holdOptions);
        } catch (error) {
          problems.push({ pid, ...toProblem(error, log) });
        }
      }
      return problems;
    },
    heldThreads: async (pid) => (await heldIn(await processWith(pid))).map(({ thread }) => thread),
    resume: async (pid, resumeRequest) => {
      try {
        const process = await processWith(pid);
        await resume(runtime(process), await heldIn(process), resumeRequest);
        return undefined;
      } catch (error) {
        return { pid, ...toProblem(error, log) };
      }
    },
    threads: async (pid) => {
      const process = await processWith(pid);
      const status = process.runtime && (await runtime(process).readStatus());
      return readThreads(process, { status, debugDirectories, demangle, log: warn });
    },
    crash: (process) => readCrash(process, demangle, warn, debugDirectories),
    runEnvironment: (base, program) => runEnvironment(base, program, runtimeDirectory),
    dispose: async () => {
      ahead.stop();
      process.off('exit', removeTemporaries);
      caches.clear();
      await preambles.dispose();
      removeTemporaries();
    },
  };
}

function asProblem({ error }: Answer): Problem {
  if (!error) return { code: 'internal', message: 'The runtime failed without saying why' };
  const { code, message, symbol } = error;
  return { code, message, ...(symbol !== null && { symbol }) };
}
