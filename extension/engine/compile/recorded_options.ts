// Of the options that a compiler recorded in an object (DW_AT_producer), those that make its code what it is. The command
// for a patch object leaves some of the build's out, changes others and adds its own (command.ts): none of that is a
// difference between the running code and the fresh object. Pure; decides nothing about a patch.
import { passedOptions } from './command';

const names = (...lists: string[]): RegExp => new RegExp(`^-(${lists.join(' ').split(' ').join('|')})$`);

/** Change no code: what this tool adds, and what builds have besides. */
const NEUTRAL = names(
  'f(no-)?function-sections f(no-)?data-sections f(no-)?merge-constants W.* w pedantic f(no-)?diagnostics.* fmessage-length.*',
  'g\\d? ggdb\\d? gdwarf(-\\d)? femit-(class|struct)-debug.* f(no-)?eliminate-unused-debug-types',
  'f(no-)?debug-types-section fdebug-prefix-map.* ffile-prefix-map.* frandom-seed.* pipe',
  // Where the text of a unit is compiled in place of its file, over the headers that were compiled ahead. Their values are
  // not told apart anyway.
  'include iquote',
  // What drivers add that link at once (clang), and launchers that preprocess here and compile elsewhere.
  'dump(dir|base|base-ext) fpreprocessed fdirectives-only',
);

/** Each once, in an order of their own. */
export function codeOptions(recorded: readonly string[]): string[] {
  const kept = passedOptions(recorded)
    .filter((option) => !NEUTRAL.test(option))
    // The name of a profile is written out, because gcc looks for it beside the object.
    .map((option) => option.replace(/^-fprofile-use=.*\.gcda$/, '-fprofile-use'));
  return [...new Set(kept)].sort();
}
