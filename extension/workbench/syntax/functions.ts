// What is known of a function in unsaved text: its name with its scopes, its lines, and a hash of its text. Made by
// the parser's thread (thread.ts); the views find the lines of a running function with it. Plain data.

export interface SourceFunction {
  /** With namespaces and classes, without parameters and template arguments. */
  readonly name: string;
  /** 0-based, as VS Code counts. */
  readonly startLine: number;
  readonly endLine: number;
  /** Where the name stands. */
  readonly nameLine: number;
  readonly nameColumn: number;
  readonly nameLength: number;
  readonly parameters: number;
  /** Of the text from its first to its last character. */
  readonly hash: number;
}

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
}
