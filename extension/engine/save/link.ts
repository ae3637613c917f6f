// The step `link`: one patch file for each module of each process, at a free place beside the module. Nothing is
// written or sent.
import { hostArchitecture } from '../arch/choose';
import type { LiveTarget } from '../context';
import { HotPatchError } from '../model/errors';
import type { Outcome } from '../model/result';
import { ImportResolver } from '../link/imports';
import type { PlannedFix, PlannedObject } from '../link/input';
import { Link } from '../link/link';
import { IndirectAccessNeeded } from '../link/relocate';
import { Selection } from '../link/select';
import { verifyPatch } from '../link/verify';
import { findGap } from '../process/maps';
import { withArchiveMembers } from './archive_members';
import { companionsOf, marksOf } from './marks';
import type { Save } from './progress';
import { linkIndirect } from './recompile';
import { isLinked, type Linked, type ModulePlan, type PatchFile } from './unit';

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
    // The process's answer is told with names for people: they are found out while this thread links.
    void save.context.demangle(plans.flatMap(changedSymbols));
    const patches: PatchFile[] = [];
    // Several modules of one process must not be given the same place.
    const places = new Map<LiveTarget, { start: number; end: number }[]>();
    for (const plan of plans) {
      const entries = plan.units.flatMap((unit) => unit.reverts.map(({ live }) => live!.entry));
      const reverts = [...new Set(entries)];
      const taken = places.get(plan.target) ?? [];
      const linked = await linkModule(save, plan, taken);
      if (linked)
        places.set(plan.target, [...taken, { start: linked.start, end: linked.start + linked.link.length }]);
      patches.push({ plan, linked, reverts });
    }
    return patches;
  });
}

function changedSymbols({ units }: ModulePlan): string[] {
  return units.flatMap(({ roles, reverts }) =>
    [...roles.keys(), ...reverts.map(({ fn }) => fn)].map(({ symbol }) => symbol.name),
  );
}

async function linkModule(
  save: Save,
  plan: ModulePlan,
  taken: { start: number; end: number }[],
): Promise<Linked | undefined> {
  const imports = new ImportResolver(plan.live.image.module, plan.modules);
  const known = { live: plan.live.image, bodies: plan.live.bodies, imports, locate: save.locate };
  if (!plan.units.some(isLinked)) {
    verifyPatch(undefined, { ...known, units: plan.units, fixes: [] });
    return undefined;
  }
  const link = async (): Promise<Linked> => {
    const selection = new Selection(plan.units, plan.live.image, imports, save.locate);
    const fixes = oneForEachEntry(plan.units.flatMap((unit) => unit.fixes));
    const linker = new Link({
      selection,
      fixes,
      guards: plan.units.flatMap(({ guards }) => guards),
      objects: await namedStart(save, plan),
      marks: plan.units.flatMap((unit) => marksOf(save.fresh.get(unit.comparison.object), unit)),
      companions: plan.units.flatMap((unit) => companionsOf(save.fresh.get(unit.comparison.object), unit)),
      live: plan.live.image,
      modulePath: plan.module.path,
      buildId: plan.module.buildId,
      imports,
      locate: save.locate,
    });
    const start = await placeFor(save, plan, linker.length, taken);
    const bytes = linker.write(start);
    const verify = (written: Buffer): void => verifyPatch(written, { ...known, units: plan.units, fixes });
    verify(bytes);
    return { link: linker, verify, start, bytes, libraries: [...imports.added] };
  };
  const complete = (): Promise<Linked> => withArchiveMembers(save, plan, imports, link);
  return complete().catch((thrown: unknown) => {
    if (!(thrown instanceof IndirectAccessNeeded)) throw thrown;
    return linkIndirect(save, plan, complete, thrown);
  });
}

/** What the runtime calls, with names for people. */
async function namedStart(save: Save, { units }: ModulePlan): Promise<PlannedObject[]> {
  const start = units.flatMap((unit) => unit.start.map((code) => ({ ...code, comparison: unit.comparison })));
  const names = await save.context.demangle(start.flatMap((code) => code.names));
  return start.map(({ fn, when, comparison, names: symbols }) => ({
    fn,
    when,
    live: comparison.of(fn).live?.entry,
    name: symbols.map(() => names.shift()!).join(', '),
  }));
}

/** An inline function of a header may differ in several units of one save: one of its new versions serves all. */
function oneForEachEntry(fixes: readonly PlannedFix[]): PlannedFix[] {
  return [...new Map(fixes.map((fix) => [fix.entry, fix])).values()];
}

export async function placeFor(
  save: Save,
  plan: ModulePlan,
  length: number,
  avoid: { start: number; end: number }[],
): Promise<number> {
  const space = await save.context.processes.addressSpace(plan.target.process.pid);
  const place = findGap(hostArchitecture(), space, plan.module, length, [...plan.occupied, ...avoid]);
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
