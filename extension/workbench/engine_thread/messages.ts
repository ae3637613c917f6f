// What the extension host and the engine's thread say to each other. Plain data, because it is copied between
// threads; functions and abort signals become messages of their own.
import type { Engine, EngineOptions } from '../../engine/engine';
import type { ProgressEvent } from '../../engine/model/result';

/** The engine's methods that are called across the thread. */
export type Method = Exclude<keyof Engine, 'dispose'>;

/** What the thread needs to make its engine; the log comes back as messages. */
export type ThreadOptions = Omit<EngineOptions, 'log'>;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type ToThread =
  | { readonly type: 'call'; readonly id: number; readonly method: Method; readonly parameters: unknown[] }
  | { readonly type: 'abort'; readonly id: number }
  /** To be answered by `alive` at once: the thread's event loop turns. */
  | { readonly type: 'ping' }
  | { readonly type: 'dispose' };

export type FromThread =
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly message: string }
  | { readonly type: 'progress'; readonly id: number; readonly event: ProgressEvent }
  | { readonly type: 'log'; readonly level: LogLevel; readonly message: string }
  | { readonly type: 'alive' };
