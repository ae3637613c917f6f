// One fresh unit against one module of a process: tells the comparison which code the unit brought there and which of it
// is being edited. Between the steps, which decide when to compare, and compare/, which knows no files.
import type { ClosureShapes } from '../compare/closures';
import { UnitComparison } from '../compare/unit';
import type { LiveModule } from '../context';
import { closureShapes } from '../dwarf/closures';
import { type FunctionStatic, functionStatics } from '../dwarf/function_statics';
import { functionLines } from '../dwarf/functions';
import type { Unit } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { realPathOrSelf } from '../host';
import type { Image } from '../live/live_image';
import type { LiveProcess } from '../live/module_image';
import { decides, liveUnits, patchedUnits, readable, unitsFrom } from './owners';
import type { Save } from './progress';
import type { FreshUnit } from './unit';

/** Compares a fresh unit with the code of one module of one process.
 * @param concerned all units of the module that the save concerns */
export function compareUnit(
  save: Save,
  module: LiveModule,
  live: LiveProcess,
  unit: FreshUnit,
  concerned: readonly FreshUnit[],
): UnitComparison {
  const { object } = unit;
  const saved = new Set([object.source, ...save.request.files.map(realPathOrSelf)]);
  const savedFileOf = (fn: ObjectFunction): string | undefined => {
    const files = unit.writtenIn(fn);
    // What a library makes of a lambda (std::function's handler) has the lambda's code in it.
    const own = LOCAL_ENTITY.test(fn.symbol.name) ? files : files.slice(0, 1);
    return own.map(realPathOrSelf).find((file) => saved.has(file));
  };
  return new UnitComparison(object, live.image, live.bodies, {
    entries: () => ownEntries(module, object),
    closures: {
      fresh: unit.closures,
      of: (image) => shapesOf(image, object),
    },
    declarations: {
      fresh: unit.statics,
      live: (image) =>
        image.patch === undefined
          ? declaredStatics(image.elf, liveUnits(image, object))
          : declaredStatics(image.elf, patchedUnits(image, object)),
    },
    decides: (fn, image, entry) => decides({ fn, image, entry, concerned, unit, savedIn: savedFileOf(fn) }),
  });
}

/** Names that mention something declared in a function, e.g. a lambda (Itanium C++ ABI, 5.1.6: `Z <encoding> E`). */
const LOCAL_ENTITY = /^_ZZ|^_Z.*Z.*EUl/;

const staticsCache = new WeakMap<Unit, readonly FunctionStatic[]>();

/** Statics of functions, as units of a module or patch declare them; none when that cannot be read. */
function declaredStatics(elf: ElfFile, units: readonly Unit[]): FunctionStatic[] {
  return units.flatMap((unit) => {
    let statics = staticsCache.get(unit);
    if (!statics) staticsCache.set(unit, (statics = readable(() => functionStatics(elf, unit)) ?? []));
    return statics;
  });
}

const entriesCache = new WeakMap<ElfFile, Map<string, ReadonlySet<number> | undefined>>();

/** Entries of the functions that a unit has in the process, by its debug information. */
export function ownEntries(module: LiveModule, object: ObjectFile): ReadonlySet<number> | undefined {
  let bySource = entriesCache.get(module.elf);
  if (!bySource)
    entriesCache.set(module.elf, (bySource = new Map<string, ReadonlySet<number> | undefined>()));
  const key = `${object.identity}@${module.bias}`;
  if (bySource.has(key)) return bySource.get(key);
  const units = liveUnits(module, object);
  const entries = units.flatMap((unit) =>
    functionLines(module.elf, unit).flatMap(({ address }) => (address ? [address + module.bias] : [])),
  );
  const owned = units.length > 0 ? new Set(entries) : undefined;
  bySource.set(key, owned);
  return owned;
}

const shapesCache = new WeakMap<ElfFile, Map<string, ClosureShapes>>();

/** The closures of a unit as an image of the process has it. */
function shapesOf(image: Image, object: ObjectFile): ClosureShapes {
  const { elf, patch } = image;
  let bySource = shapesCache.get(elf);
  if (!bySource) shapesCache.set(elf, (bySource = new Map<string, ClosureShapes>()));
  if (bySource.has(object.identity)) return bySource.get(object.identity);
  const [unit] = patch === undefined ? liveUnits(image, object) : unitsFrom(elf, object.source);
  const shapes = unit && closureShapes(elf, unit);
  bySource.set(object.identity, shapes);
  return shapes;
}
