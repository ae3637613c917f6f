// The object of a unit that the build wrote. It is not edited, so it is evidence of what the unit was when the program was
// linked. Reads; compiles and compares nothing.
import { lookAt } from '../host';
import type { LiveModule } from '../context';
import { readUnit } from './compile';
import { readable } from './owners';
import type { FreshUnit } from './unit';

/** By module. */
const knownBuilt = () => new Map<string, FreshUnit | undefined>();

/** Undefined when it is not there, was written after the module was linked, half-written, or of another kind. */
export function builtUnit(unit: FreshUnit, module: LiveModule): FreshUnit | undefined {
  const byModule = unit.object.elf.derived(knownBuilt);
  if (!byModule.has(module.key)) byModule.set(module.key, readBuilt(unit, module));
  return byModule.get(module.key);
}

function readBuilt({ compiled, object }: FreshUnit, module: LiveModule): FreshUnit | undefined {
  const { output } = compiled.entry;
  const written = output === undefined ? undefined : lookAt(output);
  const linked = lookAt(module.path);
  if (!written || !linked || written.mtimeMs > linked.mtimeMs) return undefined;
  return readable(() => readUnit({ ...compiled, object: output! }, object.twin));
}
