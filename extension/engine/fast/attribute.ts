// The text of a unit with an attribute on some of its functions: everything else, every line and every column, stays as it
// is. Where a function is defined is guessed from the text; whoever compiles it sees from the debug information whether it
// was that one. Reads text only.
import { quoted, relocated, type Reduced, type SpelledSource, withWarnings } from './reduce';
import { forEachToken } from './tokens';

/** What looks like the definition of a function. */
export interface Definition {
  /** Before its name, with the classes and namespaces that qualify it: there an attribute belongs to the function, whatever
   * it returns (gcc manual, "Attribute Syntax"). */
  offset: number;
  /** Of its name, 1-based. */
  line: number;
  isCoroutine: boolean;
}

interface Token {
  word: string;
  start: number;
  line: number;
}

/** What looks like a definition of a function of that name: the name, parameters, and a body.
 * @returns none when the text cannot be read */
export function definitionsOf(text: string, name: string): Definition[] {
  const tokens: Token[] = [];
  let line = 1;
  let counted = 0;
  const isRead = forEachToken(text, (kind, start, end) => {
    if (kind === 'directive') return;
    for (let at = text.indexOf('\n', counted); at >= 0 && at < start; at = text.indexOf('\n', at + 1)) {
      line++;
      counted = at + 1;
    }
    tokens.push({ word: kind === 'text' ? '""' : text.slice(start, end), start, line });
  });
  if (!isRead) return [];
  const found: Definition[] = [];
  for (const [index, token] of tokens.entries()) {
    if (token.word !== name || tokens[index + 1]?.word !== '(') continue;
    const body = bodyBehind(tokens, closing(tokens, index + 1) + 1);
    if (body === undefined) continue;
    const words = tokens.slice(body, closing(tokens, body)).map(({ word }) => word);
    const isCoroutine = words.some((word) => /^co_(await|return|yield)$/.test(word));
    found.push({ offset: tokens[nameStart(tokens, index)]!.start, line: token.line, isCoroutine });
  }
  return found;
}

const PAIRS: Readonly<Record<string, string>> = { '(': ')', '{': '}', '[': ']', '<': '>' };

/** The token that closes the one at `open`; the last one when none does. */
function closing(tokens: readonly Token[], open: number): number {
  const begin = tokens[open]?.word ?? '';
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    if (tokens[at]!.word === begin) depth++;
    else if (tokens[at]!.word === PAIRS[begin] && --depth === 0) return at;
  }
  return tokens.length - 1;
}

/** The brace of the body of a function whose parameters end before `at`. Between the two may stand qualifiers, a result,
 * what it throws and requires, and what a constructor initialises. */
function bodyBehind(tokens: readonly Token[], at: number): number | undefined {
  let isInitialising = false;
  for (let steps = 0; at < tokens.length && steps < 200; steps++) {
    const { word } = tokens[at]!;
    if (word === '{') {
      // `: member{1}` is no body: one is followed by a comma, or by the body.
      const behind = tokens[closing(tokens, at) + 1]?.word;
      if (!isInitialising || !/^\w/.test(tokens[at - 1]!.word) || (behind !== ',' && behind !== '{'))
        return at;
      at = closing(tokens, at) + 1;
    } else if (word === '(' || word === '[') at = closing(tokens, at) + 1;
    else if (word === ':' && tokens[at + 1]?.word !== ':' && tokens[at - 1]?.word !== ':') {
      isInitialising = true;
      at++;
    } else if (word === ';') return undefined;
    else if (!/^[\w:<>,*&.-]+$/.test(word) || /^(if|for|while|switch|return|else|do|case)$/.test(word))
      return undefined;
    else if (word === ',' && !isInitialising) return undefined;
    else at++;
  }
  return undefined;
}

/** The first token of a name with what qualifies it: `ns::Class<int>::~`. */
function nameStart(tokens: readonly Token[], name: number): number {
  let at = name;
  if (tokens[at - 1]?.word === '~') at--;
  while (tokens[at - 1]?.word === ':' && tokens[at - 2]?.word === ':') {
    let before = at - 3;
    if (tokens[before]?.word === '>') {
      let depth = 0;
      for (; before >= 0; before--) {
        if (tokens[before]!.word === '>') depth++;
        else if (tokens[before]!.word === '<' && --depth === 0) break;
      }
      before--;
    }
    if (!/^[A-Za-z_]\w*$/.test(tokens[before]?.word ?? '')) break;
    at = before;
  }
  return at;
}

/** @param attribute as it is written in the text
 * @returns undefined when the text cannot be compiled in another place, with the reason */
export function withAttribute(
  text: string,
  definitions: readonly Definition[],
  attribute: string,
  source: SpelledSource,
): Reduced | { reason: string } {
  const changes = definitions.map(({ offset }) => {
    const before = text.slice(0, offset);
    const lineStart = before.lastIndexOf('\n') + 1;
    const line = before.split('\n').length;
    // What follows keeps its line and its column.
    const again = `\n#line ${line} ${quoted(source.spelled)}\n${before.slice(lineStart).replace(/[^\t]/g, ' ')}`;
    return { at: offset, end: offset, put: attribute + again };
  });
  const result = relocated({ text }, changes, source, { head: '', tail: '' });
  if ('reason' in result) return result;
  return { ...result, flags: withWarnings(result.flags) };
}
