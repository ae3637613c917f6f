// Ahead of a save: what its first light needs is compiled, compared and linked from the text in the editor, and nothing of
// it delivered. The save does the same with the text that was written, and finds the compiled units there when it is the
// same text. One at a time: a newer text, and every save, stops what is under way.
import type { EngineContext } from '../context';
import type { AheadRequest } from '../engine';
import type { Baselines } from '../fast/baselines';
import { realPathOrSelf } from '../host';
import { toProblem } from '../model/errors';
import type { AheadReport } from '../model/result';
import { findEdit } from './edited_units';
import { findTargets } from './find';
import { planFirstLight } from './first_light';
import { Save } from './progress';
import type { ReducedUnits } from './reduced_units';
import { statesOf } from './remember';

export interface Ahead {
  prepare: (request: AheadRequest) => Promise<AheadReport>;
  stop: () => void;
}

export function createAhead(context: EngineContext, baselines: Baselines, known: ReducedUnits): Ahead {
  let current: AbortController | undefined;

  const prepare = async ({ file, text, target }: AheadRequest): Promise<AheadReport> => {
    current?.abort();
    const mine = (current = new AbortController());
    const path = realPathOrSelf(file);
    const save = new Save(context, { files: [file], target, signal: mine.signal });
    const unknown = (reason: string): AheadReport => ({ outcome: 'unknown', changed: [], reason });
    try {
      const targets = await findTargets(save, save.request);
      const states = await statesOf(save, targets);
      const edit = findEdit(save, targets, baselines, states, (source) =>
        source === path ? text : undefined,
      );
      if (edit.kind === 'none') return { outcome: 'unchanged', changed: [] };
      if (edit.kind === 'other') return unknown(edit.reason);
      const light = await planFirstLight(save, targets, edit.units, { known, isAhead: true });
      if ('reason' in light) return unknown(light.reason);
      return { outcome: 'ready', changed: await save.changedFunctions(light.plans) };
    } catch (thrown) {
      // A text that does not compile yet is no news, and a newer one is on its way.
      return unknown(mine.signal.aborted ? 'a newer text took its place' : toProblem(thrown).message);
    } finally {
      if (current === mine) current = undefined;
    }
  };

  return { prepare, stop: () => current?.abort() };
}
