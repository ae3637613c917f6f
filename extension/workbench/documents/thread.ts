// The parser's own thread: tree-sitter keeps a syntax tree of each open file and re-parses what was typed. Parsing
// 10,000 lines for the first time takes longer than the extension host may be held up, so none of it happens
// there. Reads its grammars (wasm) from beside the bundle; knows nothing of vscode.
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { Language, Parser, type Node, type Point, type Tree } from 'web-tree-sitter';
import type { SourceFunction } from '../state/source_function';
import type { FromParser, Grammar, TextChange, ToParser } from './messages';

interface Document {
  grammar: Grammar;
  version: number;
  text: string;
  tree: Tree | undefined;
}

const port = parentPort!;
const documents = new Map<string, Document>();
const languages = new Map<Grammar, Promise<Language>>();
const ready = Parser.init({ locateFile: (name: string) => join(__dirname, name) });
let queue: Promise<void> = Promise.resolve();

port.on('message', (message: ToParser) => {
  // One after the other: a change counts from the text that the change before it left.
  queue = queue.then(() => handle(message)).catch((error: unknown) => fail(message, error));
});

/** A text that cannot be parsed has no functions; the messages after it are not its victims. */
function fail(message: ToParser, error: unknown): void {
  if (message.type === 'close') return;
  const { document, version } = message;
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  port.postMessage({ document, version, functions: [], error: reason } satisfies FromParser);
}

async function handle(message: ToParser): Promise<void> {
  await ready;
  switch (message.type) {
    case 'close':
      documents.get(message.document)?.tree?.delete();
      documents.delete(message.document);
      return;
    case 'open': {
      documents.get(message.document)?.tree?.delete();
      const { grammar, version, text } = message;
      documents.set(message.document, { grammar, version, text, tree: undefined });
      break;
    }
    case 'change': {
      const document = documents.get(message.document);
      if (!document) return;
      document.version = message.version;
      for (const change of inDescendingOrder(message.changes)) apply(document, change);
    }
  }
  await parse(message.document);
}

async function parse(name: string): Promise<void> {
  const document = documents.get(name)!;
  const parser = new Parser();
  parser.setLanguage(await language(document.grammar));
  const tree = parser.parse(document.text, document.tree) ?? undefined;
  document.tree?.delete();
  document.tree = tree;
  parser.delete();
  const functions = tree ? functionsIn(tree, document.text) : [];
  port.postMessage({ document: name, version: document.version, functions } satisfies FromParser);
}

function language(grammar: Grammar): Promise<Language> {
  const loaded = languages.get(grammar) ?? Language.load(join(__dirname, `tree-sitter-${grammar}.wasm`));
  languages.set(grammar, loaded);
  return loaded;
}

function inDescendingOrder(changes: readonly TextChange[]): TextChange[] {
  return [...changes].sort((a, b) => b.offset - a.offset);
}

function apply(document: Document, { offset, removed, inserted }: TextChange): void {
  const { text } = document;
  const next = text.slice(0, offset) + inserted + text.slice(offset + removed);
  const startPosition = pointAt(text, offset);
  document.tree?.edit({
    startIndex: offset,
    oldEndIndex: offset + removed,
    newEndIndex: offset + inserted.length,
    startPosition,
    oldEndPosition: pointAt(text, offset + removed),
    newEndPosition: pointAt(next, offset + inserted.length),
  } as Parameters<Tree['edit']>[0]);
  document.text = next;
}

function pointAt(text: string, offset: number): Point {
  let row = 0;
  let start = 0;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) {
    row++;
    start = at + 1;
  }
  return { row, column: offset - start };
}

function functionsIn(tree: Tree, text: string): SourceFunction[] {
  return tree.rootNode.descendantsOfType('function_definition').flatMap((node): SourceFunction[] => {
    const declarator = node && functionDeclarator(node);
    const name = declarator?.childForFieldName('declarator');
    if (!node || !declarator || !name || !node.childForFieldName('body')) return [];
    return [
      {
        name: [...scopesOf(node), plainName(name)].join('::'),
        startLine: node.startPosition.row,
        endLine: node.endPosition.row,
        nameLine: name.startPosition.row,
        parameters: declarator.childForFieldName('parameters')?.namedChildCount ?? 0,
        hash: hashOf(text, node.startIndex, node.endIndex),
      },
    ];
  });
}

/** Through pointers, references and attributes to the declarator that has the parameters. */
function functionDeclarator(definition: Node): Node | undefined {
  let node = definition.childForFieldName('declarator');
  while (node && node.type !== 'function_declarator') {
    node =
      node.childForFieldName('declarator') ??
      node.namedChildren.find((child) => child?.type.endsWith('_declarator')) ??
      null;
  }
  // `int (*f(int))(char)`: the innermost one is the function's own.
  for (let inner = node?.descendantsOfType('function_declarator')[1]; node && inner;) {
    if (inner.endIndex > (node.childForFieldName('parameters')?.startIndex ?? 0)) break;
    node = inner;
    inner = node.descendantsOfType('function_declarator')[1];
  }
  return node ?? undefined;
}

function plainName(node: Node): string {
  return node.text
    .replace(/\s+/g, ' ')
    .replace(/<(?![<=>]|$)[^()]*>/g, '')
    .replace(/\s*::\s*/g, '::');
}

function scopesOf(node: Node): string[] {
  const scopes: string[] = [];
  for (let at = node.parent; at; at = at.parent) {
    const name = at.childForFieldName('name');
    if (at.type === 'namespace_definition') scopes.unshift(name ? plainName(name) : '(anonymous namespace)');
    else if (/^(class|struct|union)_specifier$/.test(at.type) && name) scopes.unshift(plainName(name));
  }
  return scopes;
}

/** FNV-1a over the characters. */
function hashOf(text: string, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
