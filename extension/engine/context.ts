// What the steps of a save work with: the effects (files, compiler, processes, the runtime) behind one typed
// seam. create_engine.ts builds it; patch.ts and tests use it. Types and no behaviour: nothing is decided here.
import type { Cache } from './caches';
import type { ElfFile } from './elf/file';
import type { EngineOptions, Target } from './engine';
import type {
  AttachResult,
  CompilerDiagnostic,
  MigratedType,
  PatchableProcess,
  Problem,
  ProcessStatus,
  Timings,
} from './model/result';

export interface EngineContext {
  readonly options: EngineOptions;
  readonly log: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;
  /** Exists, is ours alone, and is removed by Engine.dispose. */
  readonly temporaryDirectory: string;
  readonly compile: CompileContext;
  readonly processes: ProcessContext;
  /** Patches of processes, by file and the time at which they were loaded. */
  readonly patchFiles: Cache<ElfFile>;
  /** Display names of symbols, in the order given; never fails (a name that cannot be demangled stays as it is). */
  readonly demangle: (symbols: readonly string[]) => Promise<string[]>;
  /** Keeps the header of a type with its old and its new layout, for the program to include.
   * Throws HostError cannot-write. */
  readonly layoutHeaders: LayoutHeaders;
}

export interface LayoutHeaders {
  /** @param program its path
   * @param type qualified
   * @returns where it is, and when it was written last, which is now unless it said the same before; Unix milliseconds */
  write(program: string, type: string, text: string): { path: string; written: number };
}

// --- compile: from a file to objects ---------------------------------------------------------------------------

/** One way a translation unit was compiled, as a compile database records it. */
export interface CompileEntry {
  /** The source, absolute, symbolic links resolved: the identity of the unit. */
  source: string;
  /** The source exactly as the command spells it (`__FILE__` and DW_AT_name depend on it). */
  spelledSource: string;
  /** Where the command runs. */
  directory: string;
  /** The build's own command, response files not expanded. */
  arguments: string[];
  /** Object file the build wrote, absolute, when the entry or its command names it. */
  output?: string;
  /** The compile_commands.json it comes from. */
  database: string;
}

export interface CompiledUnit {
  entry: CompileEntry;
  /** Source, as in `entry.source`. */
  source: string;
  /** Path of the object in the temporary directory. */
  object: string;
  /** What was run, and where. */
  argv: string[];
  directory: string;
  /** Files that were read, absolute, when they were asked for and the compiler said so. */
  files?: string[] | undefined;
  /** It was compiled over its preamble, and not as the build does it. */
  isOverPreamble?: boolean;
  /** Functions that are not optimised for debugging, though the unit is, by symbol. */
  deoptimised?: ReadonlySet<string>;
  /** Warnings and notes of a compile that succeeded. */
  diagnostics: CompilerDiagnostic[];
  milliseconds: number;
}

/** A text that is compiled in place of a source's own, from another directory. */
export interface GivenText {
  language: 'c' | 'c++';
  /** Directives that it begins with, which may be compiled ahead; may be empty. */
  preamble: string;
  /** What comes in its place then: says which line of the source follows. */
  resume: string;
  rest: string;
}

/** Directives that were compiled ahead. */
export interface Preamble {
  /** The header to include in their place. */
  header: string;
  /** Tells it from one that was compiled before or later. */
  stamp: string;
  /** Files that the compiler read for it, absolute. */
  files: readonly string[];
}

export interface CompileRequest {
  /** Appended to the command, after the flags of the build and ours. */
  extraFlags?: string[];
  text?: GivenText;
  /** A text that does not compile over its preamble is not compiled without it. */
  overPreamble?: boolean;
  /** Have the compiler list the files that it reads. */
  listFiles?: boolean;
  /** Nobody waits for it: at the lowest priority. */
  isAhead?: boolean;
  signal?: AbortSignal;
}

