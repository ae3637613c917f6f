// The tokens of a C or C++ text as the compiler's first phases see them (C17 5.1.1.2, C++17 [lex.phases]): comments and
// white space are nothing, a directive ends with its line. First part of first light; expands no macros.

export type TokenKind = 'word' | 'number' | 'text' | 'sign' | 'directive';

const PIECE =
  /([ \t\v\f\r]+|\\\r?\n|\/\/(?:[^\\\n]|\\(?:\r?\n|.)|\\$)*|\/\*[^]*?\*\/)|(\n)|((?:u8|[uUL])?R"([^()\\\s]{0,16})\([^]*?\)\4"|(?:u8|[uUL])?"(?:[^"\\\n]|\\(?:\r\n|[^]))*"|(?:u8|[uUL])?'(?:[^'\\\n]|\\(?:\r\n|[^]))*')|([A-Za-z_$\u0080-\uffff][\w$\u0080-\uffff]*)|(\.?\d(?:[eEpP][+-]|'\w|[\w.])*)|([^])/y;

const RAW_OPENED = /(?:u8|[uUL])?R"[^()\\\s]{0,16}\(/y;

function isRawOpened(text: string, at: number): boolean {
  RAW_OPENED.lastIndex = at;
  return RAW_OPENED.test(text);
}

/** From a first character to behind the last one. */
export interface Span {
  start: number;
  end: number;
}

/** What a visitor answers when it needs no more. */
export const ENOUGH = Symbol('enough');

/** Calls back with each token, in order; a directive is one token, from its `#` to the end of its line.
 * @returns false when the text has something that no token begins with (an open comment or literal). */
export function forEachToken(
  text: string,
  visit: (kind: TokenKind, start: number, end: number) => void | typeof ENOUGH,
  from = 0,
  to = text.length,
): boolean {
  PIECE.lastIndex = from;
  let isLineStart = true;
  let directive = -1;
  let last = from;
  for (let at = from; at < to; at = PIECE.lastIndex) {
    const match = PIECE.exec(text);
    if (!match) return false;
    const end = PIECE.lastIndex;
    if (match[1] !== undefined) continue;
    if (match[2] !== undefined) {
      if (directive >= 0) {
        if (visit('directive', directive, last) === ENOUGH) return true;
        // The callback may have used the expression.
        PIECE.lastIndex = end;
      }
      directive = -1;
      isLineStart = true;
      continue;
    }
    last = end;
    const sign = match[7];
    // Left open, whatever comes behind it would belong to it, in a directive as well.
    if (sign === '/' && text[end] === '*') return false;
    if (match[5] !== undefined && text[end] === '"' && isRawOpened(text, at)) return false;
    if (directive >= 0) continue;
    if (sign !== undefined) {
      if (sign === '"' || sign === "'") return false;
      if (sign === '#' && isLineStart) {
        directive = at;
        continue;
      }
    }
    isLineStart = false;
    const kind =
      match[3] !== undefined
        ? 'text'
        : match[5] !== undefined
          ? 'word'
          : match[6] !== undefined
            ? 'number'
            : 'sign';
    if (visit(kind, at, end) === ENOUGH) return true;
    PIECE.lastIndex = end;
  }
  if (directive >= 0) visit('directive', directive, last);
  return true;
}

/** Spellings of the tokens of a part of a text, with a blank before those that are apart from the one before: a macro may
 * make text of its arguments (`assert`), in which each run of white space is one blank (C17 6.10.3.2). */
export function spellings(text: string, from = 0, to = text.length): string[] | undefined {
  const found: string[] = [];
  const isWhole = forEachSpelling(text, from, to, (spelling) => void found.push(spelling));
  return isWhole ? found : undefined;
}

