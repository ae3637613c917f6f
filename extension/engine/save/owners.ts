// Whose definition of a function is the live one? Several units may have one (inline functions, templates, weak
// definitions); the linker kept one of them. The unit that brought it decides what becomes of it. Reads debug
// information; compares nothing.
import type { Image } from '../live/live_image';
import { unitWithCode } from '../dwarf/code_ranges';
import { unitsOf, type Unit } from '../dwarf/units';
import * as abi from '../elf/constants';
import type { ElfFile } from '../elf/file';
import type { ObjectFunction } from '../elf/object';
import { HotPatchError } from '../model/errors';
import type { FreshUnit } from './unit';

export interface Definition {
  fn: ObjectFunction;
  unit: FreshUnit;
  /** Where the live function is. */
  image: Image;
  entry: number;
  /** All units of the module that the save concerns. */
  concerned: readonly FreshUnit[];
  /** The saved file that the function is written in; undefined when it is written in another. */
  savedIn: string | undefined;
}

/** Source of the unit whose definition the live one is to be compared with; undefined: none that the save concerns. */
export function decidingUnit(definition: Definition): string | undefined {
  const { fn, unit, image, entry, concerned, savedIn } = definition;
  const owner = ownerOf(image, entry);
  // A linker takes no second strong definition, and nobody says that another unit has this one.
  if (!owner && fn.symbol.binding === abi.STB_GLOBAL) return unit.object.source;
  const { source } = unit.object;
  if (owner && isFrom(image, owner, source)) return source;
  const defining = concerned.filter(({ object }) => isDefined(object.definition(fn.symbol.name)));
  const owning = owner && concerned.find(({ object }) => isFrom(image, owner, object.source));
  if (owning && defining.includes(owning)) return owning.object.source;
  // A header has one text for all units. And where the owner has the function no more, a rebuild takes the next one's.
  const isInHeader = savedIn !== undefined && savedIn !== source;
  if (owning || isInHeader || (!owner && savedIn !== undefined)) return defining[0]?.object.source;
  return undefined;
}

function isDefined(symbol: { section: number } | undefined): boolean {
  return symbol !== undefined && symbol.section !== abi.SHN_UNDEF;
}

/** The unit that brought the code at an address; undefined without debug information that can be read. */
function ownerOf(image: Image, address: number): Unit | undefined {
  try {
    return unitWithCode(image.elf, address - image.bias);
  } catch (thrown) {
    if (thrown instanceof HotPatchError) return undefined;
    throw thrown;
  }
}

const known = new WeakMap<ElfFile, Map<string, ReadonlySet<number>>>();

/** Was a unit compiled from a source? */
function isFrom({ elf }: Image, unit: Unit, source: string): boolean {
  let bySource = known.get(elf);
  if (!bySource) known.set(elf, (bySource = new Map<string, ReadonlySet<number>>()));
  let offsets = bySource.get(source);
  if (!offsets)
    bySource.set(source, (offsets = new Set(unitsOf(elf, source).map((match) => match.unit.offset))));
  return offsets.has(unit.offset);
}
