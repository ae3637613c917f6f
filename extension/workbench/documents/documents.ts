// The open C and C++ documents and the functions in them: feeds the parser's thread what is opened and typed, and
// keeps the functions of earlier texts that are compared with. Shared by the code lens and the decorations.
import * as vscode from 'vscode';
import type { SourceFunction } from '../state/source_function';
import { keepEarlierTexts } from './earlier_texts';
import type { Grammar } from './messages';
import type { SyntaxParser } from './parser';
import { isSource } from './source_files';

export interface Documents extends vscode.Disposable {
  /** The functions of the document as it is now; undefined when it was closed meanwhile. */
  functions(document: vscode.TextDocument): Promise<readonly SourceFunction[] | undefined>;
  /** What was found last, at once. */
  latest(document: vscode.TextDocument): readonly SourceFunction[] | undefined;
  /** The functions of an earlier text of a file; undefined at first, and `onDidParse` when they are known. */
  ofText(file: string, text: string): readonly SourceFunction[] | undefined;
  /** The functions of any text of a file. */
  parse(file: string, text: string): Promise<readonly SourceFunction[]>;
  readonly onDidParse: vscode.Event<void>;
}

export function followDocuments(parser: SyntaxParser): Documents {
  const parsedEvent = new vscode.EventEmitter<void>();
  const parse = (file: string, text: string) => parser.functionsOf(text, grammarOf(file));
  const earlier = keepEarlierTexts(parse, () => parsedEvent.fire());
  const open = new Set<string>();
  const nameOf = (document: vscode.TextDocument) => document.uri.toString();

  const start = (document: vscode.TextDocument) => {
    if (open.has(nameOf(document))) return;
    open.add(nameOf(document));
    parser.open(nameOf(document), document.languageId as Grammar, () => ({
      version: document.version,
      text: document.getText(),
    }));
  };
  const end = (document: vscode.TextDocument) => {
    earlier.forget(document.uri.fsPath);
    if (open.delete(nameOf(document))) parser.close(nameOf(document));
  };
  const subscriptions = [
    parsedEvent,
    parser.onDidParse((document) => {
      if (open.has(document)) parsedEvent.fire();
    }),
    vscode.workspace.onDidCloseTextDocument(end),
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (!open.has(nameOf(document)) || contentChanges.length === 0) return;
      parser.change(
        nameOf(document),
        document.version,
        contentChanges.map((change) => ({
          offset: change.rangeOffset,
          removed: change.rangeLength,
          inserted: change.text,
        })),
      );
    }),
  ];

  return {
    onDidParse: parsedEvent.event,
    async functions(document) {
      if (!isSource(document) || document.isClosed) return undefined;
      start(document);
      return parser.functions(nameOf(document), document.version);
    },
    parse,
    latest: (document) => parser.latest(nameOf(document)),
    ofText: (file, text) => earlier.functionsOf(file, text),
    dispose: () => void vscode.Disposable.from(...subscriptions).dispose(),
  };
}

function grammarOf(file: string): Grammar {
  const document = vscode.workspace.textDocuments.find((open) => open.uri.fsPath === file);
  return document ? (document.languageId as Grammar) : /\.c$/.test(file) ? 'c' : 'cpp';
}
