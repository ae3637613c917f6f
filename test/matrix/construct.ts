// What a row of the matrix is: a small unit with one construct of C or C++ in it, an edit of it, and an observer. Texts
// are written for one construct alone; here they get names of their own, so that many stand in one program.
import type { Texts, Unit } from '../support/live_program';
import type { Variant } from './variants';

/** What stands in the text, what the first edit makes of it, and what the second does. */
export type Edit = readonly [from: string, to: string, again: string];

export interface Construct {
  id: string;
  language: 'c' | 'cc';
  /**
   * The unit. It defines the observer `long step(long n)` or `const char *step(long n)` at the begin of a line. `$$`
   * stands for a word that no other construct has. C++ is put into a namespace of that name, behind its #includes.
   */
  text: string;
  edit: Edit;
  /** The edited file, when it is not the unit. */
  edited?: string;
  /** Headers and further units, by name. */
  files?: Texts;
  /** The unit's flags; a list of lists compiles the unit once with each. */
  flags?: readonly string[] | readonly (readonly string[])[];
  /** What the observer is called with at each look; by default 1, 2, 3. */
  calls?: readonly number[];
  /** What the edit adds has state of its own: a full build is only comparable when it is called from the edit on. */
  ownState?: boolean;
  /** The text is not put into a namespace. */
  global?: boolean;
  /** Codes for one of which the edit may be refused; when it is not, it must be right. */
  refused?: readonly string[];
  /** The program keeps what it had, by design, when the save warns with this code. */
  warned?: string;
  /** Why the construct does not exist in a variant. */
  notIn?: (variant: Variant) => string | undefined;
}

/** A construct as it stands in a program. */
export interface Placed {
  construct: Construct;
  observer: string;
  returns: 'number' | 'text';
  units: readonly Unit[];
  /** Before the edit, after the first, after the second. */
  versions: readonly [Texts, Texts, Texts];
  /** The name of the edited file. */
  edited: string;
}

const OBSERVER = /^(?:__attribute__.* )?(long|const char \*) ?step\(/m;

/** Names of the construct's files and symbols made its own. */
export function place(construct: Construct): Placed {
  const { id, language, edit, files = {}, flags = [] } = construct;
  const word = id.replaceAll('-', '_');
  const own = (text: string) => text.replaceAll('$$', word);
  const unit = `${word}.${language}`;
  const all: Texts = { ...files, [unit]: construct.text };
  const edited = construct.edited ?? unit;
  const texts = (version: number): Texts =>
    Object.fromEntries(
      Object.entries(all).map(([name, text]) => {
        const [from, ...to] = edit;
        if (name === edited && !text.includes(from)) throw new Error(`${id}: there is no ${from} to edit`);
        const now = name === edited && version > 0 ? text.replaceAll(from, () => to[version - 1]!) : text;
        return [own(name), own(name === unit ? unitText(construct, now) : now)];
      }),
    );
  const returns = OBSERVER.exec(construct.text)?.[1];
  if (returns === undefined) throw new Error(`${id} has no observer`);
  const further = Object.keys(files).filter((name) => /\.(c|cc)$/.test(name));
  const several = flags.filter((flag) => typeof flag !== 'string');
  const once = flags.filter((flag) => typeof flag === 'string');
  return {
    construct,
    observer: own('step_$$'),
    returns: returns === 'long' ? 'number' : 'text',
    units: [
      ...(several.length === 0
        ? [{ file: unit, flags: once }]
        : several.map((list, index) => ({ file: unit, flags: list, object: `${unit}${index}` }))),
      ...further.map((name) => ({ file: own(name), flags: once })),
    ],
    versions: [texts(0), texts(1), texts(2)],
    edited: own(edited),
  };
}

function unitText({ language, global }: Construct, text: string): string {
  const named = text.replaceAll(/\bstep\b/g, 'step_$$$$');
  if (language === 'c') return named;
  const declared = named.replace(/^(long|const char \*)( ?step_\$\$\()/m, 'extern "C" $1$2');
  if (global) return declared;
  const lines = declared.split('\n');
  const first = lines.findIndex((line) => !/^(#|$)/.test(line));
  // One line is not added: line numbers of the text are those of the file.
  const [begin, ...rest] = lines.slice(first);
  return [...lines.slice(0, first), `namespace $$ { ${begin}`, ...rest, '}'].join('\n');
}
