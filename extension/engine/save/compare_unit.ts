// One fresh unit against one module of a process: tells the comparison which code the unit brought there and which of it
// is being edited. Between the steps, which decide when to compare, and compare/, which knows no files.
import { type OwnedCode, UnitComparison } from '../compare/unit';
import type { LiveModule } from '../context';
import { functionLines } from '../dwarf/functions';
import { parseProducer } from '../dwarf/producer';
import { unitsOf, type Unit } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import type { ObjectFunction } from '../elf/object';
import { realPathOrSelf } from '../host';
import type { LiveProcess } from '../live/module_image';
import { HotPatchError } from '../model/errors';
import type { Save } from './progress';
import type { FreshUnit } from './unit';

/** Compares a fresh unit with the code of one module of one process. */
export function compareUnit(
  save: Save,
  module: LiveModule,
  live: LiveProcess,
  unit: FreshUnit,
): UnitComparison {
  const { object } = unit;
  const saved = new Set([object.source, ...save.request.files.map(realPathOrSelf)]);
  const isEdited = (fn: ObjectFunction): boolean => {
    const files = unit.writtenIn(fn);
    // What a library makes of a lambda (std::function's handler) has the lambda's code in it.
    const own = LOCAL_ENTITY.test(fn.symbol.name) ? files : files.slice(0, 1);
    return own.some((file) => saved.has(realPathOrSelf(file)));
  };
  return new UnitComparison(object, live.image, live.bodies, () => {
    const owned = ownedCode(module, object.source);
    return owned && { ...owned, isEdited };
  });
}

/** Names that mention something declared in a function, e.g. a lambda (Itanium C++ ABI, 5.1.6: `Z <encoding> E`). */
const LOCAL_ENTITY = /^_ZZ|^_Z.*Z.*EUl/;

type UnitCode = Omit<OwnedCode, 'isEdited'>;
const ownedCache = new WeakMap<ElfFile, Map<string, UnitCode | undefined>>();

/** What a unit brought to the process, by its debug information. */
function ownedCode(module: LiveModule, source: string): UnitCode | undefined {
  let bySource = ownedCache.get(module.elf);
  if (!bySource) ownedCache.set(module.elf, (bySource = new Map<string, UnitCode | undefined>()));
  const key = `${source}@${module.bias}`;
  if (bySource.has(key)) return bySource.get(key);
  const units = liveUnits(module, source);
  const owned: UnitCode | undefined = units[0] && {
    entries: new Set(
      units.flatMap((unit) =>
        functionLines(module.elf, unit).flatMap(({ address }) => (address ? [address + module.bias] : [])),
      ),
    ),
    functionSections: parseProducer(units[0].producer).options.includes('-ffunction-sections'),
  };
  bySource.set(key, owned);
  return owned;
}

/** The units of a module that were compiled from a source; none when its debug information cannot be read. */
export function liveUnits({ elf }: Pick<LiveModule, 'elf'>, source: string): Unit[] {
  try {
    return unitsOf(elf, source).map(({ unit }) => unit);
  } catch (thrown) {
    // Compressed in a way that cannot be read: as if there were none, which the layout check reports.
    if (thrown instanceof HotPatchError) return [];
    throw thrown;
  }
}
