// The data that leaves the engine: what happened to a save, and what the processes report. Plain values, the
// same that `hot-patch --json` prints and that the views of the extension render. No behaviour here.
import type { ErrorCode } from './error_table';

/** How a request ended. `failed`: compile error or the runtime reported a failure; nothing changed. */
export type Outcome = 'patched' | 'unchanged' | 'reverted' | 'refused' | 'failed';

/** A refusal, error or warning. `file`/`line`/`column` (1-based) name the place that causes it, where there is one. */
export interface Problem {
  code: ErrorCode;
  message: string;
  file?: string;
  line?: number;
  column?: number;
  endLine?: number;
  endColumn?: number;
  /** Symbol the problem is about, as the linker spells it. */
  symbol?: string;
  /** The process it concerns, when it concerns one. */
  pid?: number;
  /** Of a type that is laid out otherwise than in the process: how it is there and how it would be, a line for each part;
   * then the same of the types that consist of it. */
  layouts?: { type: string; before: string; after: string };
  /** Types of the process that consist of that one: they have it as a member or base class, or are templates for it. */
  concerned?: string[];
  /** Directories of compile databases that others could have written: what the user names is taken. */
  untrusted?: string[];
  /** Of a process that a debugger has: what to tell that debugger. */
  debugger?: DebuggerCommands;
}

/** Commands that bring the runtime into the process that the debugger has. */
export interface DebuggerCommands {
  name: 'gdb' | 'lldb';
  commands: string[];
}

/** One `mprotect` call as the runtime made it. `protection` is spelled as in C, e.g. `PROT_READ|PROT_EXEC`. */
export interface ProtectionCall {
  protection: string;
  result: number;
  errno: number;
}

export interface Page {
  start: string;
  length: number;
  calls: ProtectionCall[];
}

export interface Trampoline {
  address: string;
  kind: 'jmp-rel32' | 'jmp-rel32+island' | 'none';
  method: string;
  bytesBefore: string;
  bytesAfter: string;
  target: string;
}

export interface FunctionVersion {
  /** 0 is the original in the module. */
  version: number;
  /** Id of the patch that brought it; null for the original. */
  patch: number | null;
  address: string;
  size: number;
  activeThreads: number;
}

/** A function that was patched at least once in a process, as the runtime reports it. */
export interface PatchedFunction {
  /** Demangled, for people. */
  name: string;
  symbol: string;
  address: string;
  module: string;
  /** The version that runs now; 0 after a revert. */
  version: number;
  versions: FunctionVersion[];
  trampoline: Trampoline;
  pages: Page[];
  /** Threads that run in, or will return into, another version than the current one. */
  activeThreads: number;
  /** The runtime read the bytes back after writing and they are what was meant. */
  verified: boolean;
  /** The engine itself read the entry from /proc/PID/mem and found `bytesAfter`; null when it could not. */
  verifiedFromMemory: boolean | null;
  /** Source file and line of the function, where the engine knows them. */
  file?: string;
  line?: number;
  /** It is not optimised, for debugging. */
  deoptimised?: true;
}

/** A function that was taken out of the optimisation for debugging, and runs so. */
export interface DeoptimisedFunction {
  name: string;
  symbol: string;
  /** The source of its unit. */
  source: string;
  line?: number;
}

export interface LoadedPatch {
  id: number;
  file: string;
  base: string;
  length: number;
  kind: 'generated' | 'fix_table';
  module: string;
  state: 'live' | 'superseded' | 'unmapped';
  loadedAt: number;
  activeThreads: number;
  /** Source files of its units, absolute, as its debug information names them. */
  sources?: string[];
}

/** The state of one process's runtime. */
export interface ProcessStatus {
  pid: number;
  exe: string;
  sequence: number;
  patches: LoadedPatch[];
  functions: PatchedFunction[];
  /** Types of which objects were migrated, and how they are laid out since (types/changed_layouts.ts). */
  layouts?: { type: string; layout: string }[];
  /** Not all of them are among `functions`: one that was inlined everywhere has no entry in the process. */
  deoptimised?: DeoptimisedFunction[];
}

/** A local process that has the runtime (or could be given it by a restart). */
export interface PatchableProcess {
  pid: number;
  /** Clock ticks since boot; pid and start time together identify a process. */
  startTime: number;
  parentPid: number;
  exe: string;
  name: string;
  commandLine: string[];
  cwd: string;
  /** `ready`: the runtime answers. `no-runtime`: not in the process, or detached from. `other-user`, `rebuilt`: cannot be patched, and why. */
  state: 'ready' | 'no-runtime' | 'other-user' | 'rebuilt';
  /** Why it, or its program, cannot be looked at. */
  problem?: Problem;
  runtime?: RuntimeAddress;
  /** The runtime of a process that was detached from (`no-runtime`): it can be woken and does nothing else. */
  asleep?: RuntimeAddress;
}

/** Where a runtime is and how it is called. */
export interface RuntimeAddress {
  version: string;
  protocol: number;
  signal: number;
  workerTid: number;
  controlDirectory: string;
  /** The directory that it would have had, and why that was not used. */
  passedOver?: string;
}

/** How a process crashed. */
export interface CrashReport {
  pid: number;
  exe: string;
  /** Unix milliseconds. */
  at: number;
  /** e.g. `SIGSEGV`. */
  signal: string;
  /** What that means here, in words: `null pointer (address 0x8)`. */
  cause: string;
  thread: string;
  tid: number;
  /** The innermost first. */
  frames: CrashFrame[];
}

/** A frame of a backtrace. */
export interface CrashFrame {
  address: string;
  /** Path of its module, or of its patch file. */
  module?: string;
  /** Demangled. */
  function?: string;
  file?: string;
  line?: number;
  /** Of code that a patch brought: which version of the function, and when it came, Unix milliseconds. */
  version?: number;
  patchedAt?: number;
}

