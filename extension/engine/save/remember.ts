// Remembers from what texts the code of processes comes, when a save or a check has seen it: what the next save's first
// light is compared with, and has what it needs prepared.
import type { LiveTarget } from '../context';
import { readUnits } from '../dwarf/units';
import { type Baseline, stateOf } from '../fast/baselines';
import { scan } from '../fast/edit';
import { stampOf } from '../host';
import type { Known } from './first_light';
import { type Texts, tryPreamble } from './over_preamble';
import { prepareFirstLight } from './reduced_units';
import type { Save } from './progress';
import { readSourceIfThere } from './source_text';
import type { FreshUnit, ModulePlan } from './unit';

/** DW_LANG_C_plus_plus and its versions (DWARF 5, table 7.17; later ones from the list of languages). */
const CPLUSPLUS: ReadonlySet<number> = new Set([0x04, 0x1a, 0x21, 0x2b, 0x2d, 0x3a]);

/** State of each process, by pid. */
export async function statesOf(save: Save, targets: readonly LiveTarget[]): Promise<Map<number, string>> {
  const states = new Map<number, string>();
  for (const target of targets) {
    const status = await save.client(target).readStatus();
    states.set(target.process.pid, stateOf(target.process.startTime, status));
  }
  return states;
}

export const sourcesOf = (targets: readonly LiveTarget[]): string[] =>
  targets.flatMap(({ modules }) => modules.flatMap(({ units }) => units.map(({ source }) => source)));

export function readTexts(targets: readonly LiveTarget[]): Texts {
  const texts = new Map<string, { text: string; stamp: string | undefined }>();
  for (const source of sourcesOf(targets)) {
    if (texts.has(source)) continue;
    const stamp = stampOf(source);
    const text = readSourceIfThere(source);
    if (text !== undefined) texts.set(source, { text, stamp });
  }
  return texts;
}

/** The code of the processes is that of the units in the plans. */
export async function remember(
  save: Save,
  targets: readonly LiveTarget[],
  plans: readonly ModulePlan[],
  texts: Texts,
  { baselines, tried }: Known,
): Promise<void> {
  const states = await statesOf(save, targets);
  const units = new Map<string, FreshUnit[]>();
  for (const { comparison } of plans.flatMap((plan) => plan.units)) {
    const unit = save.fresh.get(comparison.object)!;
    const known = units.get(unit.compiled.source);
    if (!known) units.set(unit.compiled.source, [unit]);
    else if (!known.includes(unit)) known.push(unit);
  }
  for (const [source, [unit, ...others]] of units) {
    const { compiled, object } = unit!;
    const read = texts.get(source);
    // Compiled with several commands, or not all of it as the build does, its code is not that of one text.
    if (
      others.length > 0 ||
      compiled.deoptimised ||
      !compiled.files ||
      !read ||
      stampOf(source) !== read.stamp
    ) {
      baselines.forget(source);
      continue;
    }
    const files = new Map(compiled.files.map((file) => [file, stampOf(file) ?? '']));
    const [entry] = readUnits(object.elf);
    const language = CPLUSPLUS.has(entry?.language ?? 0) ? 'c++' : 'c';
    const baseline: Baseline = {
      entry: compiled.entry,
      compiled,
      object,
      language,
      text: read.text,
      scanned: scan(read.text, language, baselines.of(source)?.scanned),
      files,
      processes: states,
      unconfirmed: new Set(),
    };
    baselines.set(source, baseline);
    // The save is over first.
    setImmediate(() => {
      prepareFirstLight(save.context, baseline);
      tryPreamble(save.context, baseline, unit!, tried);
    });
  }
}
