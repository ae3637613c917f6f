// The step `link`: one patch file for each module of each process, at a free place beside the module. Compiles a unit
// again when its code cannot reach a library's data from there. Nothing is written or sent.
import { CompileError } from '../compile/compiler';
import type { LiveTarget } from '../context';
import { HotPatchError } from '../model/errors';
import type { Outcome } from '../model/result';
import { ImportResolver } from '../link/imports';
import { IndirectAccessNeeded, Link, type PlannedFix } from '../link/link';
import { Selection } from '../link/select';
import { findGap } from '../process/maps';
import { compare, type ModulePlan } from './compare';
import { readUnit } from './compile';
import type { UnitPlan } from './plan';
import type { Save } from './progress';

export interface PatchFile {
  plan: ModulePlan;
  /** Undefined when only reverts are to be made. */
  linked: Linked | undefined;
  reverts: number[];
}

/** A link and what it made for one place; for another it is written again. */
export interface Linked {
  link: Link;
  start: number;
  bytes: Buffer;
}

/** The library's data is too far to be addressed directly: go through the GOT (gcc 12 and later; clang; any). */
const INDIRECT_FLAGS = [
  ['-mno-direct-extern-access'],
  ['-fno-direct-access-external-data'],
  ['-fPIC', '-fno-semantic-interposition'],
];

export async function linkPatches(save: Save, plans: readonly ModulePlan[]): Promise<PatchFile[]> {
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
    // Several modules of one process must not be given the same place.
    const places = new Map<LiveTarget, { start: number; end: number }[]>();
    for (const plan of plans) {
      const reverts = plan.units.flatMap((unit) => unit.reverts.map(({ live }) => live!.entry));
      const taken = places.get(plan.target) ?? [];
      const linked = plan.units.some(({ fixes }) => fixes.length > 0)
        ? await linkModule(save, plan, taken)
        : undefined;
      if (linked)
        places.set(plan.target, [...taken, { start: linked.start, end: linked.start + linked.link.length }]);
      patches.push({ plan, linked, reverts });
    }
    return patches;
  });
}

async function linkModule(
  save: Save,
  plan: ModulePlan,
  taken: { start: number; end: number }[],
): Promise<Linked | undefined> {
  const imports = new ImportResolver(
    plan.live.image.module,
    save.context.processes.modules(plan.target.process.pid),
  );
  const link = (): Linked => {
    const selection = new Selection(plan.units, plan.live.image, imports, save.locate);
    const linker = new Link({
      selection,
      fixes: oneForEachEntry(plan.units.flatMap(({ fixes }) => fixes)),
      guards: plan.units.flatMap(({ guards }) => guards),
      live: plan.live.image,
      modulePath: plan.module.path,
      buildId: plan.module.buildId,
      imports,
      locate: save.locate,
    });
    const start = placeFor(save, plan, linker.length, taken);
    return { link: linker, start, bytes: linker.write(start) };
  };
  try {
    return link();
  } catch (thrown) {
    if (!(thrown instanceof IndirectAccessNeeded)) throw thrown;
    return linkIndirect(save, plan, link, thrown);
  }
}

/** An inline function of a header may differ in several units of one save: one of its new versions serves all. */
function oneForEachEntry(fixes: readonly PlannedFix[]): PlannedFix[] {
  return [...new Map(fixes.map((fix) => [fix.entry, fix])).values()];
}

/** The same functions from objects that reach library data through the GOT; what changed is known already. */
async function linkIndirect(
  save: Save,
  plan: ModulePlan,
  link: () => Linked,
  cause: IndirectAccessNeeded,
): Promise<Linked | undefined> {
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
  const comparison = compare(save, plan.module, plan.live, again);
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

export function placeFor(
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

export function isEmpty(patch: PatchFile): boolean {
  return patch.linked === undefined && patch.reverts.length === 0;
}

export function isAnythingNew(patches: readonly PatchFile[]): Outcome {
  if (patches.some(({ linked }) => linked)) return 'patched';
  return patches.some(({ reverts }) => reverts.length > 0) ? 'reverted' : 'unchanged';
}
