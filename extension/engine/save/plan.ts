// Decides what a save does to one module of one process: which functions are redirected, which go back to their
// original, what is refused and why. The middle of the way of a save: after the comparison, before the link.
// Decides only; compiles, reads processes and writes nothing.
import { isDeepStrictEqual } from 'node:util';
import { readByName } from '../compare/entry_reads';
import { registerHazards } from '../compare/register_hazards';
import { type DeclaredIn, isInitialiser, newStartCode } from '../compare/start_code';
import { checkVariables } from '../compare/variables';
import type { LayoutComparison } from '../types/layout';
import { isNumbered, stem } from '../compare/correlate';
import type { ComparedFunction } from '../compare/facts';
import type { UnitComparison } from '../compare/unit';
import { codeOptions } from '../compile/recorded_options';
import type { Producer } from '../dwarf/producer';
import { isPointer } from '../arch/architecture';
import * as abi from '../elf/constants';
import type { Relocation } from '../elf/file';
import { describesCode, type Locate, type ObjectFunction } from '../elf/object';
import type { PlannedFix } from '../link/input';
import type { Role } from '../link/select';
import type { Problem } from '../model/result';
import { sayApart } from './signatures';
import type { UnitPlan } from './unit';

export interface PlanOptions {
  layout: LayoutComparison | undefined;
  /** Functions whose signature changed (signatures.ts). */
  separated: readonly ObjectFunction[];
  /** Why the object is not of the running build. */
  foreignBuild: string | undefined;
  /** Of the fresh object and of the live unit, when both have debug information. */
  producers: { fresh: Producer; live: Producer } | undefined;
  locate: Locate;
  declaredIn: DeclaredIn;
  /** Only functions for which this is true are patched or reverted. */
  wanted: (fn: ObjectFunction) => boolean;
}

/** Below this many functions "most of them differ" says nothing. */
const ENOUGH_TO_JUDGE = 6;

export function planUnit(comparison: UnitComparison, options: PlanOptions): UnitPlan {
  const { locate, layout } = options;
  const { object } = comparison;
  const plan: UnitPlan = {
    comparison,
    roles: new Map(),
    start: [],
    fixes: [],
    guards: [],
    // Without debug information it is not known how the code was compiled: as it is by default.
    conventions:
      options.producers?.live.compiler === 'clang' ? undefined : (layout?.conventions ?? new Map()),
    mayUseIpaRa: options.producers?.live.mayUseIpaRa !== false,
    reverts: [],
    problems: [],
    warnings: [],
    startWarnings: [],
  };
  if (options.foreignBuild !== undefined) {
    plan.problems.push({ code: 'flags-differ', message: options.foreignBuild, file: object.source });
    return plan;
  }
  plan.warnings.push(...sayApart(comparison, options.separated, locate));
  const differing = comparison.functions.filter(
    ({ fn, status }) => status === 'changed' && !isInitialiser(fn),
  );
  const variables = checkVariables(comparison, locate);
  const start = newStartCode(comparison, options.declaredIn, locate);
  plan.start = start.code;
  plan.startWarnings = start.warnings;
  plan.problems.push(...start.problems);
  const back = comparison.functions.filter(({ fn, status }) => status === 'original' && options.wanted(fn));
  plan.reverts = back.filter(({ fn }) => comparison.parentOf(fn) === undefined);
  // Debug information knows the type and the line, and a type that grew makes its variables grow; symbols only know
  // sizes.
  const named = layout?.problems ?? [];
  const sizes = variables.problems.filter(({ code }) => code !== 'variable-changed' || named.length === 0);
  // Where the edit only undoes earlier ones, the originals fit the memory whatever the file's types are by now.
  if (differing.length > 0 || back.length === 0) plan.problems.push(...named, ...sizes);
  if (differing.length > 0) plan.warnings.push(...(layout?.warnings ?? []));
  plan.warnings.push(...variables.warnings, ...start.warnings);
  const referred = lazily(() => referredByUnchanged(comparison));
  const read = lazily(() => readByName(comparison));
  for (const compared of differing) {
    if (!options.wanted(compared.fn)) continue;
    const role = roleOf(compared, comparison, options, referred, read);
    plan.roles.set(compared.fn, role);
    if (role === 'direct') continue;
    const others = comparison.foldedWith(compared.fn);
    if (others.length > 0) plan.problems.push(foldedProblem(compared.fn, others, locate));
    const fixes = fixesOf(compared, comparison, locate);
    if ('problem' in fixes) plan.problems.push(fixes.problem);
    else plan.fixes.push(...fixes.fixes);
  }
  if (plan.start.length > 0) keepStartCode(plan);
  return { ...plan, ...keepRegisters(plan) };
}

