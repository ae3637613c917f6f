// The units of a save as each process is to run them: functions that were taken out of the optimisation for debugging stay
// so in the process in which they are. Compiles and compares for each group of processes that have the same. Writes nothing.
import type { CompileContext, LiveTarget } from '../context';
import type { Image } from '../live/live_image';
import { readLiveProcess } from '../live/module_image';
import { HotPatchError } from '../model/errors';
import { type Mark, marksThatRun, readMarks } from '../patch_format/marks';
import { comparePlans, isNamed } from './compare';
import { compileUnits } from './compile';
import { compileDeoptimised, deoptimise, unqualified } from './deoptimised_unit';
import { FEWEST_UNITS, lookForRefusal } from './early_refusal';
import type { Save } from './progress';
import { sourcesOf } from './remember';
import type { FreshUnit, ModulePlan } from './unit';

/** Functions that are not optimised, by source. */
type Deoptimised = ReadonlyMap<string, ReadonlySet<string>>;

/** Processes with the units that were compiled for them. */
export interface Variant {
  targets: LiveTarget[];
  units: Map<string, FreshUnit>;
}

/** @param compileUnit how those are compiled that are optimised as the build does it
 * @param toRefusal no further than to the first unit that refuses the save, which then says why
 * @param meanwhile is called with the processes whose units are being compiled
 * Throws what compileUnits throws, and HotPatchError unknown-function and cannot-deoptimise. */
export async function compileVariants(
  save: Save,
  targets: readonly LiveTarget[],
  {
    compileUnit = (entry, request) => save.context.compile.compileUnit(entry, request),
    toRefusal = false,
    meanwhile,
  }: {
    compileUnit?: CompileContext['compileUnit'];
    toRefusal?: boolean;
    meanwhile?: (targets: readonly LiveTarget[]) => void;
  } = {},
): Promise<Variant[]> {
  const { deoptimise: wanted, files } = save.request;
  const groups = await groupsOf(save, targets);
  const variants = await Promise.all(
    groups.map(async ({ targets: some, deoptimised }): Promise<Variant> => {
      const sources = new Set(sourcesOf(some));
      const units = await compileUnits(
        save,
        some,
        (entry, request = {}) => {
          const symbols = deoptimised.get(entry.source);
          return symbols ? compileDeoptimised(save, entry, symbols, request) : compileUnit(entry, request);
        },
        toRefusal && sources.size >= FEWEST_UNITS ? lookForRefusal(save, some) : undefined,
        () => meanwhile?.(some),
      );
      return { targets: some, units };
    }),
  );
  if (wanted === undefined || save.refusals.length > 0) return variants;
  let isFound = false;
  for (const { units } of variants)
    for (const [source, unit] of units) {
      const changed = await save.step('compile', () =>
        deoptimise(save, unit, wanted, (symbol, demangled, name) => isMeant(wanted, symbol, demangled, name)),
      );
      if (!changed) continue;
      isFound = true;
      units.set(source, changed);
    }
  if (!isFound) throw unknown(files, wanted);
  return variants;
}

export async function compareVariants(save: Save, variants: readonly Variant[]): Promise<ModulePlan[]> {
  const plans: ModulePlan[] = [];
  for (const { targets, units } of variants) plans.push(...(await comparePlans(save, targets, units)));
  return plans;
}

/** @param name as debug information has it, where it has no other */
function isMeant(wanted: string, symbol: string, demangled: string, name?: string): boolean {
  if (isNamed(symbol, demangled, wanted) || unqualified(demangled) === wanted) return true;
  // Of a local function debug information has the unqualified name alone.
  return symbol === name && name === wanted.replace(/\(.*$/, '').split('::').at(-1);
}

function unknown(files: readonly string[], name: string, what = ''): HotPatchError {
  const message = `${files.join(', ')} has no function ${name}${what}`;
  return new HotPatchError('unknown-function', message, { file: files[0] });
}

async function groupsOf(
  save: Save,
  targets: readonly LiveTarget[],
): Promise<{ targets: LiveTarget[]; deoptimised: Deoptimised }[]> {
  const { optimise, files } = save.request;
  const groups = new Map<string, { targets: LiveTarget[]; deoptimised: Deoptimised }>();
  let isFound = false;
  for (const target of targets) {
    const marks = await marksOf(save, target);
    const names = await save.context.demangle(marks.map(({ symbol }) => symbol));
    const deoptimised = new Map<string, Set<string>>();
    for (const [index, { unit, symbol }] of marks.entries()) {
      if (optimise !== undefined && isMeant(optimise, symbol, names[index]!)) {
        isFound = true;
        continue;
      }
      const source = unit.replace(/#\d+$/, '');
      deoptimised.set(source, (deoptimised.get(source) ?? new Set()).add(symbol));
    }
    const key = JSON.stringify(
      [...deoptimised].map(([source, symbols]) => [source, ...[...symbols].sort()]).sort(),
    );
    const group = groups.get(key);
    if (group) group.targets.push(target);
    else groups.set(key, { targets: [target], deoptimised });
  }
  if (optimise !== undefined && !isFound) throw unknown(files, optimise, ' that is at -O0 for debugging');
  return [...groups.values()];
}

/** What is not optimised in a process, of the units that the save concerns. */
async function marksOf(save: Save, target: LiveTarget): Promise<Mark[]> {
  const status = await save.client(target).readStatus();
  if (status.functions.every(({ version }) => version === 0)) return [];
  const patches = new Map<number, Image>();
  for (const { module } of target.modules)
    for (const image of readLiveProcess(save.context.patchFiles, module, status).image.patches)
      patches.set(image.patch!, image);
  const concerned = new Set(target.modules.flatMap(({ units }) => units.map(({ source }) => source)));
  const marksIn = (patch: number): readonly Mark[] => {
    const elf = patches.get(patch)?.elf;
    return elf ? elf.derived(readMarks) : [];
  };
  return marksThatRun(status, marksIn).filter(({ unit }) => concerned.has(unit.replace(/#\d+$/, '')));
}
