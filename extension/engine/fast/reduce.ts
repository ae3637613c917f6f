// The text of a unit without the bodies of the functions that nobody needs at the moment. Those that what stays refers to
// call one marker instead, by which the object tells them from those that are there (elf/object.ts); of the others only
// the declaration stays, because compilers take long for thousands of functions, however short. Everything else, and
// every line number, stays as it is. Third part of first light. Writes no file.
import { dirname, isAbsolute, resolve } from 'node:path';
import type { GivenText } from '../context';
import { LEFT_OUT } from '../elf/object';
import type { ScannedText } from './edit';
import { preambleEnd } from './preamble';
import { directivesOf, directiveText, type Span } from './tokens';

export interface Reduced {
  text: GivenText;
  /** Options for the compiler, behind all others. */
  flags: string[];
}

/** What the text is compiled as. */
export interface SpelledSource {
  language: 'c' | 'c++';
  /** As the build's command spells it. */
  spelled: string;
  /** Where the command runs. */
  directory: string;
  /** Does a file of this name exist? Absolute. */
  isThere: (path: string) => boolean;
  /** When the compiler optimises (gcc): the variables that only the unit knows, qualified. Nothing may be assumed of what
   * was left out, which may read and write them, and what is kept must not be used by more than in the whole unit. */
  optimised?: { variables: readonly string[] } | undefined;
}

/** Functions of a text, by their place in the list. */
export interface Parts {
  /** Those that stay as they are. */
  kept: ReadonlySet<number>;
  /** Of the others, those that are referred to; undefined: it may be all of them. */
  referred?: ReadonlySet<number> | undefined;
}

/** Those of which nothing but a declaration stays. */
export function onlyDeclared(
  { functions }: Pick<ScannedText, 'functions'>,
  { kept, referred }: Parts,
): Set<number> {
  const found = new Set<number>();
  for (const [index, { mayBeLeftOut, mayBeDeclared }] of functions.entries())
    if (referred && mayBeLeftOut && mayBeDeclared && !kept.has(index) && !referred.has(index))
      found.add(index);
  return found;
}

/** The text with only the bodies of `kept`, and of those that cannot be left out.
 * @returns undefined when the text cannot be compiled in another place, with the reason */
export function reduce(
  { text, functions, directives }: ScannedText,
  parts: Parts,
  source: SpelledSource,
): Reduced | { reason: string } {
  const { kept } = parts;
  const declared = onlyDeclared({ functions }, parts);
  const changes: Change[] = [];
  for (const [index, fn] of functions.entries())
    if (kept.has(index)) {
      if (fn.mayBeLocal && !source.optimised)
        changes.push({ at: fn.specifiers, end: fn.specifiers, put: '__attribute__((used)) ' });
    } else if (fn.mayBeLeftOut) {
      const lines = '\n'.repeat(linesIn(text, fn.body, fn.end));
      if (declared.has(index)) {
        changes.push({ at: fn.body, end: fn.end, put: `;${lines}` });
        continue;
      }
      if (source.optimised)
        changes.push({ at: fn.specifiers, end: fn.specifiers, put: '__attribute__((noipa)) ' });
      changes.push({ at: fn.body, end: fn.end, put: `{ ${LEFT_OUT}();${lines}}` });
    }
  return relocated({ text, directives }, changes, source, { head: HEAD, tail: TAIL + escape(source) });
}

/** All of a text, as it is, to be compiled from another directory than its source's.
 * @returns why that cannot be done */
export function entire(text: string, source: SpelledSource): Reduced | { reason: string } {
  const result = relocated({ text }, [], source, { head: '', tail: TAIL });
  return 'reason' in result ? result : { ...result, flags: withWarnings(result.flags) };
}

/** As the build has them: a part of a text gives others. */
export const withWarnings = (flags: readonly string[]): string[] => flags.filter((flag) => flag !== '-w');