/** What initialises the unit comes with what it initialises, so that the next save finds it as it was run. */
export function keepStartCode({
  comparison,
  roles,
  start,
}: Pick<UnitPlan, 'comparison' | 'roles' | 'start'>): void {
  for (const { fn, status } of comparison.functions)
    if (isInitialiser(fn) && (status === 'changed' || status === 'new')) roles.set(fn, 'at-start');
  for (const part of start.flatMap(({ parts }) => parts)) roles.set(part, 'at-start');
}

/** The fixes, with the registers that each is to keep for callers that are running, and who must not be running where
 * that cannot be. Depends on the code of the object: to be asked again of another one. */
export function keepRegisters({
  comparison,
  conventions,
  mayUseIpaRa,
  fixes,
}: Pick<UnitPlan, 'comparison' | 'conventions' | 'mayUseIpaRa' | 'fixes'>): Pick<
  UnitPlan,
  'fixes' | 'guards'
> {
  if (fixes.length === 0 || !conventions) return { fixes, guards: [] };
  const redirected = fixes.map(({ fn }) => fn);
  const { preserved, guards } = registerHazards(comparison, conventions, redirected, mayUseIpaRa);
  return { fixes: fixes.map((fix) => ({ ...fix, preserved: preserved.get(fix.fn) ?? 0 })), guards };
}

/** Says why the object is not of the running build; undefined when it may well be.
 * @param isBuildOfProcess whether the command is known to be that of the running code, whatever the edit changed */
export function buildDiffers(
  comparison: UnitComparison,
  producers: PlanOptions['producers'],
  isBuildOfProcess: () => boolean,
): string | undefined {
  // That of a reduced unit was seen to be right, when its text as it was came to the code that runs.
  if (comparison.object.isReduced) return undefined;
  if (producers?.live.lto)
    return `${comparison.object.source} was built with link-time optimisation (-flto), which compiles it together with other files: build it without, and restart the program`;
  const compared = comparison.functions.filter(
    ({ fn, live, status }) => live && status !== 'new' && !isInitialiser(fn),
  );
  const changed = compared.filter(({ status }) => status === 'changed').length;
  const same = producers && sameBuild(producers.fresh, producers.live);
  // Equal options leave -D and headers as causes; an edit may touch many functions, but hardly nearly all of many.
  const limit = same ? 0.9 : 0.5;
  if (compared.length < ENOUGH_TO_JUDGE || changed <= compared.length * limit) return undefined;
  // Unless it edits what all of them use, such as a macro that logs.
  if ((same || !producers) && isBuildOfProcess()) return undefined;
  const told =
    producers && !same
      ? ` It was built with "${describe(producers.live)}", the command gives "${describe(producers.fresh)}".`
      : '';
  return `${changed} of ${compared.length} functions of ${comparison.object.source} differ from the running code.${told}`;
}

function sameBuild(fresh: Producer, live: Producer): boolean {
  return (
    fresh.compiler === live.compiler &&
    fresh.version === live.version &&
    isDeepStrictEqual(codeOptions(fresh.options), codeOptions(live.options))
  );
}

function describe({ compiler, version, options }: Producer): string {
  return [compiler, version, ...codeOptions(options)].join(' ');
}

/**
 * Redirect the old entry, or let only new code call the new version? The entry is redirected unless that could hand
 * callers a function they were not compiled for: the compiler gave a local clone a calling convention of its own that
 * only the callers that were patched as well agree with.
 */
function roleOf(
  compared: ComparedFunction,
  comparison: UnitComparison,
  options: PlanOptions,
  referred: () => ReadonlySet<ObjectFunction>,
  read: () => ReadonlySet<ObjectFunction>,
): Role {
  const { fn } = compared;
  if (comparison.parentOf(fn)) return 'direct';
  const { name } = fn.symbol;
  const local = fn.symbol.binding === abi.STB_LOCAL;
  const clone = isNumbered(name) && stem(name) !== name;
  // clang changes the convention of local functions without changing their name.
  const silentClone =
    // A reduced unit has no callers that would tell, and is only made of code that is not optimised.
    !fn.object.isReduced &&
    local &&
    options.producers?.live.compiler === 'clang' &&
    options.producers.live.optimisation !== '0';
  if ((clone || silentClone) && !referred().has(fn) && !read().has(fn)) return 'direct';
  return 'redirected';
}

