// Compiles the units of a patch once more so that they have the addresses of a library's data and functions from the GOT:
// from where the patch lies they are out of reach of a PC-relative operand. What changed is known already and stays what
// it is.
import { CompileError } from '../compile/run_compiler';
import { isInitialiser, newStartCode } from '../compare/start_code';
import type { UnitComparison } from '../compare/unit';
import type { ObjectFunction } from '../elf/object';
import { IndirectAccessNeeded } from '../link/relocate';
import { compareUnit } from './compare_unit';
import { readUnit } from './compile';
import { compileDeoptimised } from './deoptimised_unit';
import { keepRegisters, keepStartCode } from './plan';
import type { Save } from './progress';
import { type FreshUnit, isLinked, type Linked, type ModulePlan, type UnitPlan } from './unit';

/** Go through the GOT (gcc 12 and later; clang; any, also for the large model, whose code has no need to). */
const INDIRECT_FLAGS = [
  ['-mno-direct-extern-access'],
  ['-fno-direct-access-external-data'],
  ['-fPIC', '-fno-semantic-interposition', '-mcmodel=small'],
];

/** The same functions from objects that reach libraries through the GOT; what changed is known already. */
export async function linkIndirect(
  save: Save,
  plan: ModulePlan,
  link: () => Promise<Linked>,
  cause: IndirectAccessNeeded,
): Promise<Linked | undefined> {
  const direct = [...plan.units];
  let failure: unknown = cause;
  for (const extraFlags of INDIRECT_FLAGS) {
    save.context.log('info', `${cause.message}: compiling again with ${extraFlags.join(' ')}`);
    try {
      plan.units = await Promise.all(direct.map((unit) => recompiled(save, plan, unit, extraFlags, cause)));
      return plan.units.some(isLinked) ? await link() : undefined;
    } catch (thrown) {
      // A compiler that does not know the option, or one that it does not help: the next may.
      if (!(thrown instanceof IndirectAccessNeeded) && !(thrown instanceof CompileError)) throw thrown;
      if (thrown instanceof IndirectAccessNeeded) failure = thrown;
    }
  }
  throw failure;
}

/** @throws cause when code that the patch needs is not there under the name that it has in the direct object */
async function recompiled(
  save: Save,
  plan: ModulePlan,
  unit: UnitPlan,
  extraFlags: string[],
  cause: IndirectAccessNeeded,
): Promise<UnitPlan> {
  const { object } = unit.comparison;
  const fresh = save.fresh.get(object);
  // What a static library supplied is position-independent as it is.
  if (unit.roles.size === 0 || !fresh) return unit;
  const { entry, deoptimised } = fresh.compiled;
  const again = readUnit(
    await compileDeoptimised(save, entry, deoptimised, { extraFlags, signal: save.request.signal }),
    object.twin,
  );
  save.fresh.set(again.object, again);
  const comparison = compareUnit(save, plan.module, plan.live, again, plan.concerned);
  const byName = new Map(again.object.functions.map((fn) => [fn.symbol.name, fn]));
  const twinOf = (fn: ObjectFunction): ObjectFunction => {
    const twin = byName.get(fn.symbol.name);
    if (!twin) throw cause;
    return twin;
  };
  const roles: UnitPlan['roles'] = new Map();
  for (const [fn, role] of unit.roles) {
    if (isInitialiser(fn)) continue;
    // A part, or a new function, may be in the code of others now.
    const twin = role === 'direct' ? byName.get(fn.symbol.name) : twinOf(fn);
    // What an earlier save brought in this way runs already.
    if (twin && (role === 'at-start' || comparison.of(twin).status !== 'same')) roles.set(twin, role);
  }
  const fixes = unit.fixes.flatMap((fix) => {
    const fn = twinOf(fix.fn);
    return roles.has(fn) ? [{ ...fix, fn }] : [];
  });
  const { start, startWarnings } = startOf(save, unit, again, comparison, cause);
  if (start.length > 0) keepStartCode({ comparison, roles, start });
  // Through the GOT the code may use other registers.
  const rest = keepRegisters({ ...unit, comparison, fixes });
  return { ...unit, comparison, roles, start, startWarnings, ...rest };
}

/** What initialises the unit at start, from its new object: there it may have another name, because it is called after the
 * first symbol that no other module can replace (gcc). What an earlier save brought in this way has run. */
function startOf(
  save: Save,
  unit: UnitPlan,
  fresh: FreshUnit,
  comparison: UnitComparison,
  cause: IndirectAccessNeeded,
): Pick<UnitPlan, 'start' | 'startWarnings'> {
  const { code, warnings, problems } = newStartCode(comparison, fresh.declaredIn, save.locate);
  if (problems.length > 0) throw cause;
  // What the direct object said of it, which has these accesses otherwise.
  for (const warning of warnings.length === 0 ? unit.startWarnings : []) {
    const at = save.warnings.indexOf(warning);
    if (at >= 0) save.warnings.splice(at, 1);
  }
  return { start: unit.start.length > 0 ? code : [], startWarnings: warnings };
}
