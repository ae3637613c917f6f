// What was edited between the text that the running code was compiled from and the saved one, as far as first light can
// take it: bodies of plain functions and nothing else. Second part of first light. Reads text only.
import { type PlainFunction, plainFunctions } from './functions';
import { commonEnd, commonStart, type Span, spellings } from './tokens';

/** A text and the plain functions in it. */
export interface ScannedText {
  text: string;
  functions: readonly PlainFunction[];
  directives: readonly Span[];
}

/** @param before one that the text may have been edited from: where that was in one body, no more of it is read again
 * @returns undefined when it is not certain where its functions begin and end */
export function scan(text: string, language: 'c' | 'c++', before?: ScannedText): ScannedText | undefined {
  return (before && editedIn(before, text, language)) ?? scanWhole(text, language);
}

function scanWhole(text: string, language: 'c' | 'c++'): ScannedText | undefined {
  const directives: Span[] = [];
  const functions = plainFunctions(text, language, (start, end) => directives.push({ start, end }));
  return functions && { text, functions, directives };
}

/** A body begins and ends between two tokens. As long as the new one is a whole body by itself, everything behind it is what
 * it was.
 * @returns undefined when more than one body was edited, or the new one is not whole */
function editedIn(before: ScannedText, text: string, language: 'c' | 'c++'): ScannedText | undefined {
  const { text: old, functions, directives } = before;
  const same = commonStart(old, text);
  if (same === old.length && same === text.length) return before;
  const behind = old.length - commonEnd(old, text, same);
  const index = functions.findLastIndex(({ body }) => body < same);
  const fn = functions[index];
  if (!fn || behind >= fn.end) return undefined;
  const { start } = fn;
  const moved = text.length - old.length;
  const now = scanWhole(text.slice(start, fn.end + moved), language);
  const [body, ...more] = now?.functions ?? [];
  const isWhole = body?.start === 0 && body.body === fn.body - start && body.end === fn.end + moved - start;
  if (!now || !isWhole || more.length > 0) return undefined;
  return {
    text,
    functions: [
      ...functions.slice(0, index),
      { ...fn, end: fn.end + moved, mayBeLeftOut: body.mayBeLeftOut },
      ...functions.slice(index + 1).map((later) => ({
        ...later,
        start: later.start + moved,
        body: later.body + moved,
        end: later.end + moved,
        specifiers: later.specifiers + moved,
      })),
    ],
    directives: [
      ...directives.filter(({ end }) => end <= start),
      ...now.directives.map((one) => ({ start: one.start + start, end: one.end + start })),
      ...directives
        .filter((one) => one.start >= fn.end)
        .map((one) => ({ start: one.start + moved, end: one.end + moved })),
    ],
  };
}

/** The functions of the new text whose bodies differ from those of the old one, by their place in the list.
 * @returns undefined when something else differs as well */
export function editedFunctions(before: ScannedText, after: ScannedText): Set<number> | undefined {
  if (before.functions.length !== after.functions.length) return undefined;
  const edited = new Set<number>();
  let from: readonly [number, number] = [0, 0];
  for (const [index, now] of after.functions.entries()) {
    const then = before.functions[index]!;
    if (!areSame(before.text, from[0], then.body, after.text, from[1], now.body)) return undefined;
    if (!areSame(before.text, then.body, then.end, after.text, now.body, now.end)) edited.add(index);
    from = [then.end, now.end];
  }
  return areSame(before.text, from[0], before.text.length, after.text, from[1], after.text.length)
    ? edited
    : undefined;
}

function areSame(
  before: string,
  start: number,
  end: number,
  after: string,
  from: number,
  to: number,
): boolean {
  if (end - start === to - from && before.slice(start, end) === after.slice(from, to)) return true;
  const a = spellings(before, start, end);
  const b = spellings(after, from, to);
  return a !== undefined && b !== undefined && a.length === b.length && a.every((token, i) => token === b[i]);
}

/** What a function is called in messages about the text, and found again by in a later one: its declaration. */
export function declarationOf({ text, functions }: ScannedText, index: number): string {
  const { start, body } = functions[index]!;
  return (spellings(text, start, body) ?? []).join(' ');
}
