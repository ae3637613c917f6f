// The one immutable state of the extension: what the engine and VS Code have reported so far. Events become a new
// state in reduce.ts; views render it and decide nothing. Plain data: no vscode, no effects.
import type { HeldThread } from '../../engine/model/held';
import type {
  AheadReport,
  AttachResult,
  CheckReport,
  CompilerDiagnostic,
  CrashReport,
  MigratedType,
  Outcome,
  PatchableProcess,
  Problem,
  ProcessStatus,
  Step,
} from '../../engine/model/result';

export interface State {
  readonly environment: Environment;
  /** Processes that have the runtime, as the last look at the system found them; undefined before the first. */
  readonly processes: readonly PatchableProcess[] | undefined;
  /** Processes of the workspace that were started without it. */
  readonly unprepared: readonly UnpreparedProcess[];
  /** Of processes of one program that have the same arguments. */
  readonly twins: ReadonlyMap<ProcessKey, Twin>;
  /** Which of the matching processes a save is for. */
  readonly selection: Selection;
  readonly statuses: ReadonlyMap<ProcessKey, ProcessStatus>;
  /** Processes built from each file that was looked at and is open, those without the runtime included. */
  readonly matches: ReadonlyMap<string, readonly PatchableProcess[]>;
  readonly checks: ReadonlyMap<string, Check>;
  /** What was compiled of unsaved texts, and is live at their save. */
  readonly ahead: ReadonlyMap<string, AheadReport>;
  /** Files of the workspace that were written since a process that runs was built from them. */
  readonly written: ReadonlyMap<string, WrittenFile>;
  /** The C or C++ file in the active editor. */
  readonly activeFile: string | undefined;
  /** What is under way; there is never more than one. */
  readonly operation: Operation | undefined;
  readonly last: Finished | undefined;
  /** Processes that ended, or stopped answering, while they ran patched code. */
  readonly lost: readonly LostProcess[];
  /** The last process that crashed; until a save is live that may have mended it. */
  readonly crash: CrashedProcess | undefined;
  /** Threads that have crashed and wait to be told how to go on. */
  readonly held: readonly HeldThread[];
  /** The lines at which those are, from 0, since somebody typed above them; by holdKey. */
  readonly heldLines: ReadonlyMap<string, number>;
  /** Exit statuses of processes that this window started, the last ones. */
  readonly exits: ReadonlyMap<ProcessKey, number>;
  readonly reports: readonly Report[];
  readonly history: readonly HistoryEntry[];
  /** The source of every version that was delivered from this workspace. */
  readonly delivered: ReadonlyMap<string, Delivered>;
}

export interface Environment {
  readonly platform: boolean;
  readonly trusted: boolean;
  /** Whether a compile_commands.json is known; undefined while it is being looked for. */
  readonly database: boolean | undefined;
}

export interface UnpreparedProcess extends PatchableProcess {
  /** Why it cannot be attached to; undefined when nothing is known to be in the way. */
  readonly obstacle: Problem | undefined;
}

/** What else tells a process from others of its program. */
export interface Twin {
  /** TCP ports that it listens on. */
  readonly ports: readonly number[];
  /** Of the debug session or task of this window that started it. */
  readonly name?: string;
}

/** pid, start time and the runtime's thread: a reused pid is another process, and so is one that runs another program
 * now, whose patches have ended with what it ran before. */
export type ProcessKey = string;

export type Selection =
  { readonly kind: 'all' } | { readonly kind: 'processes'; readonly keys: readonly ProcessKey[] };

export type Check =
  | { readonly kind: 'running' }
  | {
      readonly kind: 'done';
      readonly report: CheckReport;
      /** What the file held when it was checked. */
      readonly text: string;
      /** What it was compared with. */
      readonly versions: RunningVersions;
      /** When the text was read, Unix milliseconds. */
      readonly at: number;
      /** The last text of the file that was found to be what runs. */
      readonly known: KnownText | undefined;
    };

/** Versions of functions by their entries, in each process that was looked at: functions that are not in it ran their
 * original. Of other processes it says nothing. */
export type RunningVersions = ReadonlyMap<ProcessKey, ReadonlyMap<string, number>>;

/** A text that was what ran. */
export interface KnownText {
  readonly text: string;
  /** What ran then. */
  readonly versions: RunningVersions;
  /** When the text was read, Unix milliseconds. */
  readonly at: number;
}

export interface WrittenFile {
  /** Unix milliseconds; not before the last time that it was. */
  readonly at: number;
  /** How its text compares with what runs; undefined while that is not known. */
  readonly report: CheckReport | undefined;
}

export type Action = 'save' | 'patch' | 'load' | 'revert' | 'restore' | 'bring-over' | 'attach' | 'detach';