function linesIn(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', start); at >= 0 && at < end; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

/** Puts something in place of a part of a text; the lines stay what they are. */
export interface Change {
  at: number;
  end: number;
  put: string;
}

/** A changed text, to be compiled from another directory than its source's, with something before and behind it.
 * @returns why that cannot be done */
export function relocated(
  { text, directives = directivesOf(text) }: Pick<ScannedText, 'text'> & Partial<ScannedText>,
  wanted: readonly Change[],
  source: SpelledSource,
  { head: before, tail }: { head: string; tail: string },
): Reduced | { reason: string } {
  const directory = dirname(source.spelled);
  // gcc puts the name behind the directory as it is written.
  const prefix = source.spelled.includes('/') ? `${directory === '/' ? '' : directory}/` : '';
  const absolute = isAbsolute(source.spelled) ? prefix : `${resolve(source.directory, prefix)}/`;
  let pieces: string[] = [];
  let done = 0;
  const keep = (to: number): void => {
    pieces.push(text.slice(done, to));
    done = to;
  };
  const changes = [...wanted];
  const reason = includesOf({ text, directives }, absolute, source.isThere, changes);
  if (reason !== undefined) return { reason };
  changes.sort((a, b) => a.at - b.at);
  const change = (from: number, to: number): string => {
    pieces = [];
    done = from;
    for (const { at, end, put } of changes) {
      if (at < from || at >= to) continue;
      keep(at);
      pieces.push(put);
      done = end;
    }
    keep(to);
    return pieces.join('');
  };
  const begin = preambleEnd(text);
  const line = (offset: number): string =>
    `#line ${text.slice(0, offset).split('\n').length} ${quoted(source.spelled)}\n`;
  const flags = ['-w', ...(source.optimised ? ASSUME_NOTHING : [])];
  if (!isAbsolute(source.spelled)) flags.push(`-ffile-prefix-map=${absolute}=${prefix}`);
  const head = before + line(0);
  return {
    text: {
      language: source.language,
      preamble: begin > 0 ? head + change(0, begin) : '',
      resume: line(begin),
      rest: (begin > 0 ? '' : head) + change(begin, text.length) + tail,
    },
    flags,
  };
}

/** Has gcc compile each function by itself, but for what it inlines: the code that the process has of its callees uses other
 * registers, and its callers know no clones. */
const ASSUME_NOTHING = [
  '-fno-ipa-ra',
  '-fno-ipa-stack-alignment',
  '-fno-ipa-cp',
  '-fno-ipa-bit-cp',
  '-fno-ipa-vrp',
  '-fno-ipa-sra',
  '-fno-ipa-icf',
  '-fno-partial-inlining',
];

/** One function that always calls the marker tells what the object is. */
const HEAD = `#line 1 "${LEFT_OUT}"
#ifdef __cplusplus
extern "C"
#endif
void ${LEFT_OUT}(void);
__attribute__((used)) static void ${LEFT_OUT}unit(void) { ${LEFT_OUT}(); }
`;
/** Names that count how often they were expanded would count otherwise: then the unit does not compile. */
const TAIL = `\ntypedef char ${LEFT_OUT}_counter[__COUNTER__ == 0 ? 1 : -1];\n`;

/** Has the addresses of variables go where the compiler does not see them. */
function escape({ language, optimised }: SpelledSource): string {
  if (!optimised) return '';
  const stores = optimised.variables.map((name, index) => {
    const address = language === 'c' ? `&${name}` : `__builtin_addressof(::${name})`;
    return `to[${index}] = (void *)${address}; `;
  });
  return `__attribute__((used, noipa)) static void ${LEFT_OUT}escape(void **to) { ${LEFT_OUT}(); ${stores.join('')}}\n`;
}

/** As a directive names a file. */
export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** A file named in quotes is looked for beside the text first: there it must be named whole.
 * @returns why that cannot be done */
function includesOf(
  { text, directives }: { text: string; directives: readonly Span[] },
  directory: string,
  isThere: (path: string) => boolean,
  changes: Change[],
): string | undefined {
  for (const { start, end } of directives) {
    const line = directiveText(text.slice(start, end));
    if (/^# ?(include_next|import|embed|line|\d)/.test(line) || /\b__has_(include|embed)/.test(line))
      return `it has ${line}`;
    if (/^# ?pragma .*optimize|^# ?pragma clang/.test(line)) return `it has ${line}`;
    if (/^# ?include\b/.test(line)) {
      const [, name, bracketed] = /^# ?include ?(?:"([^"]+)"|(<[^>]+>))$/.exec(line) ?? [];
      // What a macro names may be beside the text. Where it is included after all, this does not compile.
      if (name === undefined && bracketed === undefined)
        changes.push({ at: start, end, put: `#error compiled from another place: ${line.slice(1)}` });
      else if (name !== undefined && !isAbsolute(name) && isThere(directory + name))
        changes.push({ at: start, end, put: `#include ${includeName(directory + name)}` });
    }
  }
  return undefined;
}

/** No escapes are read in the name of an included file (C17 6.4.7). */
function includeName(path: string): string {
  return `"${path}"`;
}
