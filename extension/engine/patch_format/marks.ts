// What a patch says of its functions in its symbol table, so that it is known to every engine for as long as that code runs,
// and no longer: which code runs a function that was compiled without optimisation on purpose (for debugging), and which
// functions only came along with those that were edited. Written by the link, read by the next save and by the views.
import * as abi from '../elf/constants';
import type { ElfFile } from '../elf/file';
import type { ProcessStatus } from '../model/result';

/** No program has such names. */
const PREFIX = 'hot_patch_at_O0:';
const COMPANION = 'hot_patch_along:';

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
  return said(elf, PREFIX).flatMap(({ unit, name, addressOf }) => {
    const [marked = '', symbol = ''] = name.split(':');
    const address = addressOf(marked);
    return address === undefined ? [] : [{ unit, symbol, address }];
  });
}

/** Says of a function of first light that nobody edited it. */
export function companionName(symbol: string): string {
  return COMPANION + symbol;
}

/** Where the code of such functions begins. */
export function readCompanions(elf: ElfFile): Set<number> {
  return new Set(said(elf, COMPANION).flatMap(({ name, addressOf }) => addressOf(name) ?? []));
}

/** The symbols of a patch that name no place, each with the address of other symbols of its unit. */
function said(
  elf: ElfFile,
  prefix: string,
): { unit: string; name: string; addressOf: (symbol: string) => number | undefined }[] {
  const globals = new Map<string, number>();
  const found: ReturnType<typeof said> = [];
  let unit = '';
  let locals = new Map<string, number>();
  for (const { name, value, type, binding } of elf.symbols())
    if (type === abi.STT_FILE) {
      unit = name;
      locals = new Map();
    } else if (name.startsWith(prefix)) {
      const own = locals;
      const addressOf = (symbol: string) => own.get(symbol) ?? globals.get(symbol);
      found.push({ unit, name: name.slice(prefix.length), addressOf });
    } else if (type === abi.STT_FUNC) (binding === abi.STB_LOCAL ? locals : globals).set(name, value);
  return found;
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
