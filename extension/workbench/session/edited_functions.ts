// Which functions a save changed, by their texts: what ran before beside what was compiled. A function that is inlined
// everywhere has no code of its own to be seen changed, and yet is what the person edited; the functions that changed
// because of it are those that lead to it, by the names in their texts.
import * as vscode from 'vscode';
import type { ChangedFunction } from '../../engine/model/result';
import { isSource } from '../documents/source_files';
import { isSameFunction, qualifiedName } from '../state/function_names';
import type { SourceFunction } from '../state/source_function';
import type { EditedFunction } from '../state/state';

export interface EditedFunctions extends vscode.Disposable {
  /** @param texts of the files that were saved @param others of the files of functions that changed */
  find(
    texts: ReadonlyMap<string, string>,
    others: ReadonlyMap<string, string>,
    changed: readonly ChangedFunction[],
  ): Promise<readonly EditedFunction[]>;
  /** What these files hold is what runs now. */
  areLive(texts: ReadonlyMap<string, string>): void;
}

export type Parse = (file: string, text: string) => Promise<readonly SourceFunction[]>;

export function watchEditedFunctions(parse: Parse): EditedFunctions {
  /** As they were when they were opened, or last became live. */
  const before = new Map<string, string>();
  const opened = (document: vscode.TextDocument) => {
    const file = document.uri.fsPath;
    if (isSource(document) && !document.isDirty && !before.has(file)) before.set(file, document.getText());
  };
  vscode.workspace.textDocuments.forEach(opened);
  const subscription = vscode.workspace.onDidOpenTextDocument(opened);
  return {
    find: (texts, others, changed) => findEdited(before, texts, others, changed, parse),
    areLive(texts) {
      for (const [file, text] of texts) before.set(file, text);
    },
    dispose: () => void subscription.dispose(),
  };
}

interface Body {
  readonly file: string;
  readonly source: SourceFunction;
  readonly lines: readonly string[];
}

/** Pure but for the parser. */
async function findEdited(
  before: ReadonlyMap<string, string>,
  texts: ReadonlyMap<string, string>,
  others: ReadonlyMap<string, string>,
  changed: readonly ChangedFunction[],
  parse: Parse,
): Promise<readonly EditedFunction[]> {
  const edited: EditedFunction[] = [];
  const bodies: Body[] = [];
  for (const [file, text] of new Map([...others, ...texts]))
    bodies.push(...(await bodiesOf(file, text, parse)));
  const hosts = changed.filter(({ kind }) => kind === 'changed');
  for (const [file, text] of texts) {
    const earlier = before.get(file);
    if (earlier === undefined || earlier === text) continue;
    const old = await bodiesOf(file, earlier, parse);
    for (const body of bodies.filter((one) => one.file === file)) {
      const { name, hash } = body.source;
      const twins = old.filter((one) => one.source.name === name);
      const [twin] = twins;
      if (!twin || twins.some((one) => codeOf(one.lines) === codeOf(body.lines))) continue;
      const isOwn = changed.some((one) => isSameFunction(one.name, name));
      const into = isOwn
        ? []
        : hosts.map((host) => qualifiedName(host.name)).filter((host) => leadsTo(bodies, host, name));
      const change = changedLine(twin.lines, body.lines);
      edited.push({ file, name, before: twin.source.hash, hash, change, into: [...new Set(into)] });
    }
  }
  // What was edited and became live leads.
  return edited.filter(
    ({ name, into }) => into.length > 0 || changed.some((one) => isSameFunction(one.name, name)),
  );
}

async function bodiesOf(file: string, text: string, parse: Parse): Promise<Body[]> {
  const lines = text.split('\n');
  const functions = await parse(file, text);
  return functions.map((source) => ({
    file,
    source,
    lines: lines.slice(source.startLine, source.endLine + 1),
  }));
}

/** Without comments and the space between words. */
function codeOf(lines: readonly string[]): string {
  return lines
    .join('\n')
    .replace(/\/\*[^]*?\*\/|\/\/.*$/gm, '')
    .replace(/\s+/g, ' ');
}

/** Does the text of a function, or of those that it names, name the other? */
function leadsTo(bodies: readonly Body[], from: string, to: string): boolean {
  const last = (name: string) => name.slice(name.lastIndexOf(':') + 1);
  const seen = new Set<Body>();
  const waiting = bodies.filter(({ source }) => source.name === from);
  for (let body = waiting.pop(); body; body = waiting.pop()) {
    if (seen.has(body)) continue;
    seen.add(body);
    const words = new Set(codeOf(body.lines).match(/\w+/g));
    if (body.source.name !== to && words.has(last(to))) return true;
    waiting.push(...bodies.filter(({ source }) => words.has(last(source.name))));
  }
  return false;
}

const LONGEST = 40;
/** Characters kept of what stands unchanged before the change: a narrow side bar must show the change. */
const NEAR = 12;

/** The first line that differs, and of it what is near the change: `n * 3 + 1 → n * 9`. */
function changedLine(before: readonly string[], after: readonly string[]): string {
  const at = after.findIndex((line, index) => line !== before[index]);
  const from = before[at < 0 ? after.length : at] ?? '';
  const to = after[at] ?? '';
  const more = after.length - before.length;
  if (more > 0 && after[at + more] === from) return `+ ${shortened(to.trim())}`;
  if (more < 0 && before[at - more] === to) return `− ${shortened(from.trim())}`;
  const same = commonPrefix(from, to);
  const unchanged = to.slice(0, same);
  const statementStart = Math.max(
    0,
    ...[...unchanged.matchAll(/[{;]|\breturn\b/g)].map((m) => m.index + m[0].length),
  );
  const words = [...unchanged.matchAll(/(?<![\w.])[\w.]/g)].map((m) => m.index);
  const near = words.find((word) => word >= same - NEAR) ?? words.at(-1) ?? 0;
  const start = Math.max(statementStart, near);
  const statement = (line: string) => {
    const end = line.length - commonPrefix(reversed(from.slice(same)), reversed(to.slice(same)));
    const stop = line.slice(end).search(/[;{}]/);
    return shortened(line.slice(start, stop < 0 ? line.length : end + stop).trim());
  };
  return `${statement(from)} → ${statement(to)}`;
}

function commonPrefix(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

function reversed(text: string): string {
  return [...text].reverse().join('');
}

function shortened(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}
