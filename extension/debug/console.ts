// The words of the debug console: parsed, completed, answered as text. What they do is passed in; nothing here talks
// to a process.
import { readdirSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { split } from 'shlex';
import { problemText, resultText, statusText } from '../engine/model/text';
import type { PatchedFunction, PatchResult, ProcessStatus } from '../engine/model/result';
import type { FunctionVersions } from './patch_access';

export const HELP = `status           functions that are patched, with their pages
patch FILE...    compile, compare with the running code, patch in
revert NAME      back to the original code (revert all: everything)
where            which threads are in which version of a patched function
send TEXT        a line to the program's standard input
`;
const WORDS = ['status', 'patch', 'revert', 'where', 'send', 'help'];
const SOURCE = /\.(c|cc|cpp|cxx|c\+\+|C|h|hh|hpp|hxx)$/;

export interface ConsoleActions {
  directory: string;
  status(refresh: boolean): Promise<ProcessStatus>;
  patch(files: string[]): Promise<PatchResult>;
  revert(functions: FunctionVersions): Promise<PatchResult>;
  send?: (text: string) => void;
}

/** The answer. Throws Error with a message for the user when the line is not understood or names nothing. */
export async function runLine(line: string, actions: ConsoleActions): Promise<string> {
  const [word = '', rest = ''] = /^\s*(\S*)\s*(.*)$/s.exec(line)?.slice(1) ?? [];
  const args = split(rest);
  switch (word) {
    case 'help':
    case '?':
      return HELP;
    case 'status':
      return statusText(await actions.status(true));
    case 'where':
      return whereText(await actions.status(true));
    case 'patch': {
      if (args.length === 0) throw new Error('Which file? patch FILE...');
      return textOf(await actions.patch(args.map((file) => resolve(actions.directory, file))));
    }
    case 'revert':
      return textOf(await actions.revert(chosen(args, (await actions.status(false)).functions)));
    case 'send':
      if (!actions.send) throw new Error("The program's standard input is not ours: type in its terminal.");
      actions.send(`${rest}\n`);
      return '';
    default:
      throw new Error(`Hot Patch knows no ${word || 'empty line'} here.\n${HELP}`);
  }
}

function textOf(result: PatchResult): string {
  const problems = [
    ...result.diagnostics.map(
      ({ file, line, column, severity, message }) => `${file}:${line}:${column}: ${severity}: ${message}\n`,
    ),
    ...result.warnings.map((warning) => problemText(warning, 'warning')),
    ...result.refusals.map((refusal) => problemText(refusal)),
  ];
  return problems.join('') + resultText(result);
}

/** Names with or without parameters, symbols or addresses, as in `hot-patch revert`. */
function namesOf({ name, symbol, address }: PatchedFunction): string[] {
  return [name, name.replace(/\(.*$/, ''), symbol, address];
}

function chosen(words: string[], functions: readonly PatchedFunction[]): FunctionVersions {
  if (words.length === 0) throw new Error('Which function? revert NAME, or revert all');
  if (words.length === 1 && words[0] === 'all') return 'all';
  return words.flatMap((word) => {
    const named = functions.filter((entry) => namesOf(entry).includes(word));
    if (named.length === 0) throw new Error(`No patched function is named ${word}.`);
    return named.map(({ address }) => ({ address, version: 0 }));
  });
}

function whereText({ functions }: ProcessStatus): string {
  if (functions.length === 0) return 'Nothing is patched.\n';
  const lines = functions.flatMap(({ name, version, versions, activeThreads }) => [
    `${name}: ${activeThreads === 0 ? 'no thread in old code' : `${activeThreads} in old code`}`,
    ...versions.map(
      (one) =>
        `  ${one.version === version ? '*' : ' '} ${one.version === 0 ? 'original' : `version ${one.version}`} at ${one.address}: ${one.activeThreads} ${one.activeThreads === 1 ? 'thread' : 'threads'}`,
    ),
  ]);
  return `${lines.join('\n')}\n`;
}

export interface Completion {
  label: string;
  /** Replaces this many characters before the cursor. */
  length: number;
  kind: 'keyword' | 'file' | 'function';
}

/** @param text of the line up to the cursor */
export function complete(
  text: string,
  directory: string,
  functions: readonly PatchedFunction[],
): Completion[] {
  const [, word = '', gap = '', rest = ''] = /^\s*(\S*)(\s*)(.*)$/s.exec(text) ?? [];
  const starting = (labels: string[], typed: string, kind: Completion['kind']): Completion[] =>
    labels.filter((label) => label.startsWith(typed)).map((label) => ({ label, length: typed.length, kind }));
  if (gap === '') return starting(WORDS, word, 'keyword');
  const typed = /\S*$/.exec(rest)![0];
  if (word === 'patch') return starting(pathsFrom(typed, directory), typed, 'file');
  if (word !== 'revert') return [];
  const names = functions.filter(({ version }) => version > 0).map(({ name }) => name.replace(/\(.*$/, ''));
  return starting([...new Set(['all', ...names])], typed, 'function');
}

/** As a shell completes: folders, and C and C++ files. */
function pathsFrom(typed: string, directory: string): string[] {
  const parent = typed.endsWith('/') ? typed : typed.includes('/') ? `${dirname(typed)}/` : '';
  const from = isAbsolute(typed) ? parent : join(directory, parent);
  try {
    return readdirSync(from, { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith('.') && (entry.isDirectory() || SOURCE.test(entry.name)))
      .map((entry) => `${parent}${basename(entry.name)}${entry.isDirectory() ? '/' : ''}`);
  } catch {
    return []; // no such folder: nothing to offer
  }
}
