// Runs constructs in a variant. All of them stand in one program; each is edited while the process runs: an unedited
// save, a first and a second edit, the undo, the first edit once more and a revert. After each step its observer must
// see what it sees in a full build of the same text.
import type { PatchResult } from '../../extension/engine/model/result';
import {
  type Built,
  type EngineWorld,
  link,
  type Observed,
  type ProgramPlan,
  type Texts,
  uncompilable,
} from '../support/live_program';
import { notOriginal, told } from '../support/live_results';
import { type Construct, place, type Placed } from './construct';
import { KNOWN } from './known';
import { compilersOf, missing, type Variant } from './variants';

export interface Cell {
  construct: string;
  variant: string;
  outcome: 'pass' | 'refused' | 'not-applicable' | 'known' | 'wrong';
  /** The refusal's code, why it does not apply, what went wrong. */
  detail: string;
}

/** Steps of a cell, in their order, and the version of the text that is right behind each. */
const STEPS = [
  ['start', 0],
  ['edit', 1],
  ['edit again', 2],
  ['undo', 0],
  ['redo', 1],
  ['revert', 0],
] as const;
type Step = (typeof STEPS)[number][0];

/** All steps, or only one edit and its undo. */
export type Depth = 'full' | 'brief';

const stepsOf = (depth: Depth) =>
  depth === 'full' ? STEPS : STEPS.filter(([step]) => step === 'start' || step === 'edit' || step === 'undo');

/** What the observers see in full builds: by version, observer and step. */
type Truth = readonly Map<string, Map<Step, string>>[];

const callsOf = ({ calls = [1, 2, 3] }: Construct) => calls;

function planOf(variant: Variant, placed: readonly Placed[]): ProgramPlan {
  const { level, flags = [], linkFlags = [], module = 'executable' } = variant;
  return {
    compilers: compilersOf(variant),
    flags: [level, '-g', '-w', ...flags],
    linkFlags,
    module,
    units: placed.flatMap(({ units }) => units),
    observers: placed.map(({ observer, returns }) => ({ name: observer, returns })),
  };
}

const textsOf = (placed: readonly Placed[], version: number): Texts =>
  Object.assign({}, ...placed.map(({ versions }) => versions[version]!)) as Texts;

/** Runs the constructs in a variant; a cell for each, in their order. */
export async function runConstructs(
  world: EngineWorld,
  variant: Variant,
  constructs: readonly Construct[],
  depth: Depth = 'full',
): Promise<Cell[]> {
  const cells = new Map<string, Cell>();
  const settle = ({ id }: Construct, outcome: Cell['outcome'], detail = ''): void => {
    const known = KNOWN.find((row) => row.construct === id && row.variants.test(variant.id));
    if (known && outcome === 'wrong') outcome = 'known';
    else if (known && outcome !== 'not-applicable') {
      detail = `is listed in known.ts (${known.cause}), but the outcome is ${outcome} ${detail}`;
      outcome = 'wrong';
    }
    cells.set(id, { construct: id, variant: variant.id, outcome, detail });
  };
  const absent = missing(variant);
  const possible = constructs.filter((construct) => {
    const reason = absent ?? construct.notIn?.(variant);
    if (reason !== undefined) settle(construct, 'not-applicable', reason);
    return reason === undefined;
  });
  let placed = possible.map(place);
  const builds: Built[] = [];
  for (const version of new Set(stepsOf(depth).map(([, version]) => version))) {
    const directory = world.newDirectory();
    const failures = await uncompilable(directory, planOf(variant, placed), textsOf(placed, version));
    placed = placed.filter(({ construct, units }) => {
      const failure = units.map((unit) => failures.get(unit)).find((message) => message !== undefined);
      if (failure !== undefined)
        settle(construct, 'wrong', `version ${version} does not compile: ${failure}`);
      return failure === undefined;
    });
    builds.push({ directory, executable: '' });
  }
  if (placed.length > 0) {
    const built = [];
    for (const { directory } of builds) built.push(await link(directory, planOf(variant, placed)));
    const truth = await findTruth(world, built, placed, depth);
    let live = await world.startLive(built[0]!);
    for (const each of placed) {
      const { outcome, detail } = await runOne(world, built[0]!, live, each, truth, variant, depth);
      settle(each.construct, outcome, detail);
      world.restore(built[0]!, each.versions[0]);
      if (outcome !== 'wrong' && live.running) continue;
      // The next one finds a process that nothing was done to.
      await live.stop();
      live = await world.startLive(built[0]!);
    }
    await live.stop();
  }
  return constructs.map(({ id }) => cells.get(id)!);
}

