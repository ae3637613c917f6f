// Runs a random case: its versions are saved one after the other into one running process, then the first one again.
// After each save the process must do what a full build of that version does that begins with the same values in its
// variables, down to the values it leaves behind; and after the undo every original function must run again.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { preambleEnd } from '../../extension/engine/fast/preamble';
import type { AheadReport, PatchResult } from '../../extension/engine/model/result';
import {
  build,
  type Built,
  type EngineWorld,
  type Observed,
  type ProgramPlan,
  type Texts,
  twoAtATime,
} from '../support/live_program';
import { notOriginal, told } from '../support/live_results';
import { samples } from '../support/paths';

export interface Case {
  title: string;
  compilers: { c: string; cxx: string };
  flags: readonly string[];
  module: ProgramPlan['module'];
  units: readonly string[];
  /** The files of each version; the first is the one that is started. */
  versions: readonly Texts[];
}

/** What went wrong with a case; `refused` when a save was. */
export interface Failure {
  kind: 'wrong' | 'refused';
  /** The save with which it showed: the number of its version, 0 for the undo. */
  version: number;
  detail: string;
}

const CALLS = [0, 1, 2, 3, 5, 8, 1234567, -1];
const OBSERVERS = [
  { name: 'turn', returns: 'number' },
  { name: 'peek', returns: 'text' },
  { name: 'forget', returns: 'number' },
  { name: 'give', returns: 'number' },
] as const;

type Values = Map<string, string>;

async function peek(program: Observed): Promise<Values> {
  const [text = ''] = (await program.observe('peek', [0])).split(' | ');
  return new Map(
    text
      .split(' ')
      .filter((row) => row !== '')
      .map((row) => row.split('=') as [string, string]),
  );
}

const shown = (values: Values) => [...values].map(([number, value]) => `${number}=${value}`).join(' ');

/** @param onSave told of each save that was right
 * @returns what failed, undefined when all is right */
export async function runCase(
  world: EngineWorld,
  { versions, ...plan }: Case,
  onSave: OnSave = () => undefined,
): Promise<Failure | undefined> {
  const state = readFileSync(join(samples, 'driver', 'state.c'), 'utf8');
  const programPlan: ProgramPlan = {
    ...plan,
    units: [{ file: 'state.c' }, ...plan.units.map((file) => ({ file }))],
    observers: OBSERVERS,
  };
  let live: Observed | undefined;
  try {
    const built = await twoAtATime(versions, (texts) =>
      build(world.newDirectory(), programPlan, { ...texts, 'state.c': state }),
    );
    live = await world.startLive(built[0]!);
    return await runVersions(world, built, live, plan.units, versions, onSave);
  } catch (error) {
    return { kind: 'wrong', version: -1, detail: (error as Error).message };
  } finally {
    await live?.stop();
  }
}

/** @param ahead what was compiled before the save, where anything was to be
 * @param tried units that go over their preambles */
export type OnSave = (result: PatchResult, ahead: AheadReport | undefined, tried: number) => void;

async function runVersions(
  world: EngineWorld,
  built: readonly Built[],
  live: Observed,
  units: readonly string[],
  versions: readonly Texts[],
  onSave: OnSave,
): Promise<Failure | undefined> {
  const values: Values = new Map();
  let texts = versions[0]!;
  /** Nothing that is not right is between the program and a full build that begins with its values. */
  const compare = async (version: number, result?: PatchResult): Promise<Failure | undefined> => {
    await live.observe('forget', [0]);
    const seen = await live.observe('turn', CALLS);
    const left = await peek(live);
    const reference = await world.startReference(built[version]!);
    await reference.observe('give', [...values].flat());
    const right = await reference.observe('turn', CALLS);
    const rightLeft = await peek(reference);
    await reference.stop();
    for (const [number, value] of left) values.set(number, value);
    const saved = result ? `after ${told(result)}: ` : '';
    if (seen !== right) return { kind: 'wrong', version, detail: `${saved}${seen} instead of ${right}` };
    if (shown(left) === shown(rightLeft)) return undefined;
    return {
      kind: 'wrong',
      version,
      detail: `${saved}variables ${shown(left)} instead of ${shown(rightLeft)}`,
    };
  };
  const failure = await compare(0);
  if (failure) return failure;
  const save = (next: Texts, names: readonly string[]) =>
    world.save(built[0]!, live, Object.fromEntries(names.map((name) => [name, next[name]!])), true);
  const unedited = await save(texts, Object.keys(texts));
  if (unedited.outcome !== 'unchanged' || unedited.changed.length > 0)
    return { kind: 'wrong', version: 0, detail: `an unedited save is ${told(unedited)}` };
  // In every other case nobody saves before the preambles were tried.
  const isPatient = versions.length % 2 === 0;
  const sources = units.filter((name) => preambleEnd(texts[name]!) > 0);
  const tried = isPatient ? await world.untilTried(built[0]!, sources) : 0;
  for (const version of [...versions.keys()].slice(1).concat(0)) {
    const next = versions[version]!;
    const edited = Object.keys(next).filter((name) => next[name] !== texts[name]);
    texts = next;
    // Edits may cancel out: there is nothing to save.
    if (edited.length === 0) continue;
    const [file] = edited;
    // Every other one was typed slowly.
    const ahead =
      version % 2 === 1 && edited.length === 1
        ? await world.type(built[0]!, live, file!, next[file!]!)
        : undefined;
    const result = await save(next, edited);
    if (result.outcome === 'refused' || result.outcome === 'failed')
      return { kind: 'refused', version, detail: told(result) };
    const found = await compare(version, result);
    if (found) return found;
    onSave(result, ahead, tried);
  }
  const left = await notOriginal(world, live);
  if (left.length === 0) return undefined;
  return { kind: 'wrong', version: 0, detail: `the undo leaves ${left.join(', ')} patched` };
}
