// Values of a class go to functions in another way than before, and no function that debug information describes takes or
// returns one. Code that was built without it may: the names of its functions say what they take (Itanium C++ ABI, 5.1),
// but not what they return, and those of C say neither. Decides; writes nothing.
import { basename } from 'node:path';
import { undescribedSources } from '../dwarf/undescribed';
import { SHT_DYNSYM, SHT_SYMTAB } from '../elf/constants';
import type { ElfFile } from '../elf/file';
import type { PassedOtherwise } from '../types/changed_types';
import type { Judgement } from './members_in_padding';
import { readable } from './owners';
import type { Save } from './progress';

/** Sources of which the functions have no classes. */
const NOT_CXX = /\.(c|s|S|asm)$/;

/** @param program its modules and patches, and the fresh object */
export async function judgePassedOtherwise(
  { context: { demangle } }: Save,
  program: readonly ElfFile[],
  found: readonly PassedOtherwise[],
): Promise<Judgement> {
  const judgement: Judgement = { problems: [], warnings: [] };
  for (const { name, keyword, text, place } of found) {
    const symbols = program.flatMap((elf) => symbolsWith(elf, sourceName(name)));
    const names = await demangle(symbols);
    const taking = names.find((demangled) => valuesIn(demangled).has(bare(name)));
    const sources = [...new Set(program.flatMap(undescribedIn))].sort();
    const what = `\`${keyword} ${name}\`: ${text}`;
    if (taking !== undefined)
      judgement.problems.push({
        code: 'layout-changed',
        message: `${what}. ${taking}, of which there is no debug information, takes one.`,
        ...place,
      });
    else if (sources.length > 0)
      judgement.warnings.push({
        code: 'layout-unchecked',
        message: `${what}. Of ${listOf(sources)}, built without debug information, it is not known whether they return one.`,
        ...place,
      });
  }
  return judgement;
}

const listOf = (sources: readonly string[]): string =>
  sources.slice(0, 3).join(', ') + (sources.length > 3 ? ` and ${sources.length - 3} others` : '');

function undescribedIn(elf: ElfFile): string[] {
  return [...(readable(() => undescribedSources(elf)) ?? [])].filter(
    (source) => !NOT_CXX.test(source) && basename(source) === source,
  );
}

/** A class in the name of a function (Itanium C++ ABI, 5.1.3): its length, and its last name without arguments. */
function sourceName(qualified: string): string {
  const last = /([^:]*)$/.exec(qualified.replace(/<.*$/, ''))![1]!;
  return `${last.length}${last}`;
}

function symbolsWith(elf: ElfFile, part: string): string[] {
  const names = [SHT_SYMTAB, SHT_DYNSYM].flatMap((table) => elf.symbols(table).map(({ name }) => name));
  return [...new Set(names.filter((name) => name.startsWith('_Z') && name.includes(part)))];
}

/** The types in parentheses of a demangled name: what a function takes, and what functions take that it takes. And what an
 * instance of a template returns, which stands before its name. */
export function valuesIn(demangled: string): ReadonlySet<string> {
  // Their brackets are none.
  const text = demangled.replace(/operator(?:->\*?|<=>|<<=?|>>=?|[<>]=?|\(\))/g, 'operator');
  const values = new Set<string>();
  const open: { bracket: string; start: number }[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    const inner = open.at(-1);
    if ('([<{'.includes(character)) open.push({ bracket: character, start: at + 1 });
    else if (')]>},'.includes(character) && inner) {
      if (inner.bracket === '(') values.add(bare(text.slice(inner.start, at)));
      if (character === ',') inner.start = at + 1;
      else open.pop();
    } else if (character === ' ' && open.length === 0) values.add(bare(text.slice(0, at)));
  }
  return values;
}

const bare = (type: string): string => type.replace(/\s/g, '');
