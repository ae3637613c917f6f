// What is known of a function in unsaved text: its name with its scopes, its lines, and a hash of its text. Found by
// the parser's thread (documents/thread.ts); the views find the lines of a running function with it. Plain data.

export interface SourceFunction {
  /** With namespaces and classes, without parameters and template arguments. */
  readonly name: string;
  /** 0-based, as VS Code counts. */
  readonly startLine: number;
  readonly endLine: number;
  /** Where the name stands. */
  readonly nameLine: number;
  readonly parameters: number;
  /** Of the text from its first to its last character. */
  readonly hash: number;
}
