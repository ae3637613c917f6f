// The steps `compare` and `layout`: each fresh unit against the code and the types of the process, and what follows from
// the differences (plan.ts). Writes nothing.
import { basename, dirname } from 'node:path';
import { ownerOf } from '../compare/correlate';
import type { Definers } from '../types/declared_otherwise';
import { compareLayouts, type LayoutComparison } from '../types/layout';
import { newLayoutCache } from '../types/live_program';
import type { Image } from '../live/live_image';
import { type LiveProcess, readLiveProcess } from '../live/module_image';
import type { UnitComparison } from '../compare/unit';
import { changedStorage } from '../compare/storage';
import { hasResized } from '../compare/variables';
import { changedVirtualTables } from '../compare/virtual_tables';
import type { LiveModule, LiveTarget, LiveUnit } from '../context';
import { parseProducer, type Producer } from '../dwarf/producer';
import { producerOf } from '../dwarf/split';
import type { Unit } from '../dwarf/units';
import * as abi from '../elf/constants';
import type { ElfFile } from '../elf/file';
import { LEFT_OUT, type ObjectFile, type ObjectFunction } from '../elf/object';
import { look, readTextIfThere } from '../host';
import { HotPatchError } from '../model/errors';
import type { Problem } from '../model/result';
import { isOfSystem } from '../process/modules';
import { agreement, chooseCommand } from './choose_command';
import { isBuildOfProcess } from './command_fit';
import { judgeMembersInPadding } from './members_in_padding';
import { Migrations, withLiveLayouts } from './migrations';
import { liveUnits, patchedUnits } from './owners';
import { buildDiffers, type PlanOptions, planUnit } from './plan';
import type { Save } from './progress';
import { separateSignatures } from './signatures';
import { twinUnits } from './twins';
import { judgePassedOtherwise } from './undescribed_calls';
import type { FreshUnit, ModulePlan, UnitPlan } from './unit';

/** A unit on its way through the comparison. */
interface ComparedUnit extends Pick<PlanOptions, 'producers' | 'foreignBuild' | 'wanted'> {
  unit: FreshUnit;
  comparison: UnitComparison;
  layout: LayoutComparison | undefined;
  separated: readonly ObjectFunction[];
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
    const modules = await save.context.processes.modules(target.process.pid);
    const program = modules.filter(({ path }) => !isOfSystem(path)).map(({ elf }) => elf);
    for (const { module, units: concerned } of target.modules) {
      const live = readLiveProcess(save.context.patchFiles, module, status);
      const plan: ModulePlan = { target, module, modules, live, concerned: [], occupied, units: [] };
      const fresh: { unit: FreshUnit; evidence: LiveUnit['evidence'] }[] = [];
      for (const { source, evidence } of concerned) {
        const twins = await save.step('compare', () => twinUnits(save, plan, units.get(source)!));
        fresh.push(...twins.map((unit) => ({ unit, evidence })));
      }
      const migrations = new Migrations(save, plan);
      const layouts = new Map((status.layouts ?? []).map(({ type, layout }) => [type, layout]));
      plan.concerned = fresh.map(({ unit }) => unit);
      const compared: ComparedUnit[] = [];
      for (const { unit: first, evidence } of fresh) {
        const { unit, comparison } = await save.step('compare', () => chooseCommand(save, plan, first));
        requireOwn(plan, unit, comparison, evidence);
        save.fresh.set(comparison.object, unit);
        const producers = producersOf(module, unit);
        const isBuild = (): boolean => isBuildOfProcess(save, plan, unit);
        const foreignBuild = buildDiffers(comparison, producers, isBuild);
        const wanted = unit.isWanted ?? (await wantedFunctions(save, unit));
        compared.push({
          unit,
          comparison,
          producers,
          foreignBuild,
          wanted,
          layout: undefined,
          separated: [],
        });
      }
      const isSaved = (symbol: string): boolean =>
        [...units.values()].some(({ object }) => object.definition(symbol) !== undefined);
      const checkLayouts = (): Promise<void> =>
        save.step('layout', async () => {
          for (const one of compared)
            one.layout ??= await checkLayout(save, plan, one.unit, one.comparison, {
              program,
              layouts,
              isSaved,
            });
        });
      await checkLayouts();
      for (const one of compared)
        if (one.foreignBuild === undefined)
          one.separated = separateSignatures(one.comparison, one.layout, one.wanted);
      // From here on it is known which functions are not those of their name in the process.
      const definitions = new Map(compared.flatMap(({ comparison }) => comparison.ambiguous()));
      if (definitions.size > 0) {
        for (const { comparison } of compared) comparison.useDefinitions(definitions);
        await checkLayouts();
      }
      // What calls one of another unit of the save differs as well.
      for (const { unit, comparison, ...known } of compared) {
        const planned = planUnit(comparison, {
          ...known,
          locate: save.locate,
          declaredIn: unit.declaredIn,
        });
        planned.problems.push(...(await storageProblems(save, comparison)));
        if (planned.problems.length === 0)
          planned.problems.push(...(await virtualTableProblems(save, comparison)));
        migrations.take(planned, known.layout?.layouts ?? []);
        save.refusals.push(...planned.problems.map((problem) => ({ pid: target.process.pid, ...problem })));
        save.warnings.push(...planned.warnings);
        plan.units.push(planned);
      }
      const isAnythingDone = ({ fixes, start, reverts }: UnitPlan): boolean =>
        fixes.length + start.length + reverts.length > 0;
      // A caller that is refused is no caller elsewhere.
      if (!plan.units.some((unit) => isAnythingDone(unit) || unit.problems.length > 0))
        save.refusals.push(...(await callersElsewhere(save, plan)));
      // Only now is it known what the save does to all code of the module.
      save.refusals.push(...migrations.settle().map((problem) => ({ pid: target.process.pid, ...problem })));
      plans.push(plan);
    }
  }
  return plans;
}

