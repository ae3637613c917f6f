// Makes a failing case smaller: leaves out versions, then statements, as long as it fails in the same way.
import { type Made, remake } from './cases';
import type { Model } from './generator';
import type { Case, Failure } from './run';

/** Runs that a reduction may take. */
const LIMIT = 60;

export interface Reduced extends Made {
  failure: Failure;
}

/** The same kind of failure, unedited or not, for the same reasons. */
function isSame(one: Failure, other: Failure): boolean {
  const reasons = ({ detail }: Failure) =>
    [...new Set([...detail.matchAll(/; ([a-z-]+): /g)].map(([, code]) => code))].sort().join(' ');
  return one.kind === other.kind && one.version < 0 === other.version < 0 && reasons(one) === reasons(other);
}

/** @param run runs a case; undefined when all is right */
export async function reduce(
  made: Made,
  failure: Failure,
  run: (one: Case) => Promise<Failure | undefined>,
): Promise<Reduced> {
  let small: Reduced = { ...made, failure };
  let runs = 0;
  const attempt = async (models: readonly Model[]): Promise<boolean> => {
    if (runs++ >= LIMIT) return false;
    const smaller = remake(made, models);
    // What is left may use a function that is gone; then it does not compile.
    const found = await run(smaller.case).catch(() => undefined);
    if (!found || !isSame(found, failure)) return false;
    small = { ...smaller, failure: found };
    return true;
  };
  for (let version = small.models.length - 1; version > 0; version--)
    if (small.models.length > 2) await attempt(small.models.filter((_, index) => index !== version));
  const without = (ids: readonly number[]) =>
    small.models.map((model) => ({
      ...model,
      functions: model.functions.map((fn) => ({
        ...fn,
        body: fn.body.filter(({ id }) => !ids.includes(id)),
      })),
    }));
  const idsOf = () => [
    ...new Set(
      small.models.flatMap(({ functions }) => functions.flatMap(({ body }) => body.map(({ id }) => id))),
    ),
  ];
  for (let size = Math.ceil(idsOf().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    const ids = idsOf();
    for (let begin = 0; begin < ids.length; begin += size)
      await attempt(without(ids.slice(begin, begin + size)));
  }
  return small;
}
