// Virtual tables whose entries an edit changes: an override added or removed, a virtual function added. Objects that exist
// point to the table in the process, which a patch does not change; code that runs from now on would go on calling what
// stands there. Part of the safety checks; knows names only, and says nothing where one has none.
import { isPointer } from '../arch/architecture';
import * as abi from '../elf/constants';
import type { ElfSymbol, Section } from '../elf/file';
import type { LiveSymbol } from '../live/live_image';
import type { UnitComparison } from './unit';

/** Itanium C++ ABI, 5.1.4.1 and 2.6: virtual tables, and those that are used while an object is constructed. */
const VIRTUAL_TABLE = /^_ZT[VC]/;
const POINTER = 8;

export interface ChangedTable {
  /** Symbol of the table. */
  table: string;
  /** Symbol of the function that the file has in the first place that differs; undefined: the number of places differs, or
   * what no function says. */
  fresh: string | undefined;
  /** Symbol of the function that the process has there. */
  live: string | undefined;
}

/** The tables that the process has with other entries. */
export function changedVirtualTables(comparison: UnitComparison): ChangedTable[] {
  const { object } = comparison;
  return object.symbols.flatMap((symbol) => {
    if (symbol.type !== abi.STT_OBJECT || symbol.size === 0 || !VIRTUAL_TABLE.test(symbol.name)) return [];
    const section = object.sectionOf(symbol);
    const [live] = comparison.correlation.candidates(symbol);
    return (section && live && differenceOf(section, symbol, live, comparison)) ?? [];
  });
}

function differenceOf(
  section: Section,
  symbol: ElfSymbol,
  live: LiveSymbol,
  { object, references }: UnitComparison,
): ChangedTable | undefined {
  const table = symbol.name;
  const relocations = object.relocationsIn(section, symbol.value, symbol.value + symbol.size);
  for (const { offset, type, symbol: index, addend } of relocations) {
    const within = offset - symbol.value;
    if (!isPointer(references.arch.meaning(type)) || within + POINTER > live.size) continue;
    const target = object.symbol(index);
    const home = object.sectionOf(target);
    const fn = home && object.functionAt(home, target.value + addend);
    const names = (fn ? fn.aliases : [target]).map(({ name }) => plainName(name));
    const there = namesAt(live, within);
    if (names.includes('') || there.length === 0 || names.some((name) => there.includes(name))) continue;
    return { table, fresh: names[0], live: there[0] };
  }
  return symbol.size === live.size ? undefined : { table, fresh: undefined, live: undefined };
}

/** Names of what a word of a live table leads to. */
function namesAt({ image, address }: LiveSymbol, within: number): string[] {
  const pointer = image.pointerAt(address + within);
  if (!pointer) return [];
  if ('name' in pointer) return [pointer.name];
  const stub = image.stubTarget(pointer.address);
  return [
    ...(stub === undefined ? [] : [stub]),
    ...image.symbolsAt(pointer.address).map(({ name }) => plainName(name)),
  ];
}

/** Without versions, and what compilers append to names that they make local. */
function plainName(name: string): string {
  return name.replace(/(@|\.(localalias|lto_priv|llvm)\b).*$/, '');
}