function forEachSpelling(
  text: string,
  from: number,
  to: number,
  visit: (spelling: string, start: number) => void | typeof ENOUGH,
): boolean {
  let before: number | undefined;
  return forEachToken(
    text,
    (kind, start, end) => {
      const spelling = text.slice(start, end);
      const isApart = before !== undefined && before !== start;
      before = end;
      return visit(
        kind === 'directive' ? directiveText(spelling) : isApart ? ` ${spelling}` : spelling,
        start,
      );
    },
    from,
    to,
  );
}

/** A directive with each run of white space, comments and line joints as one blank. */
export function directiveText(text: string): string {
  let result = '';
  PIECE.lastIndex = 0;
  for (let at = 0; at < text.length; at = PIECE.lastIndex) {
    const match = PIECE.exec(text);
    if (!match) return text;
    if (match[1] !== undefined) result += result.endsWith(' ') ? '' : ' ';
    else result += match[0];
  }
  return result.trim();
}

export function directivesOf(text: string): Span[] {
  const found: Span[] = [];
  forEachToken(text, (kind, start, end) => {
    if (kind === 'directive') found.push({ start, end });
  });
  return found;
}

/** Characters that are compared at once. */
const BLOCK = 4096;

/** How many characters two texts begin with alike. */
export function commonStart(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one.slice(at, at + BLOCK) === other.slice(at, at + BLOCK)) at += BLOCK;
  while (at < one.length && one.charCodeAt(at) === other.charCodeAt(at)) at++;
  return Math.min(at, one.length);
}

/** How many characters two texts end with alike, behind the first ones. */
export function commonEnd(one: string, other: string, first: number): number {
  const most = Math.min(one.length, other.length) - first;
  const [a, b] = [one.length, other.length];
  let count = 0;
  while (
    count + BLOCK <= most &&
    one.slice(a - count - BLOCK, a - count) === other.slice(b - count - BLOCK, b - count)
  )
    count += BLOCK;
  while (count < most && one.charCodeAt(a - count - 1) === other.charCodeAt(b - count - 1)) count++;
  return count;
}

/** Tokens that are compared before all others: mostly they tell. */
const FEW = 64;

/** Do two texts have the same tokens, each in the same line and column? Then they compile to the same code, whatever it
 * says of its own place (`__LINE__`, `std::source_location`, a sanitizer's reports).
 * @param starts of words in the first one, ascending: what is before the last of them that is the same need not be read */
export function haveSameTokens(one: string, other: string, starts: readonly number[] = []): boolean {
  const same = commonStart(one, other);
  if (same === one.length && same === other.length) return true;
  // Up to there they are the same. A token that is the first of its line can be read without what is before it.
  let from = starts.findLast((start) => start < same) ?? 0;
  let lineEnd = -1;
  const findFirst = (_kind: TokenKind, start: number): void | typeof ENOUGH => {
    if (start >= same) return ENOUGH;
    if (start <= lineEnd) return undefined;
    from = start;
    lineEnd = endOfLine(one, start);
    return undefined;
  };
  if (!forEachToken(one, findFirst, from)) return false;
  const begin = one.lastIndexOf('\n', from - 1) + 1;
  return [FEW, Infinity].every((most) => {
    const a = placedTokens(one, from, begin, most);
    const b = placedTokens(other, from, begin, most);
    return (
      a !== undefined && b !== undefined && a.length === b.length && a.every((token, i) => token === b[i])
    );
  });
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

/** @param begin of the line that `from` is in, from which lines are counted */
function placedTokens(text: string, from: number, begin: number, most: number): string[] | undefined {
  const tokens: string[] = [];
  let line = 1;
  let lineStart = begin;
  let counted = begin;
  const isWhole = forEachSpelling(text, from, text.length, (spelling, start) => {
    for (; counted < start; counted++)
      if (text.charCodeAt(counted) === 10) {
        line++;
        lineStart = counted + 1;
      }
    tokens.push(`${line}:${start - lineStart}:${spelling}`);
    return tokens.length < most ? undefined : ENOUGH;
  });
  return isWhole ? tokens : undefined;
}
