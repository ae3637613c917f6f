// Everything that can happen, as data: what the engine reported, what the user chose, what VS Code told. The
// reducer (reduce.ts) is the only place that gives an event its meaning.
import type { HeldThread } from '../../engine/model/held';
import type {
  AheadReport,
  AttachResult,
  CheckReport,
  CrashReport,
  PatchableProcess,
  PatchResult,
  ProcessStatus,
  Step,
} from '../../engine/model/result';
import type { LineChange } from './held_threads';
import type {
  Action,
  Delivered,
  EditedFunction,
  Environment,
  HistoryEntry,
  LiveAhead,
  ProcessKey,
  Selection,
  State,
  UnpreparedProcess,
} from './state';

export type Event =
  | { readonly type: 'environment'; readonly environment: Partial<Environment> }
  /** The compile databases are looked up anew, all of them. */
  | { readonly type: 'commands-changed' }
  | {
      readonly type: 'processes';
      readonly processes: readonly PatchableProcess[];
      /** None by default. */
      readonly unprepared?: readonly UnpreparedProcess[];
    }
  /** `answered`: by the runtime, just now; otherwise it is what the runtime last wrote. */
  | {
      readonly type: 'status';
      readonly key: ProcessKey;
      readonly status: ProcessStatus;
      readonly answered: boolean;
    }
  | { readonly type: 'twins'; readonly twins: State['twins'] }
  | { readonly type: 'silent'; readonly key: ProcessKey }
  | { readonly type: 'active-file'; readonly file: string | undefined }
  | { readonly type: 'open-files'; readonly files: readonly string[] }
  | { readonly type: 'matches'; readonly file: string; readonly processes: readonly PatchableProcess[] }
  | { readonly type: 'check-started'; readonly file: string }
  | {
      readonly type: 'check-finished';
      readonly file: string;
      readonly report: CheckReport;
      readonly text: string;
      /** When it was read, Unix milliseconds. */
      readonly at: number;
      /** Of each process that it was compared with: what it ran before the comparison and behind it. */
      readonly statuses: ReadonlyMap<ProcessKey, ProcessStatus>;
    }
  | { readonly type: 'check-failed'; readonly file: string }
  /** All files that were written since a process was built from them, with when, Unix milliseconds. */
  | { readonly type: 'sources-written'; readonly files: ReadonlyMap<string, number> }
  | { readonly type: 'selection'; readonly selection: Selection }
  /** What was known of processes that are followed, before the window was reloaded. */
  | {
      readonly type: 'versions-restored';
      readonly delivered: ReadonlyMap<string, Delivered>;
      readonly history: readonly HistoryEntry[];
    }
  /** A file was written, not by a save that is reported; `at` as the file system has it, Unix milliseconds. */
  | { readonly type: 'source-changed'; readonly file: string; readonly at: number }
  /** What a save of the unsaved text would make live; undefined once the text is another. */
  | { readonly type: 'compiled-ahead'; readonly file: string; readonly report: AheadReport | undefined }
  /** A process has ended that left a last word. */
  | { readonly type: 'crashed'; readonly process: PatchableProcess; readonly report: CrashReport }
  /** All threads that are held after a crash. */
  | { readonly type: 'held'; readonly threads: readonly HeldThread[] }
  /** Somebody types in a file in which a thread is held. */
  | { readonly type: 'typed'; readonly file: string; readonly changes: readonly LineChange[] }
  /** A process that this window started has ended. */
  | { readonly type: 'exited'; readonly key: ProcessKey; readonly status: number }
  | { readonly type: 'lost-dismissed' }
  | {
      readonly type: 'operation-started';
      readonly id: number;
      readonly action: Action;
      readonly files: readonly string[];
    }
  | {
      readonly type: 'operation-step';
      readonly id: number;
      readonly step: Step;
      readonly live?: LiveAhead | undefined;
      /** The process that the step is about, where it is about one. */
      readonly pid?: number | undefined;
    }
  /** The end of an operation that only attached. */
  | { readonly type: 'attach-finished'; readonly id: number; readonly results: readonly AttachResult[] }
  /** A newer save took its place, or the user gave it up; nothing of it is shown, nor what came of the save before. */
  | { readonly type: 'operation-superseded'; readonly id: number }
  | {
      readonly type: 'operation-finished';
      readonly id: number;
      readonly at: number;
      /** Unix milliseconds when it began to read its files. */
      readonly since: number;
      readonly result: PatchResult;
      /** Read after it, of each process that it touched, and of those that run the whole of the files. */
      readonly statuses: ReadonlyMap<ProcessKey, ProcessStatus>;
      /** Text of the files, and of the files of delivered functions, as it was compiled. */
      readonly texts: ReadonlyMap<string, string>;
      /** Functions whose text it changed. */
      readonly edited: readonly EditedFunction[];
      /** The whole of each file is live now, not only one function of it. */
      readonly whole: boolean;
    };