async function findTruth(
  world: EngineWorld,
  built: readonly Built[],
  placed: readonly Placed[],
  depth: Depth,
): Promise<Truth> {
  const truth = [];
  for (const [version, build] of built.entries()) {
    const reference = await world.startReference(build);
    const seen = new Map<string, Map<Step, string>>();
    for (const { construct, observer } of placed) {
      const bySteps = new Map<Step, string>();
      seen.set(observer, bySteps);
      for (const [step] of stepsOf(depth)) {
        if (construct.ownState && version > 0 && step === 'start') continue;
        bySteps.set(step, await reference.observe(observer, callsOf(construct)));
      }
    }
    await reference.stop();
    truth.push(seen);
  }
  return truth;
}

type Finding = Pick<Cell, 'outcome' | 'detail'>;

async function runOne(
  world: EngineWorld,
  built: Built,
  live: Observed,
  placed: Placed,
  truth: Truth,
  variant: Variant,
  depth: Depth,
): Promise<Finding> {
  const { construct, observer, edited, versions } = placed;
  const wrong = (detail: string): Finding => ({ outcome: 'wrong', detail });
  const save = (version: number) => world.save(built, live, { [edited]: versions[version]![edited]! });
  const look = () => live.observe(observer, callsOf(construct));
  const right = (step: Step, version: number) => truth[version]!.get(observer)!.get(step)!;
  try {
    const seen = await look();
    if (seen !== right('start', 0)) return wrong(`before the edit: ${seen}, not ${right('start', 0)}`);
    const unedited = await save(0);
    if (unedited.outcome !== 'unchanged' || unedited.changed.length > 0) {
      const codes = meant(unedited, variant.refused ?? []);
      if (codes !== undefined) return { outcome: 'refused', detail: codes };
      return wrong(`an unedited save is ${told(unedited)}${live.running ? '' : ' (it has ended)'}`);
    }
    let refused: string | undefined;
    /** The version that runs. */
    let running = 0;
    for (const [step, version] of stepsOf(depth).slice(1)) {
      const result =
        step === 'revert'
          ? await world.engine.revert({ pids: [live.pid], functions: 'all' })
          : await save(version);
      const codes = meant(result, [...(construct.refused ?? []), ...(variant.limits ?? [])]);
      if (codes !== undefined) refused = codes;
      else if (result.refusals.length > 0) return wrong(`${step} is ${told(result)}`);
      else running = version;
      const now = await look();
      const kept = construct.warned !== undefined && warns(result, construct.warned);
      // What the first edit brought may have kept its state through the undo, or not.
      const open = step === 'redo' && construct.ownState;
      if (now !== right(step, running) && !kept && !open)
        return wrong(`${step} is ${told(result)}, then ${now} instead of ${right(step, running)}`);
      if (step !== 'undo' || codes !== undefined) continue;
      const left = await notOriginal(world, live);
      if (left.length > 0) return wrong(`undo is ${told(result)}, but leaves ${left.join(', ')} changed`);
    }
    if (refused !== undefined) return { outcome: 'refused', detail: refused };
    return { outcome: 'pass', detail: '' };
  } catch (error) {
    return wrong(`${live.running ? 'the engine failed' : 'the process ended'}: ${(error as Error).message}`);
  }
}

/** The codes of a refusal, when each is one that is meant. */
function meant(result: PatchResult, codes: readonly string[]): string | undefined {
  if (result.outcome !== 'refused' || result.refusals.length === 0) return undefined;
  const found = [...new Set(result.refusals.map(({ code }) => code as string))];
  return found.every((code) => codes.includes(code)) ? found.join(', ') : undefined;
}

const warns = ({ warnings }: PatchResult, code: string) => warnings.some((warning) => warning.code === code);
