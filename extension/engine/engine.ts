// The engine's public face: what the command line, the extension and the debug adapter call. Everything here
// returns plain data (model/result.ts); failures are outcomes with problems, not exceptions.
import type { HeldThread, HoldOptions, ResumeRequest } from './model/held';
import type {
  AheadReport,
  Attachability,
  AttachResult,
  ChangedSource,
  CheckReport,
  CrashReport,
  PatchableProcess,
  PatchResult,
  Problem,
  ProcessStatus,
  ProgressEvent,
  ThreadReport,
} from './model/result';

/** Where things are, for one workspace or one command line. */
export interface EngineOptions {
  /** Build directory that holds compile_commands.json (-p, setting hotPatch.buildDirectory). */
  buildDirectories?: string[];
  /** Workspace folders; compile databases are looked for from a file upwards, but not above these. */
  roots?: string[];
  /** Where debug files of programs are (as GDB's debug-file-directory), besides /usr/lib/debug; absolute. */
  debugDirectories?: string[];
  /** Directory with libhot_fix.so (dist/native/lib beside the bundle by default). */
  runtimeDirectory?: string;
  /** Directory for objects and other temporary files; created and removed by the engine. */
  temporaryDirectory?: string;
  /** Where preambles of units are kept, compiled, for all engines of the user; in the user's cache by default. */
  preambleDirectory?: string;
  /** Bytes that they may take together; 2 GiB by default, 0 for none. */
  preambleLimit?: number;
  /** Where headers with the layouts of types are kept that a save refused; in the user's cache by default. */
  layoutDirectory?: string;
  log?: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;
}

/** Which processes a request is for. */
export type Target = { kind: 'match' } | { kind: 'all' } | { kind: 'pid'; pids: number[] };

export interface PatchRequest {
  files: string[];
  target: Target;
  /** Only this function (demangled or mangled name); all changed ones by default. */
  functionName?: string;
  /** Have this function (demangled or mangled name) compiled without optimisation, for debugging: it stays so in each save
   * of its file until it is optimised again, or its process ends. */
  deoptimise?: string;
  /** Have this function, which was not optimised for debugging, compiled as the build does again. */
  optimise?: string;
  dryRun?: boolean;
  /** Attach to processes without the runtime first. */
  attach?: boolean;
  /** Deliver the edited functions ahead where that is certain to be right; the exact way confirms them behind. */
  firstLight?: boolean;
  signal?: AbortSignal;
  onProgress?: (event: ProgressEvent) => void;
}

/** A text in an editor that is not saved. */
export interface AheadRequest {
  file: string;
  text: string;
  target: Target;
}

export interface RevertRequest {
  pids: number[];
  /** Entry addresses with the version to go back to (0: original), or everything. */
  functions: 'all' | { address: string; version: number }[];
}

export interface Engine {
  /** Local processes, those with the runtime first. */
  processes(): Promise<PatchableProcess[]>;
  /** Processes whose modules were built from the file (a header: from any unit that includes it). */
  processesOf(file: string): Promise<PatchableProcess[]>;
  /** Sources of the processes in which a function of that name (demangled or mangled) is defined. */
  sourcesOf(functionName: string, target: Target): Promise<string[]>;
  /** Files under the roots that were written since the program of the process was built from them. */
  changedSources(pid: number): Promise<ChangedSource[]>;
  /** Does a module of the process lie in one of the folders, or was one built from a file there? */
  isFrom(pid: number, folders: readonly string[]): Promise<boolean>;
  /** TCP ports that a process listens on, ascending; none where that cannot be read. */
  listeningPorts(pid: number): Promise<number[]>;
  check(files: string[], target: Target): Promise<CheckReport[]>;
  patch(request: PatchRequest): Promise<PatchResult>;
  /** Does ahead what the first light of a save of the text needs, and touches no process. The next call and every save
   * stop it: a report is then `unknown`. */
  ahead(request: AheadRequest): Promise<AheadReport>;
  /** Brings the runtime into running processes; a refusal is a value. */
  attach(pids: number[]): Promise<AttachResult[]>;
  /** Takes all patches of the processes back and leaves their runtimes asleep, until they are attached to again.
   * `unchanged`: all of them were asleep. A process that cannot take its patches back stays as it is. */
  detach(pids: number[]): Promise<PatchResult>;
  /** What processes without the runtime are: attachable, or why not. Touches none. */
  attachability(pids: number[]): Promise<Attachability[]>;
  /** Loads a hand-written patch (`fix_table`) into a process. */
  load(pid: number, patchFile: string): Promise<PatchResult>;
  revert(request: RevertRequest): Promise<PatchResult>;
  /** `refresh`: have the runtime count the threads in old code again; otherwise what it last wrote. */
  status(pid: number, options?: { refresh?: boolean }): Promise<ProcessStatus>;
  /** Where the threads of a process are, seen from outside: none is stopped. Throws HotPatchError process-gone, other-user,
   * unreadable-file. */
  threads(pid: number): Promise<ThreadReport[]>;
  /** How a process ended whose runtime is known from before; undefined when it left no word of it: it ended normally, was
   * killed, or has another handler for what ended it. */
  crash(
    process: Pick<PatchableProcess, 'pid' | 'startTime' | 'exe' | 'runtime'>,
  ): Promise<CrashReport | undefined>;
  /** Has threads of processes held when they crash, in place of what this engine asked before. They are as long as its
   * process lives. A process in which they cannot be is a problem: cannot-hold, no-runtime, process-gone. */
  hold(pids: number[], options: HoldOptions): Promise<Problem[]>;
  /** Threads of a process that have crashed and are held, with the ways on for each. Throws HotPatchError process-gone,
   * other-user, protocol-mismatch. */
  heldThreads(pid: number): Promise<HeldThread[]>;
  /** Says how a thread that is held goes on. A problem when it does not: not-held, way-not-offered, process-gone. */
  resume(pid: number, request: ResumeRequest): Promise<Problem | undefined>;
  /** Environment with which a program gets the runtime (LD_PRELOAD and so on), on top of `base`. */
  runEnvironment(base: NodeJS.ProcessEnv, program: string): NodeJS.ProcessEnv;
  /** Removes temporary files. Running processes keep their patches. */
  dispose(): Promise<void>;
}
