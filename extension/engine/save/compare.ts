// The steps `compare` and `layout`: each fresh unit against the code and the types of the process, and what follows from
// the differences (plan.ts). Writes nothing.
import { realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { ownerOf } from '../compare/correlate';
import { compareLayouts, newLayoutCache, type LayoutCache, type LayoutComparison } from '../types/layout';
import { readLiveProcess, type LiveProcess } from '../live/module_image';
import { type OwnedCode, UnitComparison } from '../compare/unit';
import { hasResized } from '../compare/variables';
import type { LiveModule, LiveTarget } from '../context';
import { functionLines } from '../dwarf/functions';
import { parseProducer, type Producer } from '../dwarf/producer';
import { unitsOf, type Unit } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import type { ObjectFunction } from '../elf/object';
import { HotPatchError } from '../model/errors';
import { buildDirectoriesOf, type FreshUnit, readUnit } from './compile';
import { planUnit, type UnitPlan } from './plan';
import type { Save } from './progress';

/** What a save does to one module of one process. */
export interface ModulePlan {
  target: LiveTarget;
  module: LiveModule;
  live: LiveProcess;
  /** Address ranges of all patches the process ever had: one whose code was unmapped may be gone back to. */
  occupied: { start: number; end: number }[];
  units: UnitPlan[];
}

export async function comparePlans(
  save: Save,
  targets: readonly LiveTarget[],
  units: ReadonlyMap<string, FreshUnit>,
): Promise<ModulePlan[]> {
  const plans: ModulePlan[] = [];
  for (const target of targets) {
    const status = await save.client(target).readStatus();
    const occupied = status.patches.map(({ base, length }) => ({
      start: Number(base),
      end: Number(base) + length,
    }));
    for (const { module, units: concerned } of target.modules) {
      const live = readLiveProcess(module, status);
      const plan: ModulePlan = { target, module, live, occupied, units: [] };
      for (const { source, evidence } of concerned) {
        const { unit, comparison } = await save.step('compare', () =>
          chooseCommand(save, module, live, units.get(source)!),
        );
        // A file of that name is in the module, which has no debug information: is it this one?
        const { database } = unit.compiled.entry;
        if (
          evidence === 'file-symbol' &&
          agreement(comparison) === 0 &&
          !module.path.startsWith(`${dirname(database)}/`)
        )
          throw new HotPatchError(
            'no-process',
            `${module.path} (process ${target.process.pid}) has a file named ${basename(source)} and no debug information, and none of its functions is as in ${source}: build it with -g`,
            { file: source, pid: target.process.pid },
          );
        save.fresh.set(comparison.object, unit);
        const layout = await save.step('layout', () =>
          Promise.resolve(checkLayout(module, unit, comparison)),
        );
        const wanted = await wantedFunctions(save, unit);
        const planned = planUnit(comparison, {
          layout,
          producers: producersOf(module, unit),
          locate: save.locate,
          wanted,
        });
        save.refusals.push(...planned.problems.map((problem) => ({ pid: target.process.pid, ...problem })));
        save.warnings.push(...planned.warnings);
        plan.units.push(planned);
      }
      plans.push(plan);
    }
  }
  return plans;
}

/** Compares; with several commands for one source, uses the one that comes closest to the running code. */
async function chooseCommand(
  save: Save,
  module: LiveModule,
  live: LiveProcess,
  first: FreshUnit,
): Promise<{ unit: FreshUnit; comparison: UnitComparison }> {
  let best = { unit: first, comparison: compare(save, module, live, first) };
  if (agreement(best.comparison) > 0.5) return best;
  const { source } = first.compiled;
  for (const entry of save.context.compile.entriesFor(source, buildDirectoriesOf(module, source)).slice(1)) {
    let unit: FreshUnit;
    try {
      unit = readUnit(await save.context.compile.compileUnit(entry, { signal: save.request.signal }));
    } catch (thrown) {
      save.context.log('info', `another command of ${entry.source} does not compile: ${String(thrown)}`);
      continue;
    }
    const comparison = compare(save, module, live, unit);
    if (agreement(comparison) > agreement(best.comparison)) best = { unit, comparison };
  }
  return best;
}

export function compare(save: Save, module: LiveModule, live: LiveProcess, unit: FreshUnit): UnitComparison {
  const { object } = unit;
  const saved = new Set([object.source, ...save.request.files.map(realPath)]);
  const isEdited = (fn: ObjectFunction): boolean => {
    const files = unit.writtenIn(fn);
    // What a library makes of a lambda (std::function's handler) has the lambda's code in it.
    const own = LOCAL_ENTITY.test(fn.symbol.name) ? files : files.slice(0, 1);
    return own.some((file) => saved.has(realPath(file)));
  };
  return new UnitComparison(object, live.image, live.bodies, () => {
    const owned = ownedCode(module, object.source);
    return owned && { ...owned, isEdited };
  });
}

/** Names that mention something declared in a function, e.g. a lambda (Itanium C++ ABI, 5.1.6: `Z <encoding> E`). */
const LOCAL_ENTITY = /^_ZZ|^_Z.*Z.*EUl/;

function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

/** Part of the functions that are in the process and are as they are there. */
function agreement(comparison: UnitComparison): number {
  const known = comparison.functions.filter(({ live }) => live !== undefined);
  if (known.length === 0) return 0;
  return known.filter(({ status }) => status === 'same' || status === 'original').length / known.length;
}

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

function liveUnits({ elf }: Pick<LiveModule, 'elf'>, source: string): Unit[] {
  try {
    return unitsOf(elf, source).map(({ unit }) => unit);
  } catch (thrown) {
    // Compressed in a way that cannot be read: as if there were none, which the layout check reports.
    if (thrown instanceof HotPatchError) return [];
    throw thrown;
  }
}

function producersOf(module: LiveModule, unit: FreshUnit): { fresh: Producer; live: Producer } | undefined {
  const fresh = unit.producer();
  const live = liveUnits(module, unit.compiled.source)[0];
  return fresh && live && { fresh, live: parseProducer(live.producer) };
}

const layoutCaches = new WeakMap<ElfFile, LayoutCache>();

/** Types matter only when something will be patched, or a variable was seen to have changed. Compared with the unit as
 * it was built, and as it was last patched: objects of types that came since exist as well. */
function checkLayout(
  module: LiveModule,
  unit: FreshUnit,
  comparison: UnitComparison,
): LayoutComparison | undefined {
  if (!comparison.functions.some(({ status }) => status === 'changed') && !hasResized(comparison))
    return undefined;
  const { source } = unit.compiled;
  const against = (elf: ElfFile, units: readonly Unit[]): LayoutComparison => {
    let cache = layoutCaches.get(elf);
    if (!cache) layoutCaches.set(elf, (cache = newLayoutCache()));
    return compareLayouts({ elf, units }, { elf: unit.object.elf }, { cache, constantsAreCopied: true });
  };
  const built = against(module.elf, liveUnits(module, source));
  // Each save was compared with the one before it, so the last one stands for them all.
  const last = comparison.live.patches.findLast(({ groups }) => groups.some(({ name }) => name === source));
  const units = last ? liveUnits(last, source) : [];
  if (!last || units.length === 0) return built;
  return { ...built, problems: [...built.problems, ...against(last.elf, units).problems] };
}

/** With --function: only that one. One that has no body of its own lives in its callers, so all are taken. */
async function wantedFunctions(save: Save, unit: FreshUnit): Promise<(fn: ObjectFunction) => boolean> {
  const { functionName } = save.request;
  if (functionName === undefined) return () => true;
  const symbols = unit.object.functions.map(({ symbol }) => symbol.name);
  const names = await save.context.demangle(symbols);
  const matching = new Set(symbols.filter((symbol, i) => isNamed(symbol, names[i]!, functionName)));
  if (matching.size > 0) {
    save.namedFunction = true;
    return (fn) => fn.aliases.some((alias) => matching.has(alias.name)) || isPartOf(fn, matching);
  }
  if ([...unit.places().values()].some((place) => isNamed(place.symbol, place.name, functionName)))
    save.namedFunction = true;
  return () => true;
}

function isNamed(symbol: string, demangled: string, wanted: string): boolean {
  const bare = demangled.replace(/\(.*$/, '');
  return (
    symbol === wanted ||
    demangled === wanted ||
    bare === wanted ||
    bare.endsWith(`::${wanted}`) ||
    bare === wanted.replace(/\(.*$/, '')
  );
}

function isPartOf(fn: ObjectFunction, symbols: ReadonlySet<string>): boolean {
  const owner = ownerOf(fn.symbol.name) ?? fn.symbol.name;
  return symbols.has(owner.replace(/\.(part|isra|constprop)\b.*$/, ''));
}