export interface CompileContext {
  /** Usable entries of a source file, the most likely first. Which one made the live module is for the
   * comparison to find out.
   * @param builtIn directories in which the running code was compiled, or that hold the running module: databases are
   *   looked for there as well, and above.
   * Throws HotPatchError: file-not-found, no-compile-database, bad-compile-database, no-compile-command. */
  entriesFor(source: string, builtIn?: readonly string[]): CompileEntry[];
  /** Compiles with the entry's own command, for comparison and patching. Objects of earlier calls are kept until
   * the engine is disposed of, or the same entry and flags are compiled again.
   * Throws CompileError (compile/run_compiler.ts; code compile-failed or compiler-not-found, with diagnostics),
   * HotPatchError unsupported-construct (C++ modules), or the signal's reason when aborted. */
  compileUnit(entry: CompileEntry, request?: CompileRequest): Promise<CompiledUnit>;
  /** Has the preamble of a text compiled ahead, when nothing else is to be done, for `compileUnit` to use.
   * @param trial then has the text compiled over it, and is given what comes of that; not when it does not compile */
  prepare(
    entry: CompileEntry,
    text: GivenText,
    extraFlags: string[],
    trial?: (unit: CompiledUnit, preamble: Preamble) => void,
  ): void;
  /** The preamble of a text that was compiled ahead, which `compileUnit` would take. */
  preambleOf(entry: CompileEntry, text: GivenText, extraFlags: string[]): Preamble | undefined;
  /** Where the entry's compiler finds a library by its file name (`-print-file-name`); undefined when it does not say. */
  libraryFile(entry: CompileEntry, name: string): Promise<string | undefined>;
  /** Files of the shared libraries that the entry's compiler links every program with by itself, in their order.
   * Throws CompileError compiler-not-found. */
  linkLibraries(entry: CompileEntry): Promise<string[]>;
}

// --- processes: from a file to live modules, and back to the runtime -----------------------------------------------

/** One line of /proc/PID/maps. Addresses are numbers: user space is below 2^47. */
export interface Mapping {
  start: number;
  /** First address behind it. */
  end: number;
  readable: boolean;
  writable: boolean;
  executable: boolean;
  shared: boolean;
  /** Offset in the file, bytes. */
  offset: number;
  device: string;
  inode: number;
  /** File, `[heap]`, `[stack]`…, or empty; without the kernel's ` (deleted)`. */
  path: string;
  deleted: boolean;
}

/** A module (executable or shared library) as it is mapped in one process. */
export interface LiveModule {
  /** Path as in /proc/PID/maps. */
  path: string;
  kind: 'executable' | 'shared-library';
  /** Position independent (ET_DYN); false only for a non-PIE executable. */
  positionIndependent: boolean;
  /** Load bias: address in the process − address in the file. */
  bias: number;
  /** Range from the first to the last mapped segment, in the process. */
  start: number;
  end: number;
  /** Hexadecimal; undefined when the module has none. */
  buildId: string | undefined;
  /** The file that is mapped (not what lies at its path by now), with what a debug file has of it. Shared between calls: do
   * not close. */
  elf: ElfFile;
  /** Same file, same key: device, inode, mtime, build id and debug file. For caches of what was derived from `elf`. */
  key: string;
  /** When the mapped file was last modified, which is when it was linked; Unix milliseconds. */
  modified: number;
  /** The file at `path` is not the one that is mapped. */
  rebuilt: boolean;
  /** Why a debug file (elf/separate_debug.ts) that is there was not taken. */
  debugFileProblem?: string;
}

/** A translation unit of a live module that a save concerns. */
export interface LiveUnit {
  /** The file that was saved: the unit's source, or a header it includes. */
  edited: string;
  /** The unit's source, absolute, symbolic links resolved. */
  source: string;
  /** How the unit was matched to the file: by debug information; by its FILE symbol, in a module without debug
   * information; or by `#include` directives, for a header that debug information does not mention. */
  evidence: 'debug-information' | 'file-symbol' | 'include';
}

/** What a save concerns in one process. */
export interface LiveTarget {
  process: PatchableProcess;
  /** Modules with at least one unit that is concerned. */
  modules: { module: LiveModule; units: LiveUnit[] }[];
}

/** Mapping of one process at one moment, with what a patch's place depends on. */
export interface AddressSpace {
  mappings: Mapping[];
  /** Program break: the heap grows upward from here. 0 when unknown. */
  heapEnd: number;
}

