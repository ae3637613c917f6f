// The way of a save, from top to bottom: find the processes, compile the units, compare with the code that runs,
// check that the edit is safe, link a patch beside each module, deliver it. Each step is one call; the comment under
// it says what holds from there on. Everything that decides is in the steps' own files.
import { mkdirSync, rmSync, writeFileSync, renameSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { CompileError } from './compile/compiler';
import { compareLayouts, newLayoutCache, type LayoutCache, type LayoutComparison } from './compare/layout';
import { readLiveProcess, type LiveProcess } from './compare/live_process';
import { type OwnedCode, UnitComparison } from './compare/unit';
import { hasResized } from './compare/variables';
import type {
  CompiledUnit,
  CompileEntry,
  EngineContext,
  LiveModule,
  LiveTarget,
  RuntimeClient,
} from './context';
import type { PatchRequest, Target } from './engine';
import { parseProducer, type Producer } from './dwarf/producer';
import { functionLines, type FunctionPlace } from './dwarf/functions';
import { readUnits, unitsOf, type Unit } from './dwarf/units';
import { ElfFile } from './elf/file';
import { ObjectFile, type ObjectFunction } from './elf/object';
import { ImportResolver } from './link/imports';
import { IndirectAccessNeeded, Link } from './link/link';
import { Selection, type Locate } from './link/select';
import { HotPatchError, toProblem } from './model/errors';
import type {
  ChangedFunction,
  CheckReport,
  CompilerDiagnostic,
  Outcome,
  PatchResult,
  Problem,
  ProcessResult,
  Step,
} from './model/result';
import { planUnit, type UnitPlan } from './plan';
import { findGap } from './process/maps';
import { isBreakpoint } from './x86/instructions';

/** A unit, compiled and read. */
interface FreshUnit {
  compiled: CompiledUnit;
  object: ObjectFile;
  /** Where its functions and variables are declared; read when the first message needs it. */
  places: () => Map<string, FunctionPlace>;
  producer: () => Producer | undefined;
}

/** What a save does to one module of one process. */
interface ModulePlan {
  target: LiveTarget;
  module: LiveModule;
  live: LiveProcess;
  /** Address ranges of all patches the process ever had: one whose code was unmapped may be gone back to. */
  occupied: { start: number; end: number }[];
  units: UnitPlan[];
}

interface PatchFile {
  plan: ModulePlan;
  link: Link | undefined;
  reverts: number[];
}

/** The library's data is too far to be addressed directly: go through the GOT (gcc 12 and later; clang; any). */
const INDIRECT_FLAGS = [
  ['-mno-direct-extern-access'],
  ['-fno-direct-access-external-data'],
  ['-fPIC', '-fno-semantic-interposition'],
];
const PLACEMENT_TRIES = 4;
/** How long to wait for a caller that relies on old code to return, and how often to look. */
const QUIESCENCE_TRIES = 20;
const QUIESCENCE_PAUSE = 100;

export async function patchProcesses(context: EngineContext, request: PatchRequest): Promise<PatchResult> {
  const save = new Save(context, request);
  try {
    const targets = await save.step('find-process', () =>
      context.processes.targets(request.files, request.target),
    );
    // Every process that runs code of the files is known, with its modules and the units in them.
    const units = await compileUnits(save, targets);
    // Each unit is an object made by the build's own command.
    const plans = await comparePlans(save, targets, units);
    // It is known what differs from the code that runs, and what of that may be patched.
    if (save.refusals.length > 0) return await save.finish('refused', plans);
    const patches = await linkPatches(save, plans);
    // Every reference of the new code has its place in each process. Nothing was written so far.
    if (request.dryRun || patches.every(isEmpty))
      return await save.finish(isAnythingNew(patches), plans, request.dryRun);
    await deliver(save, patches);
    // Each process runs either all of the save or, after a failure, none of it.
    return await save.finish(isAnythingNew(patches), plans);
  } catch (thrown) {
    return save.fail(thrown);
  }
}

// --- find-command, compile, read -----------------------------------------------------------------------------------

/** Objects of all units that a save concerns, by source. Several commands for one source are tried in their order
 * when the comparison needs another one. */
async function compileUnits(save: Save, targets: readonly LiveTarget[]): Promise<Map<string, FreshUnit>> {
  const sources = new Set(
    targets.flatMap(({ modules }) => modules.flatMap(({ units }) => units.map(({ source }) => source))),
  );
  const entries = await save.step('find-command', () =>
    Promise.resolve([...sources].map((source) => save.context.compile.entriesFor(source)[0]!)),
  );
  const compiled = await save.step('compile', () => compileAll(save, entries));
  return save.step('read', () =>
    Promise.resolve(new Map(compiled.map((unit) => [unit.source, readUnit(unit)] as const))),
  );
}

/** All of them, so that every unit's messages are shown; fails with the first failure. */
async function compileAll(save: Save, entries: readonly CompileEntry[]): Promise<CompiledUnit[]> {
  const results = await Promise.allSettled(
    entries.map((entry) => {
      save.progress('compile', entry.source);
      return save.context.compile.compileUnit(entry, { signal: save.request.signal });
    }),
  );
  const failures: unknown[] = [];
  const compiled: CompiledUnit[] = [];
  for (const result of results) {
    if (result.status === 'rejected') failures.push(result.reason);
    else {
      compiled.push(result.value);
      save.diagnostics.push(...result.value.diagnostics);
    }
  }
  for (const failure of failures)
    if (failure instanceof CompileError) save.diagnostics.push(...failure.diagnostics);
  if (failures.length > 0) throw failures[0];
  return compiled;
}

function readUnit(compiled: CompiledUnit): FreshUnit {
  const elf = ElfFile.parse(compiled.object, readFileSync(compiled.object));
  const object = new ObjectFile(elf, compiled.source);
  let places: Map<string, FunctionPlace> | undefined;
  return {
    compiled,
    object,
    places: () => (places ??= placesOf(elf)),
    producer: () => {
      const unit = readUnits(elf)[0];
      return unit && parseProducer(unit.producer);
    },
  };
}

function placesOf(elf: ElfFile): Map<string, FunctionPlace> {
  const places = new Map<string, FunctionPlace>();
  for (const unit of readUnits(elf))
    for (const place of functionLines(elf, unit)) {
      const known = places.get(place.symbol);
      if (!known || (known.address === undefined && place.address !== undefined))
        places.set(place.symbol, place);
    }
  return places;
}

// --- compare, layout -----------------------------------------------------------------------------------------------

async function comparePlans(
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
  let best = { unit: first, comparison: compare(module, live, first.object) };
  if (agreement(best.comparison) > 0.5) return best;
  for (const entry of save.context.compile.entriesFor(first.compiled.source).slice(1)) {
    let unit: FreshUnit;
    try {
      unit = readUnit(await save.context.compile.compileUnit(entry, { signal: save.request.signal }));
    } catch (thrown) {
      save.context.log('info', `another command of ${entry.source} does not compile: ${String(thrown)}`);
      continue;
    }
    const comparison = compare(module, live, unit.object);
    if (agreement(comparison) > agreement(best.comparison)) best = { unit, comparison };
  }
  return best;
}

function compare(module: LiveModule, live: LiveProcess, object: ObjectFile): UnitComparison {
  return new UnitComparison(object, live.image, live.bodies, () => ownedCode(module, object.source));
}

/** Part of the functions that are in the process and are as they are there. */
function agreement(comparison: UnitComparison): number {
  const known = comparison.functions.filter(({ live }) => live !== undefined);
  if (known.length === 0) return 0;
  return known.filter(({ status }) => status === 'same' || status === 'original').length / known.length;
}

const ownedCache = new WeakMap<ElfFile, Map<string, OwnedCode | undefined>>();

/** What a unit brought to the process, by its debug information. */
function ownedCode(module: LiveModule, source: string): OwnedCode | undefined {
  let bySource = ownedCache.get(module.elf);
  if (!bySource) ownedCache.set(module.elf, (bySource = new Map<string, OwnedCode | undefined>()));
  const key = `${source}@${module.bias}`;
  if (bySource.has(key)) return bySource.get(key);
  const units = liveUnits(module, source);
  const owned: OwnedCode | undefined = units[0] && {
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
  return symbols.has(fn.symbol.name.replace(/\.(cold|part|isra|constprop)\b.*$/, ''));
}

// --- link ------------------------------------------------------------------------------------------------------------

async function linkPatches(save: Save, plans: readonly ModulePlan[]): Promise<PatchFile[]> {
  if (save.request.functionName !== undefined && !save.namedFunction)
    throw new HotPatchError(
      'unknown-function',
      `${save.request.files.join(', ')} has no function ${save.request.functionName}`,
      {
        file: save.request.files[0],
      },
    );
  return save.step('link', async () => {
    const patches: PatchFile[] = [];
    for (const plan of plans) {
      const reverts = plan.units.flatMap((unit) => unit.reverts.map(({ live }) => live!.entry));
      const link = plan.units.some(({ fixes }) => fixes.length > 0)
        ? await linkModule(save, plan)
        : undefined;
      patches.push({ plan, link, reverts });
    }
    return patches;
  });
}

async function linkModule(save: Save, plan: ModulePlan): Promise<Link | undefined> {
  const imports = new ImportResolver(
    plan.live.image.module,
    save.context.processes.modules(plan.target.process.pid),
  );
  const link = (): Link => {
    const selection = new Selection(plan.units, plan.live.image, imports, save.locate);
    const made = new Link({
      selection,
      fixes: plan.units.flatMap(({ fixes }) => fixes),
      guards: plan.units.flatMap(({ guards }) => guards),
      live: plan.live.image,
      modulePath: plan.module.path,
      buildId: plan.module.buildId,
      imports,
      locate: save.locate,
    });
    // A trial placement finds what is out of reach before anything is delivered.
    made.write(placeFor(save, plan, made.length, []));
    return made;
  };
  try {
    return link();
  } catch (thrown) {
    if (!(thrown instanceof IndirectAccessNeeded)) throw thrown;
    return linkIndirect(save, plan, link, thrown);
  }
}

/** The same functions from objects that reach library data through the GOT; what changed is known already. */
async function linkIndirect(
  save: Save,
  plan: ModulePlan,
  link: () => Link,
  cause: IndirectAccessNeeded,
): Promise<Link | undefined> {
  const direct = [...plan.units];
  let failure: unknown = cause;
  for (const extraFlags of INDIRECT_FLAGS) {
    save.context.log('info', `${cause.message}: compiling again with ${extraFlags.join(' ')}`);
    try {
      plan.units = await Promise.all(direct.map((unit) => recompiled(save, plan, unit, extraFlags)));
      return plan.units.some(({ fixes }) => fixes.length > 0) ? link() : undefined;
    } catch (thrown) {
      // A compiler that does not know the option, or one that it does not help: the next may.
      if (!(thrown instanceof IndirectAccessNeeded) && !(thrown instanceof CompileError)) throw thrown;
      if (thrown instanceof IndirectAccessNeeded) failure = thrown;
    }
  }
  throw failure;
}

async function recompiled(
  save: Save,
  plan: ModulePlan,
  unit: UnitPlan,
  extraFlags: string[],
): Promise<UnitPlan> {
  if (unit.roles.size === 0) return unit;
  const { entry } = save.fresh.get(unit.comparison.object)!.compiled;
  const again = readUnit(
    await save.context.compile.compileUnit(entry, { extraFlags, signal: save.request.signal }),
  );
  save.fresh.set(again.object, again);
  const comparison = compare(plan.module, plan.live, again.object);
  const byName = new Map(again.object.functions.map((fn) => [fn.symbol.name, fn]));
  const roles: UnitPlan['roles'] = new Map();
  for (const [fn, role] of unit.roles) {
    const twin = byName.get(fn.symbol.name);
    // What an earlier save brought in this way runs already.
    if (twin && comparison.of(twin).status !== 'same') roles.set(twin, role);
  }
  const fixes = unit.fixes.flatMap((fix) => {
    const fn = byName.get(fix.fn.symbol.name);
    return fn && roles.has(fn) ? [{ ...fix, fn }] : [];
  });
  return { ...unit, comparison, roles, fixes };
}

function placeFor(
  save: Save,
  plan: ModulePlan,
  length: number,
  avoid: { start: number; end: number }[],
): number {
  const space = save.context.processes.addressSpace(plan.target.process.pid);
  const place = findGap(space, plan.module, length, [...plan.occupied, ...avoid]);
  if (place === undefined)
    throw new HotPatchError(
      'out-of-reach',
      `There is no free place of ${length} bytes within 2 GiB of ${plan.module.path}`,
      {
        pid: plan.target.process.pid,
      },
    );
  return place;
}

function isEmpty(patch: PatchFile): boolean {
  return patch.link === undefined && patch.reverts.length === 0;
}

function isAnythingNew(patches: readonly PatchFile[]): Outcome {
  if (patches.some(({ link }) => link)) return 'patched';
  return patches.some(({ reverts }) => reverts.length > 0) ? 'reverted' : 'unchanged';
}

// --- deliver ---------------------------------------------------------------------------------------------------------

/** One transaction for each process, with the patches of all its modules. */
async function deliver(save: Save, patches: readonly PatchFile[]): Promise<void> {
  const byProcess = new Map<LiveTarget, PatchFile[]>();
  for (const patch of patches) {
    if (isEmpty(patch)) continue;
    byProcess.set(patch.plan.target, [...(byProcess.get(patch.plan.target) ?? []), patch]);
  }
  await save.step('deliver', async () => {
    const outcomes = await Promise.allSettled(
      [...byProcess].map(([target, files]) => deliverTo(save, target, files)),
    );
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
  });
}

async function deliverTo(save: Save, target: LiveTarget, patches: readonly PatchFile[]): Promise<void> {
  const client = save.client(target);
  const { pid } = target.process;
  save.progress('deliver', undefined, pid);
  const avoid: { start: number; end: number }[] = [];
  for (let attempt = 1; ; attempt++) {
    const files: string[] = [];
    const places: { start: number; end: number }[] = [];
    for (const { plan, link } of patches) {
      if (!link) continue;
      const start = placeFor(save, plan, link.length, [...avoid, ...places]);
      places.push({ start, end: start + link.length });
      files.push(writePatch(client, plan, link.write(start)));
    }
    const answer = await client.patch(
      files,
      patches.flatMap(({ reverts }) => reverts),
      {
        signal: save.request.signal,
        // A breakpoint may be looked at for an hour; a newer save of the file takes this one back.
        waitWhileStopped: true,
        onRunState: (stopped) =>
          save.progress(
            !stopped ? 'deliver' : stopped.tracer === undefined ? 'wait-for-continue' : 'wait-for-debugger',
            undefined,
            pid,
          ),
      },
    );
    for (const [step, milliseconds] of Object.entries(answer.timings))
      if (step !== 'total')
        save.timings[`runtime-${step}`] = (save.timings[`runtime-${step}`] ?? 0) + milliseconds;
    if (answer.ok) {
      const touched = new Set([
        ...patches.flatMap(({ plan, link }) =>
          link ? plan.units.flatMap(({ fixes }) => fixes.map(({ entry }) => entry)) : [],
        ),
        ...patches.flatMap(({ reverts }) => reverts),
      ]);
      save.processes.push({
        pid,
        exe: answer.status.exe,
        functions: answer.status.functions.filter(({ address }) => touched.has(Number(address))),
      });
      return;
    }
    for (const file of files) rmSync(file, { force: true });
    if (answer.error?.code === 'caller-active' && attempt < QUIESCENCE_TRIES) {
      await setTimeout(QUIESCENCE_PAUSE, undefined, { signal: save.request.signal });
      continue;
    }
    if (answer.error?.code === 'original-differs' && (await breakpointsRemoved(save, pid, patches))) continue;
    if (answer.error?.code !== 'address-taken' || attempt >= PLACEMENT_TRIES)
      throw new HotPatchError(
        answer.error?.code ?? 'internal',
        answer.error?.message ?? 'The runtime gave no reason',
        {
          pid,
          ...(answer.error?.symbol && { symbol: answer.error.symbol }),
        },
      );
    avoid.push(...places);
  }
}

/** A debugger that has a breakpoint at an entry will put back the byte that it found there, and with it destroy any
 * jump that is written meanwhile. Waits until its user has removed it.
 * @returns whether there was one, so that it is worth another try */
async function breakpointsRemoved(save: Save, pid: number, patches: readonly PatchFile[]): Promise<boolean> {
  const fixes = patches.flatMap(({ plan, link }) => (link ? plan.units.flatMap((unit) => unit.fixes) : []));
  const held = (): (typeof fixes)[number] | undefined =>
    save.context.processes.isTraced(pid)
      ? fixes.find(({ entry, jumpOffset }) =>
          isBreakpoint(save.context.processes.readMemory(pid, entry + jumpOffset, 1)),
        )
      : undefined;
  const first = held();
  if (!first) return false;
  save.context.log(
    'warn',
    `A debugger has a breakpoint at the entry of ${first.fn.symbol.name}; it is patched when the breakpoint is removed`,
  );
  save.progress('wait-for-breakpoint', undefined, pid);
  while (held()) await setTimeout(QUIESCENCE_PAUSE, undefined, { signal: save.request.signal });
  save.progress('deliver', undefined, pid);
  return true;
}

let patchCount = 0;

function writePatch(client: RuntimeClient, plan: ModulePlan, bytes: Buffer): string {
  mkdirSync(client.patchDirectory, { recursive: true, mode: 0o700 });
  const unit = plan.units.find(({ fixes }) => fixes.length > 0)!.comparison.object.source;
  const name = `${Date.now().toString(36)}-${process.pid}-${++patchCount}-${basename(unit)}.so`;
  const file = join(client.patchDirectory, name);
  // The process must never map a file that is still being written.
  writeFileSync(`${file}.part`, bytes, { mode: 0o600 });
  renameSync(`${file}.part`, file);
  return file;
}

// --- check -----------------------------------------------------------------------------------------------------------

/** Does each file's command reproduce the code that runs? Compiles and compares; patches nothing. */
export async function checkFiles(
  context: EngineContext,
  files: string[],
  target: Target,
): Promise<CheckReport[]> {
  return Promise.all(files.map((file) => checkFile(context, file, target)));
}

async function checkFile(context: EngineContext, file: string, target: Target): Promise<CheckReport> {
  const save = new Save(context, { files: [file], target });
  const report = (
    verdict: CheckReport['verdict'],
    message: string,
    more: Partial<CheckReport> = {},
  ): CheckReport => ({
    file,
    verdict,
    message,
    problems: [],
    timings: save.total(),
    ...more,
  });
  try {
    const targets = await save.step('find-process', () => context.processes.targets([file], target));
    const units = await compileUnits(save, targets);
    const plans = await comparePlans(save, targets, units);
    const compared = plans.flatMap((plan) => plan.units.flatMap((unit) => unit.comparison.functions));
    const known = compared.filter(({ live }) => live !== undefined);
    const unchanged = known.filter(({ status }) => status === 'same').length;
    const { process } = targets[0]!;
    const fresh = units.values().next().value!;
    const more: Partial<CheckReport> = {
      pid: process.pid,
      exe: process.exe,
      command: fresh.compiled.argv,
      directory: fresh.compiled.directory,
      functions: { compared: known.length, unchanged, changed: known.length - unchanged },
      changed: await save.changedFunctions(plans),
      problems: [...save.refusals, ...save.warnings],
    };
    const differs = save.refusals.find(({ code }) => code === 'flags-differ');
    if (differs) return report('flags-differ', differs.message, more);
    if (unchanged === known.length)
      return report(
        'ready',
        `All ${known.length} functions of ${basename(file)} are as they run in process ${process.pid}.`,
        more,
      );
    return report(
      'edited',
      `${known.length - unchanged} of ${known.length} functions of ${basename(file)} differ from what runs in process ${process.pid}.`,
      more,
    );
  } catch (thrown) {
    const problem = toProblem(thrown);
    return report(verdictOf(problem), problem.message, { problems: [problem] });
  }
}

function verdictOf({ code }: Problem): CheckReport['verdict'] {
  switch (code) {
    case 'no-compile-database':
    case 'bad-compile-database':
    case 'no-compile-command':
      return 'no-command';
    case 'compile-failed':
    case 'compiler-not-found':
      return 'compile-failed';
    case 'rebuilt':
      return 'other-build';
    case 'flags-differ':
    case 'unsupported-object':
      return 'flags-differ';
    default:
      return 'no-process';
  }
}

// --- one save --------------------------------------------------------------------------------------------------------

/** Codes that mean: the edit was understood and is not safe. All others are failures. */
const REFUSALS: ReadonlySet<string> = new Set<Problem['code']>([
  'flags-differ',
  'layout-changed',
  'variable-changed',
  'needs-constructor',
  'new-thread-local',
  'unresolved-symbol',
  'ambiguous-symbol',
  'no-live-function',
  'unknown-function',
  'entry-too-short',
  'entry-is-target',
  'caller-active',
  'out-of-reach',
  'unsupported-relocation',
  'unsupported-construct',
  'unsupported-object',
  'unsupported-module',
  'no-symbols',
  'no-runtime',
  'other-user',
  'rebuilt',
]);

/** What one save gathers on its way: timings, messages, results. */
class Save {
  readonly timings: Record<string, number> = {};
  readonly diagnostics: CompilerDiagnostic[] = [];
  readonly refusals: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly processes: ProcessResult[] = [];
  readonly fresh = new Map<ObjectFile, FreshUnit>();
  namedFunction = false;
  private readonly start = performance.now();
  private readonly clients = new Map<LiveTarget, RuntimeClient>();

  constructor(
    readonly context: EngineContext,
    readonly request: PatchRequest,
  ) {}

  /** Runs a step and adds its time, in milliseconds. */
  async step<T>(name: Step, run: () => Promise<T>): Promise<T> {
    this.request.signal?.throwIfAborted();
    this.progress(name);
    const start = performance.now();
    try {
      return await run();
    } finally {
      this.timings[name] = (this.timings[name] ?? 0) + performance.now() - start;
    }
  }

  progress(step: Step, file?: string, pid?: number): void {
    this.request.onProgress?.({ step, file, pid });
  }

  client(target: LiveTarget): RuntimeClient {
    let client = this.clients.get(target);
    if (!client) this.clients.set(target, (client = this.context.processes.runtime(target.process)));
    return client;
  }

  readonly locate: Locate = (object, symbol) => {
    const place = this.fresh.get(object)?.places().get(symbol);
    return place
      ? { file: place.file, ...(place.line > 0 && { line: place.line }) }
      : { file: object.source };
  };

  total(): Record<string, number> {
    return { ...this.timings, total: performance.now() - this.start };
  }

  async finish(outcome: Outcome, plans: readonly ModulePlan[], dryRun = false): Promise<PatchResult> {
    // The clock stops when the code is live (or refused); names for people come after it.
    const timings = this.total();
    const changed = await this.changedFunctions(plans);
    const named = new Map(changed.map((fn) => [fn.symbol, fn]));
    for (const { functions } of this.processes)
      for (const fn of functions) {
        const place = named.get(fn.symbol);
        if (place) Object.assign(fn, { file: place.file, line: place.line });
      }
    return {
      outcome,
      files: this.request.files,
      processes: dryRun ? [] : this.processes,
      refusals: unique(this.refusals),
      warnings: unique(this.warnings),
      diagnostics: this.diagnostics,
      changed,
      timings,
    };
  }

  fail(thrown: unknown): PatchResult {
    const problem = toProblem(thrown);
    return {
      outcome: REFUSALS.has(problem.code) ? 'refused' : 'failed',
      files: this.request.files,
      processes: this.processes,
      refusals: unique([...this.refusals, problem]),
      warnings: unique(this.warnings),
      diagnostics: this.diagnostics,
      changed: [],
      timings: this.total(),
    };
  }

  async changedFunctions(plans: readonly ModulePlan[]): Promise<ChangedFunction[]> {
    const found = new Map<string, { symbol: string; object: ObjectFile; kind: ChangedFunction['kind'] }>();
    for (const plan of plans)
      for (const unit of plan.units) {
        const { object } = unit.comparison;
        const add = (fn: ObjectFunction, kind: ChangedFunction['kind']): void => {
          if (unit.comparison.parentOf(fn) === undefined)
            found.set(`${object.source}:${fn.symbol.name}`, { symbol: fn.symbol.name, object, kind });
        };
        for (const [fn] of unit.roles) add(fn, unit.comparison.of(fn).live ? 'changed' : 'new');
        for (const { fn } of unit.reverts) add(fn, 'reverted');
      }
    const all = [...found.values()];
    const names = await this.context.demangle(all.map(({ symbol }) => symbol));
    return all.map(({ symbol, object, kind }, i) => ({
      name: names[i]!,
      symbol,
      kind,
      ...this.locate(object, symbol),
    }));
  }
}

/** Several processes and units may say the same. */
function unique(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter((problem) => {
    const key = JSON.stringify([problem.code, problem.message, problem.file, problem.line]);
    return !seen.has(key) && seen.add(key) !== undefined;
  });
}
