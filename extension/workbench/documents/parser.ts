// The functions of a text, asked for from the extension host and found by the parser's thread (thread.ts). Sends
// what was typed, never the whole text again; the host's own share of a key press is one small message.
import { Worker } from 'node:worker_threads';
import type { SourceFunction } from '../state/source_function';
import type { FromParser, Grammar, TextChange, ToParser } from './messages';

export interface SyntaxParser {
  /** Takes over a document; `version` counts up with every change. */
  open(document: string, grammar: Grammar, version: number, text: string): void;
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
  version: number;
  resolve(functions: readonly SourceFunction[] | undefined): void;
}

/** @param script the bundle of thread.ts. */
export function startParser(script: string, onError: (error: Error) => void): SyntaxParser {
  let worker: Worker | undefined;
  let snapshots = 0;
  const parsed = new Map<string, FromParser>();
  const waiting = new Map<string, Waiting[]>();
  const listeners = new Set<(document: string) => void>();

  function send(message: ToParser): void {
    worker ??= start();
    worker.postMessage(message);
  }

  function start(): Worker {
    const started = new Worker(script);
    started.on('message', receive);
    started.on('error', onError);
    started.unref();
    return started;
  }

  function receive(result: FromParser): void {
    const open = waiting.get(result.document);
    if (!open) return;
    parsed.set(result.document, result);
    waiting.set(
      result.document,
      open.filter((wait) => {
        if (wait.version > result.version) return true;
        wait.resolve(result.functions);
        return false;
      }),
    );
    for (const listener of listeners) listener(result.document);
  }

  const parser: SyntaxParser = {
    open(document, grammar, version, text) {
      if (!waiting.has(document)) waiting.set(document, []);
      send({ type: 'open', document, grammar, version, text });
    },
    change: (document, version, changes) => send({ type: 'change', document, version, changes }),
    close(document) {
      for (const wait of waiting.get(document) ?? []) wait.resolve(undefined);
      waiting.delete(document);
      parsed.delete(document);
      send({ type: 'close', document });
    },
    latest: (document) => parsed.get(document)?.functions,
    functions(document, version) {
      const latest = parsed.get(document);
      if (latest && latest.version >= version) return Promise.resolve(latest.functions);
      const open = waiting.get(document);
      if (!open) return Promise.resolve(undefined);
      return new Promise((resolve) => open.push({ version, resolve }));
    },
    async functionsOf(text, grammar) {
      const document = `snapshot:${++snapshots}`;
      parser.open(document, grammar, 0, text);
      const functions = await parser.functions(document, 0);
      parser.close(document);
      return functions ?? [];
    },
    onDidParse(listener) {
      listeners.add(listener);
      return { dispose: () => void listeners.delete(listener) };
    },
    dispose() {
      void worker?.terminate();
      worker = undefined;
    },
  };
  return parser;
}
