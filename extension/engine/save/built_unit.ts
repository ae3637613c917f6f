// The object of a unit that the build wrote. It is not edited, so it is evidence of what the unit was when the program was
// linked. Reads; compiles and compares nothing.
import { lookAt } from '../host';
import type { LiveModule } from '../context';
import { readUnit } from './compile';
import { readable } from './owners';
import type { FreshUnit } from './unit';

const known = new WeakMap<FreshUnit, { built: FreshUnit | undefined }>();

/** Undefined when it is not there, was written after the module was linked, half-written, or of another kind. */
export function builtUnit(unit: FreshUnit, module: LiveModule): FreshUnit | undefined {
  let found = known.get(unit);
  if (!found) {
    const { compiled, object } = unit;
    const { output } = compiled.entry;
    const written = output === undefined ? undefined : lookAt(output);
    const linked = lookAt(module.path);
    const isOfLink = written && linked && written.mtimeMs <= linked.mtimeMs;
    const built = isOfLink
      ? readable(() => readUnit({ ...compiled, object: output! }, object.twin))
      : undefined;
    known.set(unit, (found = { built }));
  }
  return found.built;
}