export interface Operation {
  readonly id: number;
  readonly action: Action;
  readonly files: readonly string[];
  readonly step: Step | undefined;
  /** The process that the step is about, where it is about one. */
  readonly pid?: number | undefined;
  readonly live?: LiveAhead | undefined;
}

/** Edited functions that are live while their unit is still compiled whole. */
export interface LiveAhead {
  /** From the begin of the save until they were. */
  readonly milliseconds: number;
  /** Demangled names. */
  readonly functions: readonly string[];
}

export interface Finished {
  readonly action: Action;
  readonly files: readonly string[];
  readonly outcome: Outcome;
  /** Until the edited functions were live. */
  readonly milliseconds: number;
  /** What came of those that were live ahead, and when. */
  readonly confirmed?: { readonly outcome: string; readonly milliseconds: number } | undefined;
  readonly functions: readonly string[];
  readonly processes: readonly number[];
  /** Those of them that were attached to first. */
  readonly attached: readonly AttachResult[];
  /** It did not succeed as a whole, and these processes run it all the same. */
  readonly partly: readonly number[];
  readonly refusals: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly errors: readonly CompilerDiagnostic[];
}

export interface LostProcess {
  readonly key: ProcessKey;
  readonly pid: number;
  readonly name: string;
  readonly reason: 'ended' | 'silent';
  /** How many functions were redirected in it. */
  readonly functions: number;
  /** What it said last. */
  readonly crash?: CrashReport;
  /** Of one that this window started: as a shell has it, 128 and the signal's number for a signal. */
  readonly exitStatus?: number;
}

export interface CrashedProcess {
  readonly key: ProcessKey;
  readonly pid: number;
  readonly name: string;
  readonly report: CrashReport;
}

/** What one run said about its files, until a later run of those files replaces it. */
export interface Report {
  /** Unix milliseconds when its files were read: a file that was written later is not what it speaks of. */
  readonly since: number;
  readonly files: readonly string[];
  readonly processes: readonly ProcessKey[];
  readonly diagnostics: readonly CompilerDiagnostic[];
  readonly refusals: readonly Problem[];
  readonly warnings: readonly Problem[];
}

export interface HistoryEntry {
  /** Ascending, also from one window to the next. */
  readonly id: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly action: Action;
  readonly files: readonly string[];
  readonly functions: readonly string[];
  readonly processes: readonly { readonly key: ProcessKey; readonly pid: number; readonly name: string }[];
  readonly milliseconds: number;
  readonly confirmed?: Finished['confirmed'];
  readonly outcome: Outcome;
  /** It did not succeed as a whole, and these processes run it all the same. */
  readonly partly: readonly number[];
  readonly message: string | undefined;
  /** The line that was edited: `n * 3 + 1 → n * 9`. */
  readonly change?: string;
  /** Types of which objects were made anew, over all processes. */
  readonly migrated?: readonly MigratedType[];
  /** The version of every patched function of each process after it: the state that can be gone back to. */
  readonly after: ReadonlyMap<ProcessKey, ReadonlyMap<string, number>>;
}

export interface Delivered {
  readonly file: string;
  readonly text: string;
  readonly milliseconds: number;
  /** Functions that were edited and are live because this one, which they are inlined into, was patched. */
  readonly inlined: readonly EditedFunction[];
}

/** A function whose text a save changed. */
export interface EditedFunction {
  readonly file: string;
  readonly name: string;
  /** As in `SourceFunction`: of its text before, and after. */
  readonly before: number;
  readonly hash: number;
  /** The line that changed: `n * 3 + 1 → n * 9`. */
  readonly change: string;
  /** Where its own code is not what changed: the patched functions, by qualified name, that it is inlined into. */
  readonly into: readonly string[];
}

export const initialState: State = {
  environment: { platform: true, trusted: true, database: undefined },
  processes: undefined,
  unprepared: [],
  twins: new Map(),
  selection: { kind: 'all' },
  statuses: new Map(),
  matches: new Map(),
  checks: new Map(),
  ahead: new Map(),
  written: new Map(),
  activeFile: undefined,
  operation: undefined,
  last: undefined,
  lost: [],
  crash: undefined,
  held: [],
  heldLines: new Map(),
  exits: new Map(),
  reports: [],
  history: [],
  delivered: new Map(),
};

export function processKey({
  pid,
  startTime,
  runtime,
}: Pick<PatchableProcess, 'pid' | 'startTime' | 'runtime'>): ProcessKey {
  return `${pid}@${startTime}${runtime ? `#${runtime.workerTid}` : ''}`;
}

/** Key of `State.delivered`. `address` is the function's entry as the runtime spells it; version 0 is the original. */
export function versionKey(process: ProcessKey, address: string, version: number): string {
  return `${process} ${address} ${version}`;
}
