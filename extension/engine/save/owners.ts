// Whose definition of a function is the live one? Several units may have one (inline functions, templates, weak
// definitions); the linker kept one of them. The unit that brought it decides what becomes of it. Reads debug
// information; compares nothing.
import type { Image } from '../live/live_image';
import { hasCode, unitWithCode } from '../dwarf/code_ranges';
import { undescribedSources } from '../dwarf/undescribed';
import { unitsOf, type Unit } from '../dwarf/units';
import * as abi from '../elf/constants';
import type { ElfFile } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';
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
  /** The saved file that code of the function is written in; undefined when it is all written in others. */
  savedIn: string | undefined;
  /** Did the build of a unit make the code that is live? Undefined when that is not known. */
  wasLive: (unit: FreshUnit) => boolean | undefined;
}

/** Is this unit's definition the one that the live function is to be compared with? */
export function decides(definition: Definition): boolean {
  const { fn, unit, image, entry, concerned, savedIn, wasLive } = definition;
  const owner = ownerOf(image, entry);
  // A linker takes no second strong definition, and nobody says that another unit has this one.
  if (!owner && fn.symbol.binding === abi.STB_GLOBAL) return true;
  const defining = concerned.filter(({ object }) => object.definition(fn.symbol.name) !== undefined);
  const isCertain = isDescribed(definition);
  const maker = isCertain ? undefined : defining.find((other) => wasLive(other));
  if (maker) return isSame(maker, unit);
  if (owner && isFrom(image, owner, unit)) return isCertain || wasLive(unit) !== false;
  const owning = owner && concerned.find((other) => isFrom(image, owner, other));
  if (owning && defining.includes(owning)) return false;
  // A header has one text for all units. And where the owner has the function no more, a rebuild takes the next one's.
  const isInHeader = savedIn !== undefined && savedIn !== unit.object.source;
  if (owning || isInHeader) return isSame(defining[0], unit);
  if (owner) return false;
  // Nobody says who brought it: one of these, unless their builds made others.
  return isSame(
    defining.find((other) => wasLive(other) !== false),
    unit,
  );
}

const isSame = (one: FreshUnit | undefined, other: FreshUnit): boolean =>
  one?.object.identity === other.object.identity;

/** Is all code of a module in its debug information? Else the unit that brought a function may have none, while that of
 * another, whose copy had the same size, refers to it. */
function isDescribed({ fn, image }: Definition): boolean {
  if (fn.symbol.binding === abi.STB_GLOBAL || image.patch !== undefined) return true;
  return readable(() => undescribedSources(image.elf))?.size === 0;
}

/** The unit that brought the code at an address; undefined without debug information that can be read. */
function ownerOf(image: Image, address: number): Unit | undefined {
  return readable(() => unitWithCode(image.elf, address - image.bias));
}

/** Is a unit of a module or patch the one that a fresh unit was compiled for? */
function isFrom({ elf, patch }: Image, owner: Unit, { object }: FreshUnit): boolean {
  // A patch does not say which of several twins it is of.
  const units = patch === undefined ? liveUnits({ elf }, object) : unitsFrom(elf, object.source);
  return units.some(({ offset }) => offset === owner.offset);
}

/** The units of a module that an object was compiled for; none when its debug information cannot be read. */
export function liveUnits({ elf }: Pick<Image, 'elf'>, { source, twin }: ObjectFile): readonly Unit[] {
  const units = unitsFrom(elf, source);
  return units.length > 1 ? units.slice(twin, twin + 1) : units;
}

/** The units of a patch that an object was compiled for. They lie in the order of the patch's FILE symbols. */
export function patchedUnits({ elf, groups }: Image, { source, identity }: ObjectFile): readonly Unit[] {
  const units = unitsFrom(elf, source);
  const twins = groups.filter(({ name }) => name === source || name.startsWith(`${source}#`));
  const place = twins.findIndex(({ name }) => name === identity);
  return units.length === twins.length ? units.slice(place, place + 1) : units;
}

/** By source. */
const knownUnits = () => new Map<string, readonly Unit[]>();

/** The units of a file that were compiled from a source and have code there, in their order; several when it was compiled
 * several times. None when the debug information cannot be read, which the layout check reports. */
export function unitsFrom(elf: ElfFile, source: string): readonly Unit[] {
  const bySource = elf.derived(knownUnits);
  let units = bySource.get(source);
  if (!units) {
    const all = readable(() => unitsOf(elf, source).map(({ unit }) => unit)) ?? [];
    const present = all.length > 1 ? all.filter((unit) => hasCode(elf, unit)) : all;
    bySource.set(source, (units = present.length > 0 ? present : all.slice(0, 1)));
  }
  return units;
}

/** Undefined when the debug information cannot be read (compressed in a way that is not known). */
export function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof HotPatchError) return undefined;
    throw thrown;
  }
}
