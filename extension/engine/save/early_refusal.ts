// An edit of a header concerns many units, and one of them alone can show that it is refused: a type that is laid out
// otherwise than in the process is so in each unit that knows it. So the first unit that shows anything is compared while
// the others are still being compiled. Writes nothing.
import { isInitialiser } from '../compare/start_code';
import type { CompiledUnit, LiveTarget } from '../context';
import { toProblem } from '../model/errors';
import { comparePlans } from './compare';
import { readUnit } from './compile';
import { onlyUnits } from './find';
import { mayMigrate } from './migrations';
import { Save } from './progress';

/** Units; with fewer, all are compiled before one could be compared. */
export const FEWEST_UNITS = 3;

/** @returns to be called with each unit that was compiled: whether it refuses the save, which then says why */
export function lookForRefusal(
  save: Save,
  targets: readonly LiveTarget[],
): (compiled: CompiledUnit) => Promise<boolean> {
  let isOver = false;
  return async (compiled) => {
    if (isOver) return false;
    const inner = new Save(save.context, { ...save.request, onProgress: undefined });
    const { source } = compiled;
    try {
      const plans = await comparePlans(
        inner,
        onlyUnits(targets, (other) => other === source),
        new Map([[source, readUnit(compiled)]]),
      );
      // Whose copy of an inline function is compared depends on what the other units have.
      const isTold = plans
        .flatMap(({ units }) => units)
        .some(({ comparison: { object, functions } }) =>
          functions.some(
            ({ fn, status }) => status === 'changed' && !isInitialiser(fn) && !object.inGroup(fn.section),
          ),
        );
      if (!isTold || isOver) return false;
      isOver = true;
      // Another unit may have what makes objects of that type anew.
      if (plans.some(({ modules }) => mayMigrate(modules))) return false;
    } catch (thrown) {
      // Whoever compares all of them meets it again.
      save.context.log('debug', `${source} was not compared by itself: ${toProblem(thrown).message}`);
      return false;
    }
    const refusals = inner.refusals.filter(({ code }) => code === 'layout-changed');
    save.refusals.push(...refusals);
    return refusals.length > 0;
  };
}
