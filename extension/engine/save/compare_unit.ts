// One fresh unit against one module of a process: tells the comparison which code the unit brought there and which of it
// is being edited. Between the steps, which decide when to compare, and compare/, which knows no files.
import type { ClosureShapes } from '../compare/closures';
import type { UnitFacts } from '../compare/facts';
import { UnitComparison } from '../compare/unit';
import type { LiveModule } from '../context';
import { closureShapes } from '../dwarf/closures';
import { definedVariables, type FunctionStatic, functionStatics } from '../dwarf/function_statics';
import { functionLines } from '../dwarf/functions';
import type { Unit } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { realPathOrSelf } from '../host';
import type { Image, LiveImage } from '../live/live_image';
import type { LiveProcess } from '../live/module_image';
import { builtUnit } from './built_unit';
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
  const saved = new Set([unit.object.source, ...save.request.files.map(realPathOrSelf)]);
  // What a library makes of a type of the program (the functions of its containers) has the type's code in it.
  const savedFileOf = (fn: ObjectFunction): string | undefined =>
    unit
      .writtenIn(fn)
      .map(realPathOrSelf)
      .find((file) => saved.has(file));
  return compareWith(module, live, unit, (fn, image, entry) =>
    decides({
      ...{ fn, image, entry, concerned, unit },
      savedIn: savedFileOf(fn),
      wasLive: (other) => wasLive(module, live, other, fn),
    }),
  );
}

/** Is what the build made of a function in a unit the code that is live under its name? Undefined when the object that
 * the build wrote is not there, or has no such function. */
function wasLive(
  module: LiveModule,
  live: LiveProcess,
  unit: FreshUnit,
  { symbol }: ObjectFunction,
): boolean | undefined {
  const built = builtUnit(unit, module);
  if (!built) return undefined;
  const known = built.object.elf.derived(knownComparisons);
  let comparison = known.get(live.image);
  if (!comparison) known.set(live.image, (comparison = compareWith(module, live, built, () => true)));
  const compared = comparison.functions.find(({ fn }) => fn.aliases.some(({ name }) => name === symbol.name));
  return compared && (compared.status === 'same' || compared.status === 'original');
}

/** By what is live. */
const knownComparisons = () => new Map<LiveImage, UnitComparison>();

function compareWith(
  module: LiveModule,
  live: LiveProcess,
  unit: FreshUnit,
  decides: UnitFacts['decides'],
): UnitComparison {
  const { object, isWanted } = unit;
  const unitsIn = (image: Image): readonly Unit[] =>
    image.patch === undefined ? liveUnits(image, object) : patchedUnits(image, object);
  return new UnitComparison(object, live.image, live.bodies, {
    entries: () => ownEntries(module, object),
    closures: {
      fresh: unit.closures,
      of: (image) => shapesOf(image, object),
    },
    declarations: {
      fresh: unit.statics,
      defined: {
        fresh: unit.defined,
        live: (image) => new Map(unitsIn(image).flatMap((each) => [...definedIn(image.elf, each)])),
      },
      live: (image) => declaredStatics(image.elf, unitsIn(image)),
    },
    decides,
    isUnedited: (fn) => isWanted !== undefined && !isWanted(fn),
  });
}

/** By unit. */
const knownStatics = () => new Map<Unit, readonly FunctionStatic[]>();

/** Statics of functions, as units of a module or patch declare them; none when that cannot be read. */
function declaredStatics(elf: ElfFile, units: readonly Unit[]): FunctionStatic[] {
  const known = elf.derived(knownStatics);
  return units.flatMap((unit) => {
    let statics = known.get(unit);
    if (!statics) known.set(unit, (statics = readable(() => functionStatics(elf, unit)) ?? []));
    return statics;
  });
}

/** The same of all its variables. */
function definedIn(elf: ElfFile, unit: Unit): ReadonlyMap<string, string> {
  return readable(() => definedVariables(elf, unit)) ?? new Map();
}

/** By unit and load bias. */
const knownEntries = () => new Map<string, ReadonlySet<number> | undefined>();

/** Entries of the functions that a unit has in the process, by its debug information. */
export function ownEntries(module: LiveModule, object: ObjectFile): ReadonlySet<number> | undefined {
  const bySource = module.elf.derived(knownEntries);
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

/** By unit. */
const knownShapes = () => new Map<string, ClosureShapes>();

/** The closures of a unit as an image of the process has it. */
function shapesOf(image: Image, object: ObjectFile): ClosureShapes {
  const { elf, patch } = image;
  const bySource = elf.derived(knownShapes);
  if (bySource.has(object.identity)) return bySource.get(object.identity);
  const [unit] = patch === undefined ? liveUnits(image, object) : unitsFrom(elf, object.source);
  const shapes = unit && closureShapes(elf, unit);
  bySource.set(object.identity, shapes);
  return shapes;
}