/** A file of that name is in the module, which has no debug information: is it this one?
 * Throws HotPatchError no-process when it is another. */
function requireOwn(
  { module, target }: ModulePlan,
  { compiled: { source, entry } }: FreshUnit,
  comparison: UnitComparison,
  evidence: LiveUnit['evidence'],
): void {
  if (
    evidence === 'file-symbol' &&
    agreement(comparison) === 0 &&
    !module.path.startsWith(`${dirname(entry.database)}/`)
  )
    throw new HotPatchError(
      'no-process',
      `${module.path} (process ${target.process.pid}) has a file named ${basename(source)} and no debug information, and none of its functions is as in ${source}: build it with -g`,
      { file: source, pid: target.process.pid },
    );
}

/** Functions of another signature, where a save does nothing else: it would leave all as it was, and say so. */
async function callersElsewhere(save: Save, { target, units }: ModulePlan): Promise<Problem[]> {
  const kept = units.flatMap(({ warnings }) => warnings.filter(({ code }) => code === 'signature-changed'));
  const names = await save.context.demangle(kept.map(({ symbol }) => symbol!));
  return kept.map((warning, i) => ({
    ...warning,
    code: 'callers-elsewhere',
    message: `${names[i]!} has another signature than in the running process, and nothing in this save calls it: save the files that call it as well`,
    pid: target.process.pid,
  }));
}

/** Names for people the variables that became thread_local, or are no more. */
async function storageProblems(save: Save, comparison: UnitComparison): Promise<Problem[]> {
  const changed = changedStorage(comparison);
  const names = await save.context.demangle(changed.map(({ name }) => name));
  return changed.map(({ name, type }, i) => {
    const difference =
      type === abi.STT_TLS
        ? 'is thread_local now, in the running process all threads share one'
        : 'is not thread_local any more, in the running process each thread has its own';
    return {
      code: 'variable-changed',
      message: `Variable \`${names[i]!}\` ${difference}: give the new one another name, or restart the program`,
      symbol: name,
      ...save.locate(comparison.object, name),
    };
  });
}

/** Names for people what changed in virtual tables, at the function that is there now. */
async function virtualTableProblems(save: Save, comparison: UnitComparison): Promise<Problem[]> {
  const changed = changedVirtualTables(comparison);
  const names = await save.context.demangle(
    changed.flatMap(({ table, fresh, live }) => [table, fresh ?? '', live ?? '']),
  );
  return changed.map(({ table, fresh }, i) => {
    const [name, now, then] = names.slice(3 * i, 3 * i + 3);
    const difference =
      fresh === undefined
        ? 'has another number of entries in the process'
        : `has ${now} where that of the process has ${then}`;
    return {
      code: 'layout-changed',
      message: `The ${name} ${difference}: objects that exist would go on using the old one`,
      symbol: table,
      ...save.locate(comparison.object, fresh ?? table),
    };
  });
}