/** Functions still referenced by unchanged code or data of the unit. Their callers are not recompiled, so their calling
 * convention must not change. */
function referredByUnchanged(comparison: UnitComparison): ReadonlySet<ObjectFunction> {
  const { object, references } = comparison;
  const referred = new Set<ObjectFunction>();
  const note = ({ symbol: index, addend }: Relocation, beyond: number): void => {
    const symbol = object.symbol(index);
    const section = object.sectionOf(symbol);
    if (!section || !(section.flags & abi.SHF_EXECINSTR)) return;
    const at = symbol.value + addend + beyond;
    const target = object.functionAt(section, at);
    // Labels inside a function are its own.
    if (target?.offset === at) referred.add(target);
  };
  for (const { fn, status } of comparison.functions)
    if (status === 'same' || status === 'original')
      for (const reference of references.of(fn)) note(reference, reference.beyond);
  for (const section of object.elf.sections)
    if (section.flags & abi.SHF_ALLOC && !(section.flags & abi.SHF_EXECINSTR) && !describesCode(section))
      for (const relocation of object.relocations(section))
        if (isPointer(references.arch.meaning(relocation.type))) note(relocation, 0);
  return referred;
}

function foldedProblem(fn: ObjectFunction, others: readonly string[], locate: Locate): Problem {
  const { name } = fn.symbol;
  return {
    code: 'folded-function',
    message: `${name} is one with ${others.join(', ')} in the process, because they were equal when it was built: changing it would change ${others.length > 1 ? 'those' : 'that one'} too`,
    symbol: name,
    ...locate(fn.object, name),
  };
}

/** One fix for each entry of a function (constructor variants may have several), or why its entry cannot be used. */
function fixesOf(
  compared: ComparedFunction,
  comparison: UnitComparison,
  locate: Locate,
): { fixes: PlannedFix[] } | { problem: Problem } {
  const { fn, live } = compared;
  if (!live) return { fixes: [] };
  const entries = new Map([[live.entry, { size: live.size, image: live.image, name: live.name }]]);
  for (const alias of fn.aliases) {
    if (alias.binding === abi.STB_LOCAL) continue;
    const other = comparison.live.module.global(alias.name);
    if (other && other.size > 0 && !entries.has(other.address))
      entries.set(other.address, { size: other.size, image: other.image, name: other.name });
  }
  const fixes: PlannedFix[] = [];
  for (const [entry, { size, image, name }] of entries) {
    const problem = (code: Problem['code'], message: string): { problem: Problem } => ({
      problem: { code, message, symbol: name, ...locate(fn.object, fn.symbol.name) },
    });
    const body = image.bytes(entry, size);
    const padding = image.padding(entry + size, 16);
    if (!body) return problem('internal', `The code of ${name} in the process cannot be read`);
    const { jumpSize } = image.arch;
    const shape = image.arch.entryShape(body, padding);
    if (shape.room < shape.jumpOffset + jumpSize)
      return problem(
        'entry-too-short',
        `${name} is ${size} bytes long with ${shape.room - size} bytes of padding behind it; a jump needs ${jumpSize}`,
      );
    if (shape.branchesBack) return problem('entry-is-target', `${name} jumps back into its first bytes`);
    // Behind the last section of a file's code nobody knows what the loader left there: the body alone must do then.
    const original = image.bytes(entry, Math.min(16, Math.max(size, shape.room))) ?? body.subarray(0, 16);
    if (original.length < shape.jumpOffset + jumpSize)
      return problem('entry-too-short', `${name} is ${size} bytes long and the last code of ${image.path}`);
    fixes.push({
      fn,
      entry,
      entrySize: shape.room,
      symbol: name,
      jumpOffset: shape.jumpOffset,
      boundaries: shape.boundaries,
      original,
      oldSize: size,
      preserved: 0,
    });
  }
  return { fixes };
}

function lazily<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
