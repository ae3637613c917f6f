// The plain function definitions of a text: those of which it is certain where their body begins and ends, in every
// configuration of the preprocessor. What is not certainly one stays outside. A grammar of the language gives up where
// macros stand; braces, parentheses and directives are all that is needed here. Reads text only.
import { directiveText, forEachToken } from './tokens';

export interface PlainFunction {
  /** First character of its declaration. */
  start: number;
  /** Of the body: its brace, and the character behind the closing one. */
  body: number;
  end: number;
  /** The identifier before its parameters. */
  name: string;
  /** Where an attribute can be put. */
  specifiers: number;
  /** Only this unit may know it: `static`, or in a namespace without a name. */
  mayBeLocal: boolean;
  /** Its body may be replaced by another one without changing what the rest of the text means. */
  mayBeLeftOut: boolean;
  /** With a semicolon in place of its body it declares the same function. */
  mayBeDeclared: boolean;
}

interface Head {
  start: number;
  words: string[];
  starts: number[];
  /** Has a directive, a block or too much in it. */
  isOdd: boolean;
}

/** A conditional that is open: the depth of braces and the skew at its `#if`, and the depth behind its first branch. */
interface Conditional {
  before: number;
  skew: number;
  /** The least depth behind a brace in it, less the skew. */
  lowest: number;
  behind: number | undefined;
  hasElse: boolean;
}

const LONGEST_HEAD = 300;
/** Their bodies must be there for callers, or are no bodies. Attributes may say anything. */
const NOT_PLAIN =
  /^(template|inline|__inline|__inline__|constexpr|consteval|constinit|auto|decltype|requires|concept|typedef|__attribute__|__attribute|__declspec|alignas|_Alignas|asm|__asm__|__asm|export|friend|using|try|catch)$/;
/** What may stand between the parameters and the body. */
const QUALIFIER = /^(const|volatile|noexcept|override|final|&)$/;
/** Bodies with these do more than be called: code for the assembler, numbered labels and variables, coroutines. */
const SPECIAL = /^(asm|__asm__|__asm|_Pragma|__pragma|__COUNTER__|co_await|co_return|co_yield|__label__)$/;

/** @param language in C, a static variable of a function is named by a number that others' take part in
 * @param onDirective is told of each directive, in order
 * @returns undefined when the structure of the text depends on the preprocessor, or it is no whole text */
export function plainFunctions(
  text: string,
  language: 'c' | 'c++',
  onDirective?: (start: number, end: number) => void,
): PlainFunction[] | undefined {
  const found: PlainFunction[] = [];
  const conditionals: Conditional[] = [];
  /** Open namespaces and linkage specifications: has it no name? */
  const open: boolean[] = [];
  let depth = 0;
  /** By how much the depth would differ without the branches of the block that open more than they close, or less: they
   * come in pairs (`#if A`, `{`, `#endif` … `#if A`, `}`, `#endif`), and the block ends in the same place without both. */
  let skew = 0;
  let isCertain = true;
  let head: Head = newHead();
  let current: (Omit<PlainFunction, 'end'> & { conditionals: number; isWhole: boolean }) | undefined;

  const directive = (line: string): void => {
    const name = /^#\s*(\w*)/.exec(line)?.[1] ?? '';
    if (/^(if|ifdef|ifndef)$/.test(name))
      conditionals.push({ before: depth, skew, lowest: Infinity, behind: undefined, hasElse: false });
    else if (/^(elif|else|elifdef|elifndef)$/.test(name)) {
      const conditional = conditionals.at(-1);
      if (!conditional || (conditional.behind ?? depth) !== depth || conditional.skew !== skew)
        isCertain = false;
      else {
        conditional.behind = depth;
        conditional.hasElse ||= name === 'else';
        depth = conditional.before;
      }
    } else if (name === 'endif') {
      const conditional = conditionals.pop();
      const expected = conditional?.hasElse ? conditional.behind : conditional?.before;
      const isEven = expected === depth && (conditional?.behind ?? depth) === depth;
      if (conditional?.skew !== skew) isCertain = false;
      else if (isEven) {
        // The block would end in it without those branches.
        if (conditional.before > 0 && skew !== 0 && conditional.lowest <= 0) isCertain = false;
        noteDepth(conditional.lowest);
      } else if (conditional.behind === undefined && depth > 0 && (skew !== 0 || conditional.lowest > 0)) {
        if (conditional.before === 0) isCertain = false;
        skew += depth - conditional.before;
        if (current) current.isWhole = false;
      } else isCertain = false;
    } else if (current) current.isWhole = false;
    if (head.words.length > 0) head.isOdd = true;
  };

  /** Without branches that open or close more, the block must not end where it does not with them. */
  const noteDepth = (less: number): void => {
    const around = conditionals.at(-1);
    if (around && around.before > 0) around.lowest = Math.min(around.lowest, less);
    else if (skew !== 0 && less <= 0) isCertain = false;
  };

  const openBlock = (at: number): void => {
    if (depth > 0) depth++;
    else if (isNamespace(head.words)) {
      open.push(head.words.at(-1) === 'namespace');
      head = newHead();
    } else if (/^"C(\+\+)?"$/.test(head.words.at(-1) ?? '') && head.words.at(-2) === 'extern') {
      open.push(false);
      head = newHead();
    } else {
      depth = 1;
      const name = nameOfPlain(head);
      if (name === undefined) return;
      current = {
        start: head.start,
        body: at,
        name,
        specifiers: specifiersOf(head),
        mayBeLocal: head.words.includes('static') || open.includes(true),
        mayBeLeftOut: true,
        mayBeDeclared: isDeclarator(head.words),
        conditionals: conditionals.length,
        isWhole: true,
      };
    }
  };

  const closeBlock = (end: number): void => {
    if (depth === 0) {
      if (open.pop() === undefined) isCertain = false;
      head = newHead();
      return;
    }
    depth--;
    noteDepth(depth - skew);
    if (depth === 0 && skew !== 0) isCertain = false;
    if (depth > 0) return;
    if (current) {
      const { conditionals: around, isWhole, ...fn } = current;
      // One that begins in one branch and ends in another, or behind them, is none.
      if (isWhole && around === conditionals.length) found.push({ ...fn, end });
      current = undefined;
      head = newHead();
    } else if (isDefinition(head)) head = newHead();
    else {
      head.isOdd = true;
      note('}', end);
    }
  };

  const note = (word: string, start: number): void => {
    if (head.words.length === 0) head.start = start;
    if (head.words.length >= LONGEST_HEAD) head.isOdd = true;
    else {
      head.words.push(word);
      head.starts.push(start);
    }
  };

  const isRead = forEachToken(text, (kind, start, end) => {
    if (!isCertain) return;
    if (kind === 'directive') {
      onDirective?.(start, end);
      return directive(directiveText(text.slice(start, end)));
    }
    const code = text.charCodeAt(start);
    if (kind === 'sign' && code === OPEN) return openBlock(start);
    if (kind === 'sign' && code === CLOSE) return closeBlock(end);
    if (depth > 0) {
      if (current && kind === 'word') {
        const word = text.slice(start, end);
        if (SPECIAL.test(word) || (word === 'static' && language === 'c')) current.mayBeLeftOut = false;
      }
      return;
    }
    if (kind === 'sign' && code === SEMICOLON) head = newHead();
    else note(text.slice(start, end), start);
  });
  return isRead && isCertain && depth === 0 && open.length === 0 && conditionals.length === 0
    ? found
    : undefined;
}