/** Where a thread of a running process is. */
export interface ThreadReport {
  tid: number;
  name: string;
  /** `waiting`: in a system call, or stopped, with the frames. `running`: on a processor, or it went on while it was looked
   * at. `unknown`: the system does not let the engine look (`kernel.yama.ptrace_scope`). */
  state: 'waiting' | 'running' | 'unknown';
  /** It is the runtime's own. */
  isRuntime: boolean;
  /** The innermost first; they end where a register is not known from outside. */
  frames: CrashFrame[];
}

/** What came of attaching to one process. */
export interface AttachResult {
  pid: number;
  exe: string;
  /** `ready`: it had the runtime already. */
  outcome: 'attached' | 'ready' | 'refused';
  /** Why it was refused. */
  problem?: Problem;
  /** Milliseconds for which one thread of the process stood still; 0 when none did. */
  pause: number;
  /** Milliseconds in all. */
  milliseconds: number;
}

/** What a process without preparation is, seen from outside. */
export interface Attachability {
  pid: number;
  outcome: 'ready' | 'attachable' | 'refused';
  /** Why it cannot be attached to. */
  problem?: Problem;
}

/** Milliseconds by step, in the order of the way of a save; `total` is the wall clock from save to live. */
export type Timings = Record<string, number>;

export interface ProcessResult {
  pid: number;
  exe: string;
  functions: PatchedFunction[];
  /** Types with another layout, and how many objects were made anew; absent when there was none. */
  migrated?: MigratedType[];
}

export interface MigratedType {
  /** Qualified. */
  type: string;
  objects: number;
}

/** What one save came to, over all processes. This is the JSON document of `hot-patch patch`. */
export interface PatchResult {
  outcome: Outcome;
  files: string[];
  processes: ProcessResult[];
  /** Why it was refused or failed; empty otherwise. */
  refusals: Problem[];
  warnings: Problem[];
  /** Compiler messages, whatever the outcome. */
  diagnostics: CompilerDiagnostic[];
  /** Functions whose code differs from the live code, also with --dry-run: demangled name and symbol. */
  changed: ChangedFunction[];
  /** What was delivered ahead of the whole unit, and what came of it; absent when nothing was. */
  firstLight?: FirstLightReport;
  /** Processes that got the runtime for this save; absent when there was none. */
  attached?: AttachResult[];
  timings: Timings;
}

export interface FirstLightReport {
  /** `confirmed`: it is what the whole unit gives. `replaced`: the optimised code of the whole unit took the place of that
   * of a part of it, which did the same. `corrected`: more differed, and was replaced or added. `withdrawn`: the save was
   * refused or failed behind it, and the process runs what it ran before. */
  outcome: 'confirmed' | 'replaced' | 'corrected' | 'withdrawn';
  /** Milliseconds from the begin of the save until the edited functions were live. */
  live: number;
  /** Until the outcome was known. */
  exact: number;
  /** Names of functions that were replaced or added behind it. */
  corrected?: string[];
}

export interface ChangedFunction {
  name: string;
  symbol: string;
  file: string;
  line?: number;
  /** `changed`: redirected; `new`: only reached from patched code; `reverted`: back to the original. */
  kind: 'changed' | 'new' | 'reverted';
  /** It is not optimised, for debugging. */
  deoptimised?: true;
}

/** What a save of a text that is not saved yet would find. */
export interface AheadReport {
  /** `ready`: the functions that a save makes live are compiled. `unknown`: only the save will tell. */
  outcome: 'ready' | 'refused' | 'unchanged' | 'unknown';
  changed: ChangedFunction[];
  /** Of `refused`. */
  refusals: Problem[];
  /** Of `unknown`. */
  reason?: string;
}

export interface CompilerDiagnostic {
  severity: 'error' | 'warning' | 'note';
  message: string;
  file: string;
  line: number;
  column: number;
  endLine?: number;
  endColumn?: number;
  /** The compiler's option that controls it, e.g. `-Wunused-variable`. */
  option?: string;
}

/** Does the compile command of a file reproduce the code that runs? */
export interface CheckReport {
  file: string;
  verdict:
    'ready' | 'edited' | 'flags-differ' | 'no-command' | 'other-build' | 'no-process' | 'compile-failed';
  message: string;
  pid?: number;
  exe?: string;
  command?: string[];
  directory?: string;
  /** Functions compared, found unchanged, changed. */
  functions?: { compared: number; unchanged: number; changed: number };
  changed?: ChangedFunction[];
  problems: Problem[];
  timings: Timings;
}

/** A source file that was written since a program was built from it. */
export interface ChangedSource {
  file: string;
  /** When it was written, Unix milliseconds. */
  at: number;
}

/** Progress of a save, for a status line. */
export type Step =
  | 'find-process'
  /** The runtime is brought into the process. */
  | 'attach'
  | 'find-command'
  | 'compile'
  | 'read'
  | 'compare'
  | 'layout'
  | 'link'
  | 'deliver'
  /** The process is stopped, by a debugger or by SIGSTOP: delivered as soon as it continues. */
  | 'wait-for-debugger'
  | 'wait-for-continue'
  /** A debugger has a breakpoint at an entry: delivered as soon as it is removed. */
  | 'wait-for-breakpoint'
  | 'verify'
  /** The edited functions are live; the whole unit is still being compiled and compared. */
  | 'confirm';
export interface ProgressEvent {
  step: Step;
  file?: string;
  pid?: number;
  /** With `confirm`: milliseconds from the begin of the save, and the functions. */
  live?: { milliseconds: number; functions: string[] };
}
