// A source that was compiled several times into one module (with other macros, as for several types): which of its
// compile commands made which of the module's units. All of them are concerned by a save of the source. Compiles with
// each command; changes nothing.
import * as abi from '../elf/constants';
import type { ObjectFile } from '../elf/object';
import { compileAgain } from './choose_command';
import { HotPatchError } from '../model/errors';
import { differences } from './command_fit';
import { buildDirectoriesOf, readUnit } from './compile';
import { unitsFrom } from './owners';
import type { Save } from './progress';
import type { FreshUnit, ModulePlan } from './unit';

/** What one command makes, compared with one unit of the module. */
interface Candidate {
  unit: FreshUnit;
  /** Functions that differ or that one side alone has. */
  differences: number;
}

/**
 * One fresh unit for each of the module's units of a source, in their order.
 * @param first compiled with the most likely command
 * Throws HotPatchError flags-differ when it cannot be told which command made which unit.
 */
export async function twinUnits(
  save: Save,
  plan: ModulePlan,
  first: FreshUnit,
): Promise<readonly FreshUnit[]> {
  const { source } = first.compiled;
  const twins = unitsFrom(plan.module.elf, source);
  if (twins.length < 2) return [first];
  const compiled = [first.compiled];
  const entries = save.context.compile.entriesFor(source, buildDirectoriesOf(plan.module, source));
  for (const entry of entries.slice(1)) {
    const unit = await compileAgain(save, entry, first);
    if (unit) compiled.push(unit.compiled);
  }
  const chosen = twins.map((_, twin) => {
    const candidates = compiled
      .map((made): Candidate => {
        const unit = readUnit(made, twin);
        return { unit, differences: differences(save, plan, unit) };
      })
      .sort((a, b) => a.differences - b.differences);
    const [best, next] = candidates as [Candidate, Candidate | undefined];
    if (next?.differences === best.differences && !sameCode(best.unit.object, next.unit.object))
      throw new HotPatchError(
        'flags-differ',
        `${source} was compiled ${twins.length} times into ${plan.module.path}, and two of its compile commands fit one of these equally well`,
        { file: source },
      );
    return best;
  });
  for (const one of chosen)
    for (const other of chosen)
      if (one.unit.compiled === other.unit.compiled && one.differences !== other.differences)
        throw new HotPatchError(
          'flags-differ',
          `${source} was compiled ${twins.length} times into ${plan.module.path}, and not all of its compile commands are in ${one.unit.compiled.entry.database}`,
          { file: source },
        );
  return chosen.map(({ unit }) => unit);
}

/** Do two objects load the same bytes? */
function sameCode(one: ObjectFile, other: ObjectFile): boolean {
  const loaded = ({ elf }: ObjectFile): string =>
    elf.sections
      .filter(({ flags }) => flags & abi.SHF_ALLOC)
      .map((section) => `${section.name} ${elf.data(section).toString('base64')}`)
      .join('\n');
  return loaded(one) === loaded(other);
}
