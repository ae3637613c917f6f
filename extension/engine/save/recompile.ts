// Compiles the units of a patch once more so that they have the addresses of a library's data and functions from the GOT:
// from where the patch lies they are out of reach of a PC-relative operand. What changed is known already and stays what
// it is.
import { CompileError } from '../compile/run_compiler';
import type { ObjectFunction } from '../elf/object';
import { IndirectAccessNeeded } from '../link/relocate';
import { compareUnit } from './compare_unit';
import { readUnit } from './compile';
import { compileDeoptimised } from './deoptimised_unit';
import { keepRegisters } from './plan';
import type { Save } from './progress';
import { isLinked, type Linked, type ModulePlan, type UnitPlan } from './unit';

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
      plan.units = await Promise.all(direct.map((unit) => recompiled(save, plan, unit, extraFlags)));
      return plan.units.some(isLinked) ? await link() : undefined;
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
  const twinsOf = (functions: readonly ObjectFunction[]): ObjectFunction[] =>
    functions.flatMap((fn) => byName.get(fn.symbol.name) ?? []);
  const roles: UnitPlan['roles'] = new Map();
  for (const [fn, role] of unit.roles) {
    const twin = byName.get(fn.symbol.name);
    // What an earlier save brought in this way runs already.
    if (twin && (role === 'at-start' || comparison.of(twin).status !== 'same')) roles.set(twin, role);
  }
  const fixes = unit.fixes.flatMap((fix) => {
    const fn = byName.get(fix.fn.symbol.name);
    return fn && roles.has(fn) ? [{ ...fix, fn }] : [];
  });
  const start = unit.start.flatMap((code) =>
    twinsOf([code.fn]).map((fn) => ({ ...code, fn, parts: twinsOf(code.parts) })),
  );
  // Through the GOT the code may use other registers.
  return { ...unit, comparison, roles, start, ...keepRegisters({ ...unit, comparison, fixes }) };
}
