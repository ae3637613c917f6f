// Ahead of a save: what its first light needs is compiled, compared and linked from the text in the editor, and nothing of
// it delivered: the save of the same text only does that. Where no part of the unit will do, the whole of it is compiled.
// One at a time: a newer text, and every save, stops what is under way.
import type { EngineContext, LiveTarget } from '../context';
import type { AheadRequest } from '../engine';
import { realPathOrSelf } from '../host';
import { toProblem } from '../model/errors';
import type { AheadReport } from '../model/result';
import { type EditOfTexts, findEdit } from './edited_units';
import { findTargets } from './find';
import { type Known, planFirstLight, planWholeLight } from './first_light';
import { type KeptLight, picturesOf } from './kept_light';
import { isEmpty } from './link';
import { Save } from './progress';
import { compileWhole } from './reduced_units';
import { statesOf } from './remember';
import type { FreshUnit } from './unit';

/** Milliseconds that the whole unit may have taken to compile: whoever types on will hardly wait for longer. */
const LONGEST = 10_000;

export interface Ahead {
  prepare: (request: AheadRequest) => Promise<AheadReport>;
  stop: () => void;
}

const unknown = (reason: string): AheadReport => ({ outcome: 'unknown', changed: [], refusals: [], reason });
const UNCHANGED: AheadReport = { outcome: 'unchanged', changed: [], refusals: [] };

export function createAhead(context: EngineContext, known: Known): Ahead {
  let current: AbortController | undefined;

  const report = async (save: Save, { file, text }: AheadRequest): Promise<AheadReport> => {
    const path = realPathOrSelf(file);
    const targets = await findTargets(save, save.request);
    const states = await statesOf(save, targets);
    const pictures = await picturesOf(save, targets);
    const edit = findEdit(save, targets, known.baselines, states, {
      textOf: (source) => (source === path ? text : undefined),
    });
    if (edit.kind === 'none') return UNCHANGED;
    if (edit.kind === 'other') return unknown(edit.reason);
    if (edit.kind === 'bodies') {
      const part = new Save(context, save.request);
      const light = await planFirstLight(part, targets, edit.units, { known: known.compiled, isAhead: true });
      if (!('reason' in light)) return ready({ ...light, save: part, edit, pictures });
      context.log('debug', `no part of ${file} will do: ${light.reason}`);
    }
    return whole(save, targets, edit, pictures);
  };

  const whole = async (
    save: Save,
    targets: readonly LiveTarget[],
    edit: EditOfTexts,
    pictures: ReadonlyMap<number, string>,
  ): Promise<AheadReport> => {
    const units = new Map<string, FreshUnit>();
    for (const text of edit.units) {
      if (text.baseline.compiled.milliseconds > LONGEST)
        return unknown(`${text.source} takes too long to compile`);
      const unit = await compileWhole(save, text, { known: known.compiled });
      if ('reason' in unit) return unknown(unit.reason);
      units.set(text.source, unit);
    }
    const light = await planWholeLight(save, targets, units);
    if (!('reason' in light))
      return light.patches.every(isEmpty) ? UNCHANGED : ready({ ...light, save, edit, pictures });
    const { reason, refusals } = light;
    return refusals.length > 0 ? { outcome: 'refused', changed: [], refusals } : unknown(reason);
  };

  const ready = async (light: KeptLight): Promise<AheadReport> => {
    known.kept.keep(light);
    const { save, plans, companions } = light;
    const changed = await save.changedFunctions(plans);
    return {
      outcome: 'ready',
      changed: changed.filter(({ symbol }) => !companions.has(symbol)),
      refusals: [],
    };
  };

  return {
    prepare: async (request) => {
      current?.abort();
      const mine = (current = new AbortController());
      const { file, target } = request;
      try {
        return await report(new Save(context, { files: [file], target, signal: mine.signal }), request);
      } catch (thrown) {
        // A text that does not compile yet is no news, and a newer one is on its way.
        return unknown(mine.signal.aborted ? 'a newer text took its place' : toProblem(thrown).message);
      } finally {
        if (current === mine) current = undefined;
      }
    },
    stop: () => current?.abort(),
  };
}
