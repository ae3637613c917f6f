// Which units read a header, from the text of the sources: debug information names a header only when something of
// it is left in it (never one that only defines macros), and knows nothing of what was included since the build.
// Conditions are not evaluated and computed includes not seen: a unit too many compiles to unchanged code. Reads
// files; runs nothing.
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { CompileEntry } from '../context';
import { namesIn, look, readTextIfThere, realPath } from '../host';
import { includeOptions, type IncludeOptions, type ReadText } from './command';

const DIRECTIVE = /^[ \t]*#[ \t]*(?:include|include_next|import)[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)/gm;

export interface Include {
  name: string;
  quoted: boolean;
}

export function parseIncludes(text: string): Include[] {
  return [...text.matchAll(DIRECTIVE)].map(([, quoted, bracketed = '']) => ({
    name: quoted ?? bracketed,
    quoted: quoted !== undefined,
  }));
}

/** @returns the sources among `entries` that include `header` (a real path), directly or through other headers. */
export type IncludeSearch = (entries: readonly CompileEntry[], header: string) => Set<string>;

/** What was read stays known as long as the file is not written. */
export function createIncludeSearch(readText: ReadText): IncludeSearch {
  const known = new Map<string, { stamp: string; includes: Include[] }>();

  const includesOf = (path: string): Include[] => {
    const stats = look(path);
    const stamp = stats ? `${stats.mtimeMs}:${stats.size}` : '';
    const before = known.get(path);
    if (before?.stamp === stamp) return before.includes;
    const includes = parseIncludes(readText(path) ?? '');
    known.set(path, { stamp, includes });
    return includes;
  };

  return (entries, header) => {
    const exists = createListing();
    const found = new Set<string>();
    // Units with the same search path share what they include.
    const groups = new Map<string, { options: IncludeOptions; sources: Set<string> }>();
    for (const entry of entries) {
      const options = includeOptions(entry, readText);
      const key = JSON.stringify(options);
      const group = groups.get(key) ?? { options, sources: new Set() };
      group.sources.add(entry.source);
      groups.set(key, group);
    }
    for (const { options, sources } of groups.values())
      for (const source of sourcesReading(header, options, sources, includesOf, exists)) found.add(source);
    return found;
  };
}

/** Where a compiler looks for included files, in its order, absolute. */
export interface SearchPath {
  /** For `"name"` only, behind the includer's own directory. */
  quote: string[];
  all: string[];
  /** Left out because they do not exist. */
  ignored: string[];
}

