// Where the preamble of a text ends: the directives that it begins with, before its first token of code. What the compiler
// makes of them does not depend on what follows, so it can be kept. Reads text only.
import { directiveText, ENOUGH, forEachToken } from './tokens';

/** Those that mean the same in a file that is included. */
const PLAIN = /^# ?(include|define|undef|ifdef|ifndef|if|elif|elifdef|elifndef|else|endif)\b/;
/** What asks where it stands, or how often it was asked. */
const OWN_PLACE = /\b(__has_include|__COUNTER__|__INCLUDE_LEVEL__|__BASE_FILE__|__FILE__|__LINE__)\b/;

/** @returns the offset of the line behind it; 0 when nothing is included */
export function preambleEnd(text: string): number {
  let end = 0;
  let includes = false;
  let conditionals = 0;
  forEachToken(text, (kind, start, tokenEnd) => {
    const line = kind === 'directive' ? directiveText(text.slice(start, tokenEnd)) : '';
    const [, name] = PLAIN.exec(line) ?? [];
    if (name === undefined || (/^(if|elif)/.test(name) && OWN_PLACE.test(line))) return ENOUGH;
    if (/^if/.test(name)) conditionals++;
    else if (name === 'endif') conditionals--;
    includes ||= name === 'include';
    const next = text.indexOf('\n', tokenEnd);
    if (conditionals === 0 && next >= 0) end = next + 1;
    return undefined;
  });
  return includes ? end : 0;
}
