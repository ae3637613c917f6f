// A type of a save got members where it had padding, or lost some, and its objects stay where they are: may it, and what is
// to be said? It may when all code that uses the type comes with the save: who is left out would copy objects without the
// member.
// Decides; compiles and writes nothing.
import { basename } from 'node:path';
import { undescribedSources } from '../dwarf/undescribed';
import type { ElfFile } from '../elf/file';
import { realPathOrSelf } from '../host';
import type { Image } from '../live/live_image';
import type { LiveProcess } from '../live/module_image';
import type { Problem } from '../model/result';
import type { MembersInPadding } from '../types/members_in_padding';
import type { Save } from './progress';
import { readable } from './owners';

export interface Judgement {
  problems: Problem[];
  warnings: Problem[];
}

/** @param elf of the module
 * @param live its patches, and what runs of them */
export function judgeMembersInPadding(
  save: Save,
  elf: ElfFile,
  live: LiveProcess,
  found: readonly MembersInPadding[],
): Judgement {
  const judgement: Judgement = { problems: [], warnings: [] };
  const inUse = live.image.patches.filter((patch) => runs(live, patch));
  for (const one of found) {
    const definitions = inUse.map((patch) => one.in(patch.elf));
    const { type, members, gone, place, layouts } = one;
    // An earlier save brought it, or took it out of all code, and that is what runs: there is nothing new.
    const isSettled =
      members.length > 0
        ? definitions.some(({ alike }) => alike)
        : !definitions.some(({ otherwise }) => otherwise);
    if (isSettled) continue;
    const what =
      members.length === 0
        ? `${listOf(gone)} gone from \`${type}\`, where other code that was patched has it`
        : `${listOf(members)} new in \`${type}\`, where its padding was`;
    const obstacle = obstacleOf(save, one);
    if (obstacle !== undefined)
      judgement.problems.push({
        code: 'layout-changed',
        message: `${what}: ${obstacle}.`,
        ...place,
        layouts,
      });
    else if (members.length > 0)
      judgement.warnings.push({
        code: 'member-in-padding',
        message: `${what}. Objects that exist have there what the padding held: 0 in variables of static storage and in memory that was zeroed, as long as nothing else was copied over it; in all others it is not determined, and no initialiser has run. Copies that are made by code that is running still may lack it.${undescribed(elf)}`,
        ...place,
        layouts,
      });
  }
  return judgement;
}

const listOf = (members: readonly string[]): string =>
  `${members.join(', ')} ${members.length === 1 ? 'is' : 'are'}`;

/** Is code of a patch the current version of anything? */
function runs({ bodies }: LiveProcess, { start, end }: Image): boolean {
  return [...bodies.values()].some(
    ({ current }) => current && current.address >= start && current.address < end,
  );
}

/** Why not all code that uses the type comes with the save. */
function obstacleOf({ request }: Save, { file, knownBeside }: MembersInPadding): string | undefined {
  if (request.functionName !== undefined)
    return 'that needs all functions of the files that use it, and only one was asked for';
  if (file === undefined) return 'the compiler did not say in which file it is defined';
  const saved = new Set(request.files.map(realPathOrSelf));
  if (!saved.has(realPathOrSelf(file)))
    return `that needs all code that uses it: save ${basename(file)} as well, which defines it`;
  const beside = readable(knownBeside);
  if (beside === undefined) return 'debug information that says who else uses it cannot be read';
  if (beside.length === 0) return undefined;
  const list = beside.map((path) => basename(path)).join(', ');
  return `${list} may use it as well, without including ${basename(file)} as far as debug information says, and would not be compiled`;
}

function undescribed(elf: ElfFile): string {
  const sources = [...(readable(() => undescribedSources(elf)) ?? [])];
  if (sources.length === 0) return '';
  return ` Of ${sources.slice(0, 3).join(', ')}${sources.length > 3 ? ` and ${sources.length - 3} others` : ''}, built without debug information, it is not known whether they use it.`;
}
