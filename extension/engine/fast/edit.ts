// What was edited between the text that the running code was compiled from and the saved one, as far as first light can
// take it: bodies of plain functions and nothing else. Second part of first light. Reads text only.
import { type PlainFunction, plainFunctions } from './functions';
import { spellings } from './tokens';

/** A text and the plain functions in it. */
export interface ScannedText {
  text: string;
  functions: readonly PlainFunction[];
}

/** @returns undefined when it is not certain where its functions begin and end */
export function scan(text: string, language: 'c' | 'c++'): ScannedText | undefined {
  const functions = plainFunctions(text, language);
  return functions && { text, functions };
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
