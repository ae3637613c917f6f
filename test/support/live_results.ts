// What is asked of the result of a save in tests that search for wrong ones.
import type { PatchResult } from '../../extension/engine/model/result';
import type { EngineWorld, Observed } from './live_program';

/** Functions of the program, not those that patches brought, whose original does not run. */
export async function notOriginal(world: EngineWorld, live: Observed): Promise<string[]> {
  const { functions, patches } = await world.engine.status(live.pid);
  const inPatch = (address: bigint) =>
    patches.some(({ base, length }) => address >= BigInt(base) && address < BigInt(base) + BigInt(length));
  return functions
    .filter(({ version, address }) => version !== 0 && !inPatch(BigInt(address)))
    .map(({ name }) => name);
}

/** A result in a line. */
export function told({ outcome, refusals, warnings, changed }: PatchResult): string {
  const problems = [...refusals, ...warnings].map(({ code, message }) => `${code}: ${message}`);
  const functions = changed.map(({ symbol, kind }) => `${symbol} ${kind}`);
  return [outcome, ...problems, ...functions].join('; ');
}