export interface Answer {
  id: string;
  ok: boolean;
  /** Null when ok. `code` is one of the table. */
  error: { code: Problem['code']; message: string; symbol: string | null; errno: number | null } | null;
  /** What did not work and did not keep the request from being carried out: hooks of the program. */
  warnings: Problem[];
  /** Types of which objects were made anew. */
  migrated: MigratedType[];
  /** Milliseconds, as the runtime measured them: read, load, relocate, write, total. */
  timings: Timings;
  status: ProcessStatus;
}

/** A line of a request between the first and the last. */
export type RequestLine = readonly [key: string, value: string];

export interface RequestOptions {
  signal?: AbortSignal;
  /** Milliseconds to wait for the answer; 10 s by default. */
  timeout?: number;
  /** Time for which a debugger or SIGSTOP holds the process does not count. */
  waitWhileStopped?: boolean;
  /** Told when the process is found stopped while the answer is waited for, and (undefined) when it runs again. */
  onRunState?: (stopped: { tracer: number | undefined } | undefined) => void;
}

/** The runtime of one process. An answer with `ok: false` is a value; what is thrown is that no answer came:
 * HotPatchError process-gone, runtime-timeout, protocol-mismatch, or the signal's reason. Statuses have
 * `verifiedFromMemory` filled in from /proc/PID/mem and display names. */
export interface RuntimeClient {
  readonly process: PatchableProcess;
  /** Where patch files go, one name each, never overwritten: the process maps them. */
  readonly patchDirectory: string;
  /** Loads generated patches and reverts the functions at `reverts` to their originals, in one transaction.
   * @param options.sources what was saved, absolute; the program's hooks are told of it
   * @param options.migration lines that say which objects are made anew (docs/PROTOCOL.md, section 2) */
  patch(
    files: string[],
    reverts: number[],
    options?: RequestOptions & { sources?: readonly string[]; migration?: readonly RequestLine[] },
  ): Promise<Answer>;
  revert(
    functions: 'all' | { address: number; version: number }[],
    options?: RequestOptions,
  ): Promise<Answer>;
  load(file: string, options?: RequestOptions): Promise<Answer>;
  symbols(patchId: number, file: string, options?: RequestOptions): Promise<Answer>;
  /** Reverts everything and leaves the runtime asleep: it then answers `no-runtime` to all but `wake`. */
  detach(options?: RequestOptions): Promise<Answer>;
  wake(options?: RequestOptions): Promise<Answer>;
  /** Requests `hold` and `resume` (docs/PROTOCOL.md, section 2), with their lines. */
  hold(lines: readonly RequestLine[], options?: RequestOptions): Promise<Answer>;
  resume(lines: readonly RequestLine[], options?: RequestOptions): Promise<Answer>;
  /** Has the runtime count threads in old code again. */
  status(options?: RequestOptions): Promise<Answer>;
  /** The status the runtime last wrote; an empty one when it never did. Costs no signal. */
  readStatus(): Promise<ProcessStatus>;
}

export interface ProcessContext {
  /** Local processes, those with the runtime first. Reads no debug information: cheap enough for once a second. */
  list(): Promise<PatchableProcess[]>;
  /** The processes and modules a save of these files concerns; with `match`, exactly one process or an error.
   * Throws HotPatchError: no-process, several-processes, no-runtime, other-user, rebuilt, process-gone,
   * file-not-found. */
  targets(files: readonly string[], target: Target): Promise<LiveTarget[]>;
  /** Brings the runtime into the processes without it that the files and the target mean.
   * Throws HotPatchError: several-processes, and what attaching is refused for. */
  attach(files: readonly string[], target: Target): Promise<AttachResult[]>;
  /** Executable and shared libraries that are mapped now, executable first.
   * Throws HotPatchError process-gone, other-user. */
  modules(pid: number): Promise<LiveModule[]>;
  /** Throws HotPatchError process-gone, other-user. */
  addressSpace(pid: number): Promise<AddressSpace>;
  /** Bytes of the process's memory. Throws HotPatchError process-gone, other-user, or unreadable-file (not mapped). */
  readMemory(pid: number, address: number, length: number): Promise<Buffer>;
  /** Is a debugger attached, whether or not it holds the process? */
  isTraced(pid: number): boolean;
  /** Throws HotPatchError no-runtime, protocol-mismatch. */
  runtime(process: PatchableProcess): RuntimeClient;
}
