// What the extension host and the parser's thread say to each other. Plain data, because it is copied between threads.
import type { SourceFunction } from '../state/source_function';

export type Grammar = 'c' | 'cpp';

export interface TextChange {
  readonly offset: number;
  readonly removed: number;
  readonly inserted: string;
}

export type ToParser =
  | {
      readonly type: 'open';
      readonly document: string;
      readonly grammar: Grammar;
      readonly version: number;
      readonly text: string;
    }
  | {
      readonly type: 'change';
      readonly document: string;
      readonly version: number;
      /** In the order in which VS Code lists them: each counts from the text before all of them. */
      readonly changes: readonly TextChange[];
    }
  | { readonly type: 'close'; readonly document: string };

export interface FromParser {
  readonly document: string;
  readonly version: number;
  readonly functions: readonly SourceFunction[];
  /** Why there are none. */
  readonly error?: string;
}
