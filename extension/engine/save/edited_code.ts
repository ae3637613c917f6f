// The functions that a reduced unit was compiled for, in its object. Part of first light. Looks at no process.
import { functionLines } from '../dwarf/functions';
import { readUnits } from '../dwarf/units';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import type { ScannedText } from '../fast/edit';
import { realPathOrSelf } from '../host';

/** Which functions of an object are written where in the text of its unit. */
export class WrittenCode {
  /** First and last line of each function of the text. */
  private readonly lines: { from: number; to: number }[];
  private readonly declared: ReadonlyMap<string, number>;

  constructor(
    readonly object: ObjectFile,
    { text, functions }: ScannedText,
  ) {
    this.declared = declaredLines(object);
    let line = 1;
    let counted = 0;
    const lineAt = (offset: number): number => {
      for (let at = text.indexOf('\n', counted); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) {
        line++;
        counted = at + 1;
      }
      return line;
    };
    this.lines = functions.map(({ start, end }) => ({ from: lineAt(start), to: lineAt(end) }));
  }

  /** The functions of the text that a function of the object may be, or may be declared in (a lambda), by their place in
   * the list; several only where they share a line. */
  placesOf(fn: ObjectFunction): number[] {
    const names = fn.aliases.map(({ name }) => name);
    for (const key of [`${fn.section.index}:${fn.offset}`, ...names]) {
      const line = this.declared.get(key);
      if (line !== undefined) return this.at(line);
    }
    return [];
  }

  /** The functions of the text that have a line. */
  at(line: number): number[] {
    let low = 0;
    let high = this.lines.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.lines[middle]!.to < line) low = middle + 1;
      else high = middle;
    }
    const found: number[] = [];
    for (; low < this.lines.length && this.lines[low]!.from <= line; low++) found.push(low);
    return found;
  }

  lineOf(index: number): number {
    return this.lines[index]!.from;
  }
}

/** The name of the function that a cold part, or a clone, belongs to. */
export const wholeOf = (symbol: string): string => symbol.replace(/\..*$/, '');

/** Those of some functions of the text, with what was made for them. */
export class EditedCode {
  readonly functions = new Set<ObjectFunction>();
  private readonly names: string[] = [];
  private readonly missing = new Set<number>();
  /** Of the symbols, those that no function of the object has. */
  readonly missingSymbols: Set<string>;

  /** @param others symbols of functions that belong to them and are not among those of the text */
  constructor(
    private readonly written: WrittenCode,
    edited: ReadonlySet<number>,
    others: ReadonlySet<string> = new Set(),
  ) {
    for (const index of edited) this.missing.add(index);
    this.missingSymbols = new Set(others);
    for (const fn of written.object.functions) {
      const places = written.placesOf(fn).filter((index) => edited.has(index));
      const symbols = fn.aliases.filter(({ name }) => others.has(wholeOf(name)));
      if (places.length === 0 && symbols.length === 0) continue;
      for (const { name } of symbols) this.missingSymbols.delete(wholeOf(name));
      for (const index of places) this.missing.delete(index);
      this.functions.add(fn);
      this.names.push(...fn.aliases.map(({ name }) => name.replace(/^_Z/, '')));
    }
  }

  /** Is it one of them, or was it made for one (a lambda in it, a template of a local type, its cold part)? */
  includes(fn: ObjectFunction): boolean {
    const { name } = fn.symbol;
    const [, whole] = /^(?:_Z)?(.*)\.cold$/.exec(name) ?? [];
    if (whole !== undefined && this.names.includes(whole)) return true;
    return this.functions.has(fn) || this.names.some((one) => name.includes(`Z${one}E`));
  }

  /** Line of one that has no code of its own; undefined when all have. */
  get withoutCode(): number | undefined {
    const [index] = this.missing;
    return index === undefined ? undefined : this.written.lineOf(index);
  }
}

/** Lines in which the functions with code in an object are declared, as far as that is in its source: by section and
 * offset, because compilers leave out the linkage names of local functions; by symbol where the code is in several parts. */
function declaredLines(object: ObjectFile): Map<string, number> {
  const lines = new Map<string, number>();
  const isSource = new Map<string, boolean>();
  for (const unit of readUnits(object.elf))
    for (const { symbol, section, address, line, file, isSplit } of functionLines(object.elf, unit)) {
      const key = isSplit
        ? symbol
        : section !== undefined && address !== undefined && `${section}:${address}`;
      if (!isSource.has(file)) isSource.set(file, realPathOrSelf(file) === object.source);
      if (key && isSource.get(file)) lines.set(key, line);
    }
  return lines;
}
