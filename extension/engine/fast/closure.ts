// What an optimising compiler must see together with an edited function. It lets callers assume what a callee does, and
// local callees what they are called with; so all callers of a function in the unit, their callers, and the local functions
// that they call belong to it. Then nothing outside of them assumes anything about their bodies. Reads text only.
import type { ScannedText } from './edit';

const WORD = /[A-Za-z_]\w*/g;

/** The edited functions of a text with those that belong to them, by their place in the list.
 * @param before the text before the edit, with the same functions
 * @returns a reason when there may be callers that the text does not show */
export function closure(
  before: ScannedText,
  now: ScannedText,
  edited: ReadonlySet<number>,
): Set<number> | { reason: string } {
  const { text, functions } = now;
  const kept = new Set(edited);
  const locals = new Map<string, number[]>();
  for (const [index, { name, mayBeLocal }] of functions.entries())
    if (mayBeLocal) locals.set(name, [...(locals.get(name) ?? []), index]);
  const looked = new Set<string>();
  for (const index of kept) {
    const { name, start, body } = functions[index]!;
    if (isCalledUnnamed(text.slice(start, body), name))
      return { reason: `${name} is called without its name` };
    for (const { text: one, functions: all } of edited.has(index) ? [before, now] : [now])
      for (const [word] of one.slice(all[index]!.body, all[index]!.end).matchAll(WORD))
        for (const local of locals.get(word) ?? []) kept.add(local);
    if (looked.has(name)) continue;
    looked.add(name);
    for (const { index: at } of text.matchAll(new RegExp(`\\b${name}\\b`, 'g'))) {
      const caller = functionAt(functions, at);
      if (caller !== undefined) kept.add(caller);
      else if (isInDirective(text, at)) return { reason: `a macro stands for ${name}` };
    }
  }
  return kept;
}

/** The functions of a text that some of them name in their bodies, by their place in the list. */
export function calleesOf({ text, functions }: ScannedText, callers: ReadonlySet<number>): Set<number> {
  const byName = new Map<string, number[]>();
  for (const [index, { name }] of functions.entries()) byName.set(name, [...(byName.get(name) ?? []), index]);
  const found = new Set<number>();
  for (const index of callers)
    for (const [word] of text.slice(functions[index]!.body, functions[index]!.end).matchAll(WORD))
      for (const callee of byName.get(word) ?? []) found.add(callee);
  return found;
}

/** Constructors, destructors, and what a range-based loop or a structured binding calls. */
function isCalledUnnamed(declaration: string, name: string): boolean {
  return (
    /^(begin|end|get)$/.test(name) ||
    new RegExp(`(~\\s*|\\b${name}\\s*(<.*>)?\\s*::\\s*)${name}\\s*\\(`, 's').test(declaration)
  );
}

/** The function in whose body an offset lies. */
function functionAt(functions: ScannedText['functions'], offset: number): number | undefined {
  let low = 0;
  let high = functions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (functions[middle]!.end <= offset) low = middle + 1;
    else high = middle;
  }
  const found = functions[low];
  return found && offset >= found.body ? low : undefined;
}

function isInDirective(text: string, offset: number): boolean {
  let start = text.lastIndexOf('\n', offset) + 1;
  while (start > 1 && /\\\r?\n$/.test(text.slice(Math.max(0, start - 3), start)))
    start = text.lastIndexOf('\n', start - 2) + 1;
  return /^\s*#/.test(text.slice(start, offset));
}
