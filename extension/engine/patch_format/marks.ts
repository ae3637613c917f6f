// Which code of a patch runs a function that was compiled without optimisation on purpose (for debugging): the patch says so
// in its symbol table, so that it is known to every engine for as long as that code runs, and no longer. Written by the
// link, read by the next save and by the views.
import * as abi from '../elf/constants';
import type { ElfFile } from '../elf/file';
import type { ProcessStatus } from '../model/result';

/** No program has such a name. */
const PREFIX = 'hot_patch_at_O0:';

/** Code of a patch that is the function, or calls it where the process has no other entry for it. */
export interface Mark {
  /** The unit, as its FILE symbol names it. */
  unit: string;
  /** The function that is not optimised, as the object of its unit names it. */
  symbol: string;
  /** Where the marked code begins. */
  address: number;
}

/** @param marked symbol of the marked code */
export function markName(marked: string, symbol: string): string {
  return `${PREFIX}${marked}:${symbol}`;
}

export function readMarks(elf: ElfFile): Mark[] {
  const symbols = elf.symbols();
  const marks: Mark[] = [];
  const globals = new Map<string, number>();
  for (const { name, value, type, binding } of symbols)
    if (type === abi.STT_FUNC && binding !== abi.STB_LOCAL) globals.set(name, value);
  let unit = '';
  let locals = new Map<string, number>();
  let found: string[] = [];
  const close = (): void => {
    for (const name of found) {
      const [marked = '', symbol = ''] = name.slice(PREFIX.length).split(':');
      const address = locals.get(marked) ?? globals.get(marked);
      if (address !== undefined) marks.push({ unit, symbol, address });
    }
    locals = new Map();
    found = [];
  };
  for (const { name, value, type, binding } of symbols)
    if (type === abi.STT_FILE) {
      close();
      unit = name;
    } else if (name.startsWith(PREFIX)) found.push(name);
    else if (type === abi.STT_FUNC && binding === abi.STB_LOCAL) locals.set(name, value);
  close();
  return marks;
}

/** The marks of code that runs: of functions that were redirected to it and not taken back since.
 * @param marksOf a patch, by its number */
export function marksThatRun(
  { patches, functions }: Pick<ProcessStatus, 'patches' | 'functions'>,
  marksOf: (patch: number) => readonly Mark[],
): Mark[] {
  const patchAt = (address: number): number | undefined =>
    patches.find(({ base, length }) => address >= Number(base) && address < Number(base) + length)?.id;
  const running = new Map<string, Mark>();
  const replaced = new Set<string>();
  for (const { address: entry, symbol: name, version: current, versions } of functions) {
    const home = patchAt(Number(entry));
    const body = versions.find(({ version }) => version === current);
    const patch = body?.patch ?? home;
    if (!body || patch === undefined) continue;
    const start = Number(body.address);
    const marks = marksOf(patch).filter(({ address }) => address >= start && address < start + body.size);
    if (home === undefined) for (const mark of marks) running.set(`${mark.unit}:${mark.symbol}`, mark);
    // What only patches call runs as long as they do, unless it was replaced itself.
    else if (!marks.some(({ symbol }) => symbol === name)) replaced.add(name);
  }
  return [...running.values()].filter(({ symbol }) => !replaced.has(symbol));
}