const ANY_INCLUDE = /^[ \t]*#[ \t]*(include|include_next|import)\b[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)?/gm;
/** Comments, and the literals in which something looks like one. */
const COMMENT = /\/\*[^]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'/g;
const HAS_INCLUDE = /\b__has_include(_next)?[ \t]*\([ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)/g;

/** The files that a compile looks for and does not find before those it reads: if one of them is made, it may read that
 * one instead. Conditions are not evaluated: some too many do no harm.
 * @param texts of all files that it read, by path; of one that includes nothing from its own directory under undefined
 * @param command that compiled them
 * @returns a reason when the text does not say what is included */
export function filesLookedFor(
  texts: ReadonlyMap<string | undefined, string>,
  { quote, all, ignored }: SearchPath,
  command: readonly string[],
): { files: Set<string> } | { reason: string } {
  const exists = createListing();
  const missing = new Set(ignored);
  const lookFor = (includer: string | undefined, name: string, isQuoted: boolean, isNext: boolean): void => {
    const own = isQuoted && includer !== undefined ? [dirname(includer)] : [];
    const directories = isAbsolute(name) ? ['/'] : isQuoted || isNext ? [...own, ...quote, ...all] : all;
    for (const directory of directories) {
      const path = join(directory, name);
      if (!exists(path)) missing.add(path);
      else if (!isNext) return;
    }
  };
  // What includes a macro that nothing defines does not compile: a condition leaves it out (`#ifdef LUA_USER_H`).
  const mayBeDefined = (macro: string): boolean =>
    macro.startsWith('__') ||
    command.some((word) => word.includes(macro) || word.startsWith('@')) ||
    [...texts.values()].some((text) => definesIn(text).has(macro));
  for (const [path, text] of texts) {
    let directives = [...text.matchAll(ANY_INCLUDE)];
    // Comments speak of `#include` as well (glibc's <limits.h>), and stand in directives.
    if (directives.some((directive) => nameIn(directive) === undefined))
      directives = [...withoutComments(text).matchAll(ANY_INCLUDE)];
    for (const match of directives) {
      const [directive, kind, quoted] = match;
      const name = nameIn(match);
      const [, macro] = /^[ \t]*([A-Za-z_]\w*)/.exec(match.input.slice(match.index + directive.length)) ?? [];
      if (name === undefined && (macro === undefined || mayBeDefined(macro)))
        return { reason: `${path ?? 'its text'} has ${directive.trim()} with a macro` };
      if (name !== undefined) lookFor(path, name, quoted !== undefined, kind === 'include_next');
    }
    for (const [, isNext, quoted, bracketed = ''] of text.matchAll(HAS_INCLUDE))
      lookFor(path, quoted ?? bracketed, quoted !== undefined, isNext !== undefined);
  }
  return { files: missing };
}

/** Undefined where a macro says it. */
const nameIn = ([, , quoted, bracketed]: RegExpMatchArray): string | undefined => quoted ?? bracketed;

/** Each line whole. */
export const withoutComments = (text: string): string =>
  text.replace(/\\\r?\n/g, ' ').replace(COMMENT, (piece) => (piece.startsWith('/') ? ' ' : piece));

/** Macros that a text may define. */
const definesIn = (text: string): Set<string> =>
  new Set(Array.from(withoutComments(text).matchAll(/#[ \t]*define[ \t]+(\w+)/g), ([, name = '']) => name));

/** From the sources along all includes, then back from the header. */
function sourcesReading(
  header: string,
  options: IncludeOptions,
  sources: ReadonlySet<string>,
  includesOf: (path: string) => Include[],
  exists: (path: string) => boolean,
): string[] {
  const includers = new Map<string, string[]>();
  const queue = [...sources];
  const seen = new Set(queue);
  const add = (path: string, includer: string): void => {
    const known = includers.get(path);
    if (known) known.push(includer);
    else includers.set(path, [includer]);
    if (!seen.has(path)) {
      seen.add(path);
      queue.push(path);
    }
  };
  for (let at = 0; at < queue.length; at++) {
    const path = queue[at] ?? '';
    for (const include of includesOf(path)) {
      const target = find(include, path, options, exists);
      if (target !== undefined) add(target, path);
    }
  }
  for (const forced of options.forced) for (const source of sources) add(forced, source);

  const back = [...includers.keys()].filter(
    (path) => basename(path) === basename(header) && isSame(path, header),
  );
  const reached = new Set(back);
  for (let at = 0; at < back.length; at++)
    for (const includer of includers.get(back[at] ?? '') ?? [])
      if (!reached.has(includer)) {
        reached.add(includer);
        back.push(includer);
      }
  return [...sources].filter((source) => reached.has(source));
}

/** The file an include names: beside the includer if quoted, then along the search path. What is only in the
 * compiler's own directories is not looked for: nobody edits it. */
function find(
  { name, quoted }: Include,
  includer: string,
  { quote, all }: IncludeOptions,
  exists: (path: string) => boolean,
): string | undefined {
  if (isAbsolute(name)) return exists(name) ? name : undefined;
  const directories = quoted ? [dirname(includer), ...quote, ...all] : all;
  for (const directory of directories) {
    const path = join(directory, name);
    if (exists(path)) return path;
  }
  return undefined;
}

/** Is there such a file? Directories are listed once: an include path has far fewer of them than questions. */
function createListing(): (path: string) => boolean {
  const listed = new Map<string, Set<string>>();
  return (path) => {
    const directory = dirname(path);
    let names = listed.get(directory);
    if (!names) {
      // None for a directory that does not exist: a search path may name such.
      names = new Set(namesIn(directory));
      listed.set(directory, names);
    }
    return names.has(basename(path));
  };
}

function isSame(path: string, real: string): boolean {
  return realPath(path) === real;
}

/** Undefined when it was removed meanwhile, or is none that can be read: it includes nothing. */
export function readSource(path: string): string | undefined {
  return readTextIfThere(resolve(path));
}