function producersOf(module: LiveModule, unit: FreshUnit): { fresh: Producer; live: Producer } | undefined {
  const fresh = unit.producer();
  const live = liveUnits(module, unit.object)[0];
  if (!fresh || !live) return undefined;
  const producer = producerOf(module.elf, live);
  // Where nobody knows any more how it was built, the command is all there is to go by.
  return { fresh, live: producer === '' ? fresh : parseProducer(producer) };
}

/** Types matter only when something will be patched, or a variable was seen to have changed. Compared with the unit as
 * it was built, and as it was last patched: objects of types that came since exist as well.
 * @param known.program its modules
 * @param known.layouts of types that were migrated
 * @param known.isSaved does a unit of the save define a symbol? */
async function checkLayout(
  save: Save,
  { module, live }: ModulePlan,
  unit: FreshUnit,
  comparison: UnitComparison,
  {
    program,
    layouts,
    isSaved,
  }: {
    program: readonly ElfFile[];
    layouts: ReadonlyMap<string, string>;
    isSaved: (symbol: string) => boolean;
  },
): Promise<LayoutComparison | undefined> {
  if (!comparison.functions.some(({ status }) => status === 'changed') && !hasResized(comparison))
    return undefined;
  const all = [...program, ...live.image.patches.map((patch) => patch.elf)];
  const text = unit.text ?? readTextIfThere(unit.compiled.source);
  const mayDiffer = (header: string, { path }: ElfFile): boolean => {
    const [written, built] = [look(header), look(path)];
    return !written || !built || written.mtimeMs >= built.mtimeMs;
  };
  const against = (
    elf: ElfFile,
    units: readonly Unit[],
    membersMayGo: boolean,
    definers?: Definers,
  ): LayoutComparison => {
    const others = all.filter((other) => other !== elf);
    const cache = elf.derived(newLayoutCache);
    const options = { cache, constantsAreCopied: true, membersMayGo, others, definers, text, mayDiffer };
    return compareLayouts({ elf, units }, { elf: unit.object.elf }, options);
  };
  // The module's own name comes before those that patches brought (LiveImage.global).
  const files = [module.elf, ...live.image.patches.map((patch) => patch.elf), ...program];
  const built = against(module.elf, liveUnits(module, unit.object), false, { files, isSaved });
  // What a patch put into padding may be taken out again: the rest of the type is as it was built.
  const since = patchesSinceWhole(live, unit.object).flatMap((patch) => {
    const units = patchedUnits(patch, unit.object);
    return units.length > 0 ? [against(patch.elf, units, true)] : [];
  });
  const inPadding = new Map(
    [built, ...since].flatMap((one) => one.inPadding.map((members) => [members.type, members])),
  );
  const judged = judgeMembersInPadding(save, module.elf, live, [...inPadding.values()]);
  const passed = new Map(
    [built, ...since].flatMap((one) => one.passedOtherwise.map((type) => [type.name, type])),
  );
  const passing = await judgePassedOtherwise(save, [...all, unit.object.elf], [...passed.values()]);
  return {
    ...built,
    problems: [...withLiveLayouts([built, ...since], layouts), ...judged.problems, ...passing.problems],
    layouts: [built, ...since].flatMap((one) => one.layouts),
    warnings: [...built.warnings, ...judged.warnings, ...passing.warnings],
  };
}

/** The last patch of a unit that was compiled whole, and those of reduced units since. Each save was compared with the
 * one before it, so they stand for them all. */
export function patchesSinceWhole(
  { image, bodies }: LiveProcess,
  { identity }: Pick<ObjectFile, 'identity'>,
): Image[] {
  const groupOf = ({ groups }: Image) => groups.find(({ name }) => name === identity);
  // The runtime may have had to keep one of a save that failed.
  const wasLive = ({ fixes }: Image): boolean =>
    fixes.length === 0 ||
    fixes.some(({ entry, body }) => bodies.get(entry)?.versions.some(({ address }) => address === body));
  const all = image.patches.filter((patch) => groupOf(patch) !== undefined && wasLive(patch));
  const whole = all.findLastIndex((patch) => !groupOf(patch)!.symbols.some(({ name }) => name === LEFT_OUT));
  return all.slice(Math.max(whole, 0));
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

/** Does a user's word mean this function: its symbol, or its name with or without parameters and what qualifies it? */
export function isNamed(symbol: string, demangled: string, wanted: string): boolean {
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
