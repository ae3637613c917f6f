// Pragmas that a header leaves in force for what comes behind it, and that compilers forget when it was precompiled: gcc
// `pack` and `target`, clang `redefine_extname` (tried with gcc 11 and 12, and clang 14).

/** Behind the directives: does not compile while `pack` is in force. A long double begins at a multiple of its size. */
export const NOT_PACKED = `struct hot_patch_not_packed { char first; long double second; };
typedef char hot_patch_is_not_packed[sizeof(struct hot_patch_not_packed) == 2 * sizeof(long double) ? 1 : -1];
`;

/** `#pragma …` and `_Pragma("…")`, with what follows up to the end of the line. */
const PRAGMA = /(?:^[ \t]*#[ \t]*pragma[ \t]+|_Pragma[ \t]*\([ \t]*L?")([^\n]*)/gm;
/** In force to the end of the unit. */
const LASTING = /^redefine_extname\b/;
/** In force until `pop_options`. */
const OPTIONS = /^GCC[ \t]+(target|optimize)\b/;

/** The first pragma of a text but `pack` that may still be in force behind it; undefined when there is none. Reads text
 * only: what a condition leaves out counts as well. */
export function lastingPragma(text: string): string | undefined {
  let depth = 0;
  for (const [, pragma = ''] of text.matchAll(PRAGMA)) {
    if (LASTING.test(pragma) || (OPTIONS.test(pragma) && depth === 0)) return pragma.trim();
    if (/^GCC[ \t]+push_options/.test(pragma)) depth++;
    if (/^GCC[ \t]+pop_options/.test(pragma)) depth = Math.max(0, depth - 1);
  }
  return undefined;
}
