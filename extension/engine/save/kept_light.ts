// First light that was planned ahead of its save. It is kept for a save of just those texts into processes that are just as
// they were when it was planned: then nothing is left to do but to deliver it. Writes into no process.
import type { LiveTarget } from '../context';
import { stateOf } from '../fast/baselines';
import type { EditOfTexts, NewText } from './edited_units';
import type { Save } from './progress';
import type { ModulePlan, PatchFile } from './unit';

/** What can be delivered. */
export interface PlannedLight {
  plans: ModulePlan[];
  patches: PatchFile[];
  /** Of whole units: more than the edited functions may differ. */
  isWhole: boolean;
  /** Symbols of functions that come along and were not edited. */
  companions: ReadonlySet<string>;
}

export interface KeptLight extends PlannedLight {
  edit: EditOfTexts;
  /** What the plans were made in: it knows the names and places of their functions. */
  save: Save;
  /** What the plans are good for, by pid. */
  pictures: ReadonlyMap<number, string>;
}

/** The last one: whoever types has one text. */
export class KeptLights {
  private last: (KeptLight & { unconfirmed: readonly number[] }) | undefined;

  keep(light: KeptLight): void {
    this.last = { ...light, unconfirmed: light.edit.units.map(({ baseline }) => baseline.unconfirmed.size) };
  }

  drop(): void {
    this.last = undefined;
  }

  /** The one for these texts. Where first light of another text was delivered since and not confirmed, more is to be
   * delivered with them now: then there is none. */
  of(texts: readonly NewText[]): KeptLight | undefined {
    const { last } = this;
    if (last?.edit.units.length !== texts.length) return undefined;
    const isFor = ({ baseline, text }: NewText): boolean =>
      last.edit.units.some(
        (unit, index) =>
          unit.baseline === baseline &&
          unit.text === text &&
          baseline.unconfirmed.size === last.unconfirmed[index],
      );
    return texts.every(isFor) ? last : undefined;
  }
}

/** What of each process a plan depends on, by pid: the code that runs, what was loaded and where, and the modules. */
export async function picturesOf(save: Save, targets: readonly LiveTarget[]): Promise<Map<number, string>> {
  const pictures = new Map<number, string>();
  for (const { process } of targets) {
    const client = save.context.processes.runtime(process);
    const [status, modules] = await Promise.all([
      client.readStatus(),
      save.context.processes.modules(process.pid),
    ]);
    const picture = [
      stateOf(process.startTime, status),
      status.layouts ?? [],
      status.patches.map(({ id, base, length }) => [id, base, length]),
      modules.map(({ key, start }) => [key, start]),
    ];
    pictures.set(process.pid, JSON.stringify(picture));
  }
  return pictures;
}

/** @param begin makes the save that delivers it
 * @returns undefined when the processes are not as they were */
export async function adoptKept(
  save: Save,
  begin: () => Save,
  targets: readonly LiveTarget[],
  kept: KeptLight,
): Promise<(PlannedLight & { save: Save }) | undefined> {
  const pictures = await picturesOf(save, targets);
  if (pictures.size !== kept.pictures.size) return undefined;
  for (const [pid, picture] of pictures) if (kept.pictures.get(pid) !== picture) return undefined;
  for (const plan of kept.plans) {
    const target = targets.find(({ process }) => process.pid === plan.target.process.pid);
    // A file that was opened again is another object, and the old one is closed.
    if (!target?.modules.some(({ module }) => module.elf === plan.module.elf)) return undefined;
    plan.target = target;
  }
  const inner = begin();
  for (const [object, unit] of kept.save.fresh) inner.fresh.set(object, unit);
  return { ...kept, save: inner };
}
