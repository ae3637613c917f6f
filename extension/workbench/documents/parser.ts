// The functions of a text, asked for from the extension host and found by the parser's thread (thread.ts). Sends what
// was typed, never the whole text again, unless the thread died: then each document is sent as it is now. The host's
// own share of a key press is one small message.
import type { SourceFunction } from '../state/source_function';
import { workerThread } from '../worker_thread';
import type { FromParser, Grammar, TextChange, ToParser } from './messages';

/** A document as it is now. */
export interface CurrentText {
  readonly version: number;
  readonly text: string;
}

export interface SyntaxParser {
  /** Takes over a document; its version counts up with every change. */
  open(document: string, grammar: Grammar, current: () => CurrentText): void;
  change(document: string, version: number, changes: readonly TextChange[]): void;
  close(document: string): void;
  /** What the thread found last, at once; undefined before the first parse. */
  latest(document: string): readonly SourceFunction[] | undefined;
  /** The functions of this version or a later one; undefined when the document was closed meanwhile. */
  functions(document: string, version: number): Promise<readonly SourceFunction[] | undefined>;
  /** The functions of a text that is not being edited. */
  functionsOf(text: string, grammar: Grammar): Promise<readonly SourceFunction[]>;
  onDidParse(listener: (document: string) => void): { dispose(): void };
  dispose(): void;
}

interface Waiting {
  readonly version: number;
  readonly resolve: (functions: readonly SourceFunction[] | undefined) => void;
}

interface Document {
  readonly grammar: Grammar;
  readonly current: () => CurrentText;
  parsed: FromParser | undefined;
  waiting: Waiting[];
}

/**
 * @param script the bundle of thread.ts
 * @param log what went wrong in the thread
 */
export function startParser(script: string, log: (message: string) => void): SyntaxParser {
  const documents = new Map<string, Document>();
  const listeners = new Set<(document: string) => void>();
  let snapshots = 0;
  /** Whether the present thread has parsed anything: one that cannot is not started again and again. */
  let hasParsed = false;

  const thread = workerThread<ToParser, FromParser>({ script, receive, died });

  function receive(result: FromParser): void {
    if (result.error === undefined) hasParsed = true;
    else log(`parser: ${result.error}`);
    const document = documents.get(result.document);
    if (!document) return;
    document.parsed = result;
    const { waiting } = document;
    document.waiting = waiting.filter(({ version }) => version > result.version);
    for (const { version, resolve } of waiting) if (version <= result.version) resolve(result.functions);
    for (const listener of listeners) listener(result.document);
  }

  function died(reason: string): void {
    log(`parser: the thread ended: ${reason}`);
    const again = hasParsed;
    hasParsed = false;
    for (const [name, document] of documents) {
      if (again) send(name, document);
      else for (const { resolve } of document.waiting.splice(0)) resolve(document.parsed?.functions ?? []);
    }
  }

  function send(name: string, { grammar, current }: Document): void {
    thread.send({ type: 'open', document: name, grammar, ...current() });
  }

  const parser: SyntaxParser = {
    open(name, grammar, current) {
      const document: Document = { grammar, current, parsed: undefined, waiting: [] };
      documents.set(name, document);
      send(name, document);
    },
    change(name, version, changes) {
      const document = documents.get(name);
      if (!document) return;
      if (thread.isRunning) thread.send({ type: 'change', document: name, version, changes });
      else send(name, document);
    },
    close(name) {
      const document = documents.get(name);
      documents.delete(name);
      for (const { resolve } of document?.waiting ?? []) resolve(undefined);
      if (thread.isRunning) thread.send({ type: 'close', document: name });
    },
    latest: (name) => documents.get(name)?.parsed?.functions,
    functions(name, version) {
      const document = documents.get(name);
      if (!document) return Promise.resolve(undefined);
      const { parsed } = document;
      if (parsed && parsed.version >= version) return Promise.resolve(parsed.functions);
      if (!thread.isRunning) send(name, document);
      return new Promise((resolve) => document.waiting.push({ version, resolve }));
    },
    async functionsOf(text, grammar) {
      const name = `snapshot:${++snapshots}`;
      parser.open(name, grammar, () => ({ version: 0, text }));
      const functions = await parser.functions(name, 0);
      parser.close(name);
      return functions ?? [];
    },
    onDidParse(listener) {
      listeners.add(listener);
      return { dispose: () => void listeners.delete(listener) };
    },
    dispose: () => void thread.end(),
  };
  return parser;
}