const OPEN = 0x7b;
const CLOSE = 0x7d;
const SEMICOLON = 0x3b;

function newHead(): Head {
  return { start: 0, words: [], starts: [], isOdd: false };
}

/** `namespace`, `inline namespace`, with or without a (nested) name. */
function isNamespace(words: readonly string[]): boolean {
  const at = words.indexOf('namespace');
  return (
    at >= 0 &&
    words.slice(0, at).every((word) => word === 'inline') &&
    words.slice(at + 1).every((word) => /^(\w+|:)$/.test(word))
  );
}

/** A definition that no semicolon ends: of a function, plain or not. */
function isDefinition({ words }: Head): boolean {
  return (
    !words.includes('=') &&
    words.includes('(') &&
    /^(\)|const|noexcept|override|final|try)$/.test(words.at(-1) ?? '')
  );
}

/** The name of the function that a head declares; undefined when it may be anything else. */
function nameOfPlain({ words, isOdd }: Head): string | undefined {
  if (isOdd || words.some((word) => NOT_PLAIN.test(word))) return undefined;
  let last = words.length - 1;
  while (last >= 0 && QUALIFIER.test(words[last]!)) last--;
  // `noexcept(…)` and `throw(…)` stay as they are: what they say may need the body.
  if (words[last] !== ')') return undefined;
  const parameters = openingOf(words, last);
  const name = words[parameters - 1];
  if (parameters < 2 || name === undefined || /^(noexcept|throw|if|while|for|switch)$/.test(name))
    return undefined;
  // A type is defined, or a member is initialised, or an object.
  let nested = 0;
  for (let at = 0; at < parameters; at++) {
    const word = words[at]!;
    if (word === '(') nested++;
    else if (word === ')') nested--;
    else if (word === 'operator') break;
    else if (nested === 0 && word === '=') return undefined;
    else if (nested === 0 && word === ':' && words[at - 1] !== ':' && words[at + 1] !== ':') return undefined;
    else if (nested === 0 && word === '[') return undefined;
  }
  if (nested !== 0 || words.includes('operator')) return undefined;
  // Of a single macro with arguments nobody knows what it makes.
  return /^[A-Za-z_]\w*$/.test(name) ? name : undefined;
}

/** Members are declared in their class only, and qualifiers belong to them. */
function isDeclarator(words: readonly string[]): boolean {
  const last = words.length - 1;
  return words[last] === ')' && !/^[:~]$/.test(words[openingOf(words, last) - 2]!);
}

function openingOf(words: readonly string[], closing: number): number {
  let nested = 0;
  for (let at = closing; at >= 0; at--) {
    if (words[at] === ')') nested++;
    else if (words[at] === '(' && --nested === 0) return at;
  }
  return -1;
}

/** Behind what must come first: `extern "C"`. */
function specifiersOf({ start, words, starts }: Head): number {
  const local = words.indexOf('static');
  if (local >= 0) return starts[local]!;
  return words[0] === 'extern' && words[1]?.startsWith('"') ? starts[2]! : start;
}
